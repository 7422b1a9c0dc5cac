from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from found_faces import Face, seen_faces, steady, together
from hypothesis import given
from hypothesis import strategies as st

from actors.faces.finder import EVERY
from jobs.faces.seen_faces import SeenFaces
from jobs.faces.smaller_faces import needs_closer_looks, seen_closely_alone

LARGE = steady(range(80), 100, side=200)
LOOKS = range(0, 80, EVERY)


def clear_faces(faces: Sequence[Face], frames: int) -> SeenFaces:
    found = seen_faces(faces, frames)
    return replace(found, scores=np.full_like(found.scores, 0.9))


def test_a_face_that_each_look_finds_needs_looks_at_all_frames() -> None:
    found = clear_faces(together(LARGE, steady(LOOKS, 600)), 80)
    alone = seen_closely_alone(found)
    assert found.frame[alone].tolist() == list(LOOKS)
    assert needs_closer_looks(found)
    left = found.without(alone)
    np.testing.assert_array_equal(left.boxes, clear_faces(LARGE, 80).boxes)


def test_a_face_on_a_single_look_is_left_out() -> None:
    found = clear_faces(together(LARGE, steady([EVERY], 600)), 80)
    assert seen_closely_alone(found).sum() == 1
    assert not needs_closer_looks(found)


def test_a_face_that_is_there_on_all_frames_needs_none() -> None:
    found = clear_faces(together(LARGE, steady(range(80), 600)), 80)
    assert not seen_closely_alone(found).any()
    assert not needs_closer_looks(found)


def test_a_face_of_a_single_picture_stays() -> None:
    assert not seen_closely_alone(clear_faces(steady([0], 100), 1)).any()


@pytest.mark.parametrize("frames", [1, 2, EVERY, EVERY + 1, 500])
def test_nothing_found_needs_no_closer_look(frames: int) -> None:
    assert not needs_closer_looks(seen_faces([], frames))


@given(frames=st.sets(st.integers(0, 79)).map(sorted))
def test_only_faces_of_looks_with_nothing_beside_them_are_alone(frames: list[int]) -> None:
    found = clear_faces(together(LARGE, steady(frames, 600)), 80)
    expected = [f for f in frames if f % EVERY == 0 and f - 1 not in frames and f + 1 not in frames]
    assert found.frame[seen_closely_alone(found)].tolist() == expected


@given(frames=st.sets(st.integers(0, 79)).map(sorted))
def test_the_only_face_of_a_frame_is_never_alone(frames: list[int]) -> None:
    assert not seen_closely_alone(clear_faces(steady(frames, 100), 80)).any()
