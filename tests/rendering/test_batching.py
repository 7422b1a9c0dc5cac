"""Batches: every frame in exactly one, none of two sorts, neighbours only where somebody needs them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.core.audio_track import AudioTrack
from actors.core.ranges import FrameRange, divide
from actors.rendering.batching import batches

ROWS = np.zeros((80, 1), np.float32)


@given(
    st.lists(st.sampled_from([0, 0, 0, 64, 255, 255]), min_size=80, max_size=80),
    st.integers(0, 70),
    st.integers(1, 9),
    st.sampled_from([0, 2, 5]),
    st.integers(1, 5),
)
def test_frames_that_need_no_network_have_batches_of_their_own(
    shares: list[int], start: int, length: int, reach: int, size: int
) -> None:
    frames = FrameRange(start, start + length)
    seen = frames.widened(reach, len(shares))
    found = batches(frames, seen, reach, size, AudioTrack(ROWS, None, np.array(shares, np.uint8)))
    assert found == sorted(found)
    assert all(1 <= len(batch) <= size for batch in found)
    assert all(len({shares[frame] > 0 for frame in batch}) == 1 for batch in found)
    listed = [frame for batch in found for frame in batch]
    assert len(listed) == len(set(listed))
    wanted = {frame for frame in frames if shares[frame]}
    helping = {frame for frame in seen if shares[frame] and any(abs(frame - other) <= reach for other in wanted)}
    assert set(listed) == {*frames} | helping


@given(st.integers(0, 70), st.integers(1, 9), st.sampled_from([0, 2]), st.integers(1, 5))
def test_where_all_is_rendered_the_range_and_its_neighbours_are_divided(
    start: int, length: int, reach: int, size: int
) -> None:
    frames = FrameRange(start, start + length)
    seen = frames.widened(reach, len(ROWS))
    for shares in (None, np.full(len(ROWS), 255, np.uint8)):
        assert batches(frames, seen, reach, size, AudioTrack(ROWS, None, shares)) == list(divide([*seen], size))
