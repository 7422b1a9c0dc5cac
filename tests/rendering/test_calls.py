"""What overlapping calls are told of their order and their part of the worker's time."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.rendering.calls import Call, Calls


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_call_that_is_alone_has_all_of_its_time() -> None:
    clock = Clock()
    calls = Calls(clock)
    for seconds in (3.0, 0.25):
        clock.now += 7.0
        with calls.one() as call:
            clock.now += seconds
        assert call.seconds == seconds


def test_time_that_two_share_is_halved() -> None:
    clock = Clock()
    calls = Calls(clock)
    with calls.one() as outer:
        clock.now += 1.0
        with calls.one() as inner:
            clock.now += 4.0
        clock.now += 2.0
    assert (inner.seconds, outer.seconds) == (2.0, 5.0)
    assert inner.order > outer.order


def test_a_call_that_fails_takes_no_time_of_later_ones() -> None:
    clock = Clock()
    calls = Calls(clock)

    def fail() -> None:
        with calls.one():
            clock.now += 1.0
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    with calls.one() as later:
        clock.now += 1.0
    assert later.seconds == 1.0


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["begin", "end"])), max_size=40))
def test_all_parts_together_are_the_time_in_which_the_worker_was_at_work(steps: list[tuple[int, str]]) -> None:
    clock = Clock()
    calls = Calls(clock)
    running: list[tuple[AbstractContextManager[Call], Call]] = []
    made: list[Call] = []
    busy = 0.0
    for seconds, what in [*steps, *[(1, "end")] * 40]:
        clock.now += seconds
        busy += seconds if running else 0
        if what == "begin":
            one = calls.one()
            running.append((one, one.__enter__()))
            made.append(running[-1][1])
        elif running:
            running.pop(len(steps) % len(running))[0].__exit__(None, None, None)
    assert sum(call.seconds for call in made) == pytest.approx(busy)
    assert [call.order for call in made] == list(range(len(made)))
