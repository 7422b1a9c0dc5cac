"""Cuts are told from movement, flashes, fades and black frames."""

from itertools import pairwise

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.faces import THUMBNAIL
from jobs.faces.cuts import SHORTEST_SHOT, find_cuts, unlike
from jobs.faces.windows import WINDOW

Thumbnails = NDArray[np.uint8]


def shot(seed: int, frames: int, speed: float = 0.0) -> Thumbnails:
    """A scene of blurred noise that pans by ``speed`` thumbnail columns a frame."""
    rng = np.random.default_rng(seed)
    rows, columns = THUMBNAIL
    scene = rng.uniform(20, 220, (3, 40))
    at = np.arange(columns * 4)
    wide = np.stack([np.interp(at, np.linspace(0, columns * 4, 40), row) for row in scene])
    tall = np.stack([np.interp(np.arange(rows), [0, rows / 2, rows], column) for column in wide.T], axis=1)
    starts = speed * np.arange(frames)
    views = [
        np.stack([np.interp(start + np.arange(columns), at, row, period=columns * 4) for row in tall])
        for start in starts
    ]
    return (np.stack(views) + rng.normal(0, 0.7, (frames, rows, columns))).clip(0, 255).astype(np.uint8)


def joined(*shots: Thumbnails) -> Thumbnails:
    return np.concatenate(shots)


@settings(max_examples=examples(25))
@given(st.lists(st.integers(SHORTEST_SHOT, 12), min_size=1, max_size=5), st.integers(0, 50), st.floats(0, 0.3))
def test_every_cut_is_found_and_nothing_else(lengths: list[int], seed: int, speed: float) -> None:
    # Seeds that lie apart, and scenes that are unlike: correlation of two of these is 0.75 at the most.
    scenes = [shot(100 * seed + 7 * i, length, speed) for i, length in enumerate(lengths)]
    vectors = [(scene[0].ravel() - scene[0].mean()) / scene[0].std() for scene in scenes]
    if any(float(a @ b) / a.size > 0.5 for a, b in pairwise(vectors)):
        return
    assert find_cuts(joined(*scenes)) == tuple(np.cumsum(lengths)[:-1].tolist())


@pytest.mark.parametrize("speed", [0.3, 1.0, 2.5])
def test_a_pan_is_no_cut_however_fast(speed: float) -> None:
    assert find_cuts(shot(1, 40, speed)) == ()


def test_a_fade_to_black_and_back_is_no_cut() -> None:
    gain = np.concatenate([np.linspace(1, 0, 15), np.zeros(5), np.linspace(0, 1, 15)])
    assert find_cuts((shot(2, 35) * gain[:, None, None]).astype(np.uint8)) == ()


def test_a_fade_through_black_to_another_scene_is_one_cut() -> None:
    down, up = np.linspace(1, 0, 15)[:, None, None], np.linspace(0, 1, 15)[:, None, None]
    (cut,) = find_cuts(joined((shot(2, 15) * down).astype(np.uint8), (shot(3, 15) * up).astype(np.uint8)))
    assert 15 <= cut <= 18


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_or_a_foreign_picture_is_no_cut(length: int) -> None:
    footage = shot(4, 30)
    footage[12 : 12 + length] = (footage[12 : 12 + length].astype(int) * 3).clip(0, 255)
    footage[20 : 20 + length] = shot(5, length)
    assert find_cuts(footage) == ()


@pytest.mark.parametrize("length", [1, 8, 30])
def test_black_frames_in_a_shot_are_no_cut_and_between_shots_one(length: int) -> None:
    black = np.zeros((length, *THUMBNAIL), np.uint8)
    scene = shot(6, 20)
    assert find_cuts(joined(black, scene[:10], black, scene[10:], black)) == ()
    assert find_cuts(joined(scene, black, shot(7, 20))) == (20 + length,)


def test_a_change_of_exposure_is_no_cut() -> None:
    scene = shot(8, 20).astype(np.float64)
    scene[10:] = scene[10:] * 0.5 + 20
    assert find_cuts(scene.astype(np.uint8)) == ()


@pytest.mark.parametrize("length", range(WINDOW - 8, WINDOW + 9, 4))
def test_cuts_near_the_edge_of_a_window_are_found(length: int) -> None:
    scene, other = shot(6, 1), shot(7, 1)
    black = np.zeros_like(scene)
    footage = joined(scene.repeat(length, 0), black, other.repeat(2, 0), scene.repeat(9, 0), other.repeat(9, 0))
    assert find_cuts(footage) == (length + 12,)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_footage_of_hardly_any_frames_has_no_cut(frames: int) -> None:
    assert find_cuts(shot(9, 2)[:frames]) == ()
    assert find_cuts(np.zeros((frames, *THUMBNAIL), np.uint8)) == ()


def test_pictures_are_unlike_by_what_they_show_and_not_by_brightness() -> None:
    scene, other = shot(10, 1), shot(11, 1)
    black, white = np.zeros_like(scene), np.full_like(scene, 255)
    pictures = joined(scene, scene // 2 + 20, other, black, white)
    assert unlike(pictures, scene[0]).tolist() == [False, False, True, True, True]
    assert unlike(pictures, black[0]).tolist() == [True, True, True, False, False]
