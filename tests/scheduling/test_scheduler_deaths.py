"""Workers that die: what kills them is isolated and reported, and a run that nobody can work on ends."""

from __future__ import annotations

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import blocks_by
from one_clip import Cluster, isolate, of_clip, running

from actors.core.ranges import FrameRange, divide
from jobs.scheduling.open_clip import DEATHS_TO_FAIL, MAX_RANGE
from jobs.scheduling.worker_state import MAX_DEATHS_IN_A_ROW, MAX_START_DEATHS


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@settings(max_examples=examples(60), deadline=None)
@given(size=st.integers(1, 64), place=st.integers(0, 149))
def test_a_poison_frame_ends_up_alone(workers: int, size: int, place: int) -> None:
    cluster = isolate(150, size, [place], workers)
    scheduler = cluster.scheduler
    assert scheduler.finished
    assert [failure.frame for failure in cluster.failures] == [place]
    assert f"died {DEATHS_TO_FAIL} times" in cluster.failures[0].reason
    assert set(cluster.delivered) == set(range(150)) - {place}
    assert cluster.deaths <= 2 + size.bit_length() + DEATHS_TO_FAIL
    assert not scheduler.abandoned


@pytest.mark.parametrize("workers", [1, 4])
def test_every_position_in_the_longest_range_is_isolated(workers: int) -> None:
    for place in range(0, 64, 5):
        cluster = isolate(64, 64, [place], workers)
        assert [failure.frame for failure in cluster.failures] == [place]
        assert len(cluster.delivered) == 63


def test_even_the_largest_range_allowed_is_isolated_by_a_lone_worker() -> None:
    for place in (0, 511, 700, MAX_RANGE - 1):
        cluster = Cluster(range(MAX_RANGE), [FrameRange(0, MAX_RANGE)], lambda _: (0,), workers=1, capacity=1)
        cluster.drain(kills=lambda frames, place=place: frames.start <= place < frames.stop)  # type: ignore[misc]
        assert [failure.frame for failure in cluster.failures] == [place]
        assert cluster.deaths < MAX_DEATHS_IN_A_ROW


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(1, 4), st.integers(1, 32), st.sets(st.integers(0, 99), min_size=2, max_size=4))
def test_several_poison_frames_cost_only_themselves(workers: int, size: int, poison: set[int]) -> None:
    cluster = isolate(100, size, poison, workers)
    # Neighbours in one range may wear a lone worker out before the last of them stands alone; then the run says so.
    failed = {failure.frame for failure in cluster.failures}
    assert failed <= poison
    assert set(cluster.delivered) <= set(range(100)) - poison
    if cluster.stopped is None:
        assert failed == poison
        assert len(cluster.delivered) == 100 - len(poison)
    else:
        assert "no worker is left" in str(cluster.stopped)


def test_a_range_that_kills_once_is_tried_again_whole() -> None:
    cluster = Cluster(range(8), [FrameRange(0, 8)], blocks_by(8), workers=1, capacity=1)
    died = iter([True])
    cluster.drain(kills=lambda _: next(died, False))
    assert sorted(cluster.delivered) == list(range(8))
    assert cluster.incidents.retried == [of_clip(FrameRange(0, 8))]
    assert not cluster.incidents.split
    assert len(cluster.scheduler.deaths) == 1


def test_only_the_range_being_rendered_is_blamed() -> None:
    """The one that waits behind it in the worker's queue is innocent, however often this happens."""
    cluster = isolate(16, 8, [0], workers=1)
    assert of_clip(FrameRange(8, 16)) not in cluster.incidents.split
    assert all(part.frames.stop <= 8 for part in cluster.incidents.split)
    assert [failure.frame for failure in cluster.failures] == [0]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_that_never_start_end_the_run(workers: int) -> None:
    cluster = Cluster(range(100), divide(range(100), 10), blocks_by(10), workers=workers, capacity=10)
    while not cluster.stopped:
        assert cluster.act() or cluster.stopped
        for slot in sorted(cluster.starting):
            cluster.die(slot, "no such library")
        cluster.check()
    assert "no worker is left: the last one died 3 times in a row (no such library)" in cluster.stopped
    assert set(cluster.starts.values()) == {MAX_START_DEATHS}
    assert not cluster.delivered
    assert not cluster.failures
    assert cluster.act() == []


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_that_die_of_everything_end_the_run(workers: int) -> None:
    cluster = Cluster(range(200), divide(range(200), 64), blocks_by(64), workers=workers, capacity=4)
    cluster.drain(kills=lambda _: True)
    assert "no worker is left" in str(cluster.stopped)
    assert not cluster.delivered
    assert cluster.deaths <= workers * MAX_DEATHS_IN_A_ROW
    assert cluster.scheduler.open_slots == 0
    assert sorted(cluster.scheduler.abandoned) == list(range(workers))


def test_a_worker_that_dies_now_and_then_is_kept() -> None:
    cluster = Cluster(range(400), divide(range(400), 4), blocks_by(64), workers=1, capacity=7)
    rendered = iter(range(10**6))
    cluster.drain(kills=lambda _: next(rendered) % 3 == 0)
    assert sorted(cluster.delivered) == list(range(400))
    assert cluster.deaths > 2 * MAX_DEATHS_IN_A_ROW


def test_a_worker_that_fails_to_start_twice_is_tried_a_third_time() -> None:
    cluster = Cluster(range(10), [FrameRange(0, 10)], blocks_by(10), workers=1, capacity=1)
    for _ in range(MAX_START_DEATHS - 1):
        cluster.act()
        cluster.die(0)
    cluster.drain()
    assert len(cluster.delivered) == 10


def test_the_others_go_on_without_a_worker_that_never_starts() -> None:
    cluster = Cluster(range(60), divide(range(60), 5), blocks_by(10), workers=3, capacity=6)
    while not cluster.scheduler.finished:
        cluster.act()
        if 1 in cluster.starting:
            cluster.die(1)
        cluster.answer_all()
        cluster.check()
    assert cluster.scheduler.open_slots == 2
    assert cluster.starts[1] == MAX_START_DEATHS


def test_a_death_names_the_process_that_died() -> None:
    """And none where the next one had not come up yet."""
    cluster = running(1)
    pid = cluster.pids[0]
    cluster.die(0)
    cluster.act()
    cluster.die(0, "no such library")
    deaths = [(death.worker, death.pid, death.reason) for death in cluster.scheduler.deaths]
    assert deaths == [(0, pid, "killed"), (0, None, "no such library")]
