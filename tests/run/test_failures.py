"""Frames that failed: one line for each sort of fault, and when there is no hope for the others."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from actors.core.worker_reports import FrameFailure
from jobs.run.failures import LEAST_FAILURES, RUNS_NAMED, hopeless, listed

UNIT = (0.0, 1.0)
NAN = "the model returned NaN"
OUTSIDE = "the model returned values outside of [0, 1]"


def failed(frames: Iterable[int], reason: str = NAN) -> list[FrameFailure]:
    return [FrameFailure(frame, reason) for frame in frames]


def test_failures_of_one_sort_are_one_line() -> None:
    strange = [FrameFailure(frame, OUTSIDE, (-0.1 * frame, 1.0 + frame)) for frame in (70, 2)]
    assert listed([*failed([9]), *strange, *failed([3, *range(20, 60)])]) == [
        f"2 frames (2, 70) failed: {OUTSIDE} (-7 to 71)",
        f"42 frames (3, 9, 20:60) failed: {NAN}",
    ]


def test_a_line_does_not_grow_with_the_clip() -> None:
    (line,) = listed(failed(range(0, 9000, 2)))
    assert line.startswith("4500 frames (0, 2, 4,")
    assert f"and {4500 - RUNS_NAMED} runs more" in line


def test_nothing_failed_is_no_line() -> None:
    assert listed([]) == []


def test_a_run_is_given_up_when_all_that_was_tried_failed_in_one_way() -> None:
    error = hopeless([FrameFailure(frame, OUTSIDE, (-0.9, 0.7)) for frame in range(LEAST_FAILURES)], 99, UNIT)
    assert error is not None
    assert f"none of {LEAST_FAILURES} frames" in str(error)
    assert "(-0.9 to 0.7), answers lie in [-1, 1]" in str(error)


@pytest.mark.parametrize("remaining", [0, 1])
def test_few_failures_end_only_what_has_no_other_frames(remaining: int) -> None:
    assert (hopeless(failed(range(3)), remaining, UNIT) is None) == (remaining > 0)


def test_failures_of_several_sorts_are_the_frames_own() -> None:
    assert hopeless([*failed(range(99)), *failed([99], OUTSIDE)], 0, UNIT) is None
    assert hopeless([], 99, UNIT) is None
