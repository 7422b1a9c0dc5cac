"""Frames are shrunk to means, and places in the views are those in the frame."""

from itertools import pairwise

import numpy as np
import pytest
import reference_faces as reference
from hypothesis import given
from hypothesis import strategies as st

from actors.faces.views import HALVED, LARGEST, OVERLAP, SMALLEST, letterboxed, shrunk, squares

SIDES = st.integers(1, 9000)


@given(st.integers(20, 40), st.integers(20, 40), st.integers(40 // HALVED + 1, 16), st.integers(0, 99))
def test_pixels_are_means_of_what_they_cover(width: int, height: int, side: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    small = shrunk(frame, side)
    rows, columns = small.shape[:2]
    assert max(rows, columns) == side
    across, down = width / columns, height / rows
    for y in {0, rows // 2, rows - 1}:
        for x in {0, columns // 2, columns - 1}:
            mean = reference.pixel_mean(frame, x * across, y * down, (x + 1) * across, (y + 1) * down)
            assert small[y, x] == pytest.approx(np.array(mean), abs=1)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([4, 8, 12, 16]), st.integers(0, 99))
def test_pixels_of_large_frames_are_means_too(width: int, height: int, factor: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height * factor, width * factor, 3)).astype(np.uint8)
    means = frame.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    # Rounded up to five times.
    assert shrunk(frame, max(width, height)) == pytest.approx(means, abs=2.5)


@given(st.integers(16, 700), st.integers(16, 700), st.integers(0, 50), st.integers(0, 50))
def test_a_place_in_the_view_is_a_place_in_the_frame(width: int, height: int, x: int, y: int) -> None:
    frame = np.full((height, width, 3), 255, np.uint8)
    view = letterboxed(shrunk(frame, 64), (width, height), (x, y))
    assert view.picture.shape == (64, 64, 3)
    lit = np.argwhere(view.picture[..., 0] > 0)
    low, high = lit.min(axis=0)[::-1], lit.max(axis=0)[::-1] + 1
    for place, corner in ((low, (x, y)), (high, (x + width, y + height))):
        at = np.array(corner) * view.scale + view.offset
        assert at == pytest.approx(place, abs=1e-9)


@given(SIDES, SIDES)
def test_squares_cover_the_frame_and_overlap(width: int, height: int) -> None:
    found = squares(width, height)
    if not found:
        assert max(width, height) < 1.25 * min(width, height, LARGEST) or min(width, height) < SMALLEST
        return
    side = found[0][2]
    assert {one[2] for one in found} == {min(width, height, LARGEST)}
    for starts, length in (({x for x, _, _ in found}, width), ({y for _, y, _ in found}, height)):
        ordered = sorted(starts)
        assert ordered[0] == 0
        assert ordered[-1] == length - side
        # Whole pixels round by half at either end.
        assert all(b - a <= side * (1 - OVERLAP) + 1 for a, b in pairwise(ordered))
    assert len(found) == len({x for x, _, _ in found}) * len({y for _, y, _ in found})
