"""Clips are opened while workers would soon have nothing left, and no clip is left far behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.batch.open_ahead import AHEAD_FRAMES, LEAST_OPEN, MOST_BEHIND, MOST_OPEN, opens_more


def test_the_next_clip_is_opened_before_the_one_before_has_ended() -> None:
    assert opens_more(0, [], 0, 2)
    assert opens_more(LEAST_OPEN - 1, range(LEAST_OPEN - 1), 10**9, 2)


def test_many_short_clips_are_open_at_once_and_few_long_ones() -> None:
    def opened(frames: int, workers: int) -> int:
        count = 0
        while opens_more(count, range(count), count * frames, workers):
            count += 1
        return count

    assert opened(1500, 2) == LEAST_OPEN
    assert opened(50, 2) == 2 * AHEAD_FRAMES // 50 + 1
    assert opened(1, 64) == MOST_OPEN


@given(st.sets(st.integers(0, 200), min_size=1, max_size=MOST_OPEN), st.integers(0, 500), st.integers(0, 10**6))
def test_nothing_is_opened_far_behind_what_has_not_ended(begun: set[int], number: int, frames: int) -> None:
    if opens_more(number, begun, frames, 2):
        assert number <= min(begun) + MOST_BEHIND
