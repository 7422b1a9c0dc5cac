"""Workers that render several ranges at once: the queue is as much longer, and deaths and hangs are told apart."""

from __future__ import annotations

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import PATIENCE
from one_clip import Cluster, isolate, running

from actors.core.ranges import FrameRange
from jobs.scheduling.actions import KillWorker, Render
from jobs.scheduling.open_clip import DEATHS_TO_FAIL, MAX_RANGE
from jobs.scheduling.scheduler import RANGES_WAITING
from jobs.scheduling.worker_state import MAX_DEATHS_IN_A_ROW


def hung(cluster: Cluster) -> bool:
    return any(isinstance(action, KillWorker) for action in cluster.act())


def test_one_range_waits_behind_those_that_are_rendered() -> None:
    cluster = running(2, total=200, calls=3)
    assert [len(queue) for queue in cluster.queues.values()] == [3 + RANGES_WAITING] * 2


@pytest.mark.parametrize("workers", [1, 3])
@settings(max_examples=examples(60), deadline=None)
@given(size=st.integers(1, 64), place=st.integers(0, 149), calls=st.integers(2, 4))
def test_a_poison_frame_ends_up_alone_and_its_neighbours_are_delivered(
    workers: int, size: int, place: int, calls: int
) -> None:
    cluster = isolate(150, size, [place], workers, calls)
    assert [failure.frame for failure in cluster.failures] == [place]
    assert f"died {DEATHS_TO_FAIL} times" in cluster.failures[0].reason
    assert set(cluster.delivered) == set(range(150)) - {place}
    assert cluster.deaths <= 3 + size.bit_length() + DEATHS_TO_FAIL
    assert all(part.frames.start <= place < part.frames.stop for part in cluster.incidents.split)
    assert not cluster.scheduler.abandoned


def test_in_the_largest_ranges_a_lone_worker_isolates_it() -> None:
    total = 3 * MAX_RANGE
    for place in (MAX_RANGE, MAX_RANGE + 700, 2 * MAX_RANGE - 1):
        ranges = [FrameRange(start, start + MAX_RANGE) for start in range(0, total, MAX_RANGE)]
        cluster = Cluster(range(total), ranges, lambda _: (0,), workers=1, capacity=1, calls=2)
        cluster.drain(kills=lambda frames, place=place: frames.start <= place < frames.stop)  # type: ignore[misc]
        assert [failure.frame for failure in cluster.failures] == [place]
        assert cluster.deaths < MAX_DEATHS_IN_A_ROW


def test_after_a_death_nobody_is_blamed_and_each_range_is_rendered_alone() -> None:
    cluster = running(1, calls=2)
    suspects = list(cluster.queues[0])
    assert len(suspects) == 3
    cluster.die(0)
    cluster.act()
    cluster.ready(0)
    alone = []
    for _ in suspects:
        alone.append([action.range.frames for action in cluster.act() if isinstance(action, Render)])
        cluster.deliver(0)
    assert alone == [[frames] for frames in suspects]
    assert not cluster.incidents.split
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(40))


def test_a_range_that_hangs_is_seen_while_others_are_rendered() -> None:
    """Those behind it are answered every other second: that is no progress of the first."""
    cluster = running(1, total=10_000, calls=2)
    while cluster.now < PATIENCE.least:
        assert not hung(cluster)
        cluster.now += 2
        cluster.deliver(0, place=1)
    cluster.now += 1
    assert hung(cluster)


def test_a_range_is_timed_from_when_it_is_the_first() -> None:
    cluster = running(1, calls=2)
    cluster.now = PATIENCE.least - 1
    cluster.deliver(0, place=1)
    cluster.deliver(0)
    cluster.now += PATIENCE.least
    assert not hung(cluster)
    cluster.now = PATIENCE.factor * (PATIENCE.least - 1) + PATIENCE.least
    assert hung(cluster)
