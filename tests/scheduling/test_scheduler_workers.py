"""How many workers there are, who is given what first, and layouts that could never end."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from observer import blocks_by
from one_clip import Cluster, running

from actors.core.ranges import FrameRange, divide
from jobs.scheduling.open_clip import MAX_RANGE
from jobs.scheduling.scheduler import RANGES_WAITING
from jobs.scheduling.worker_state import MAX_START_DEATHS


def test_growing_does_not_bring_back_workers_that_never_start() -> None:
    """The cluster still has room for two, because the broken worker is not there: asking must not start it again."""
    cluster = Cluster(range(60), divide(range(60), 5), blocks_by(10), workers=2, capacity=6)
    for _ in range(MAX_START_DEATHS):
        cluster.act()
        cluster.die(1)
    cluster.scheduler.grow(2)
    cluster.act()
    assert cluster.starting == {0}


def test_growing_adds_workers_that_are_used() -> None:
    cluster = running(1, total=200)
    cluster.scheduler.grow(3)
    cluster.act()
    assert cluster.starting == {1, 2}
    for slot in (1, 2):
        cluster.ready(slot)
    cluster.act()
    assert all(len(queue) == 1 + RANGES_WAITING for queue in cluster.queues.values())
    cluster.scheduler.grow(2)
    assert cluster.scheduler.open_slots == 3


def test_the_first_ranges_are_spread_before_anyone_gets_a_second() -> None:
    cluster = running(2, total=30)
    assert [len(queue) for queue in cluster.queues.values()] == [2, 1]


def test_nothing_to_render_is_finished_at_once() -> None:
    cluster = Cluster([], [], blocks_by(1), workers=1, capacity=1)
    assert cluster.scheduler.finished
    assert cluster.act() == []
    cluster.check()


@pytest.mark.parametrize(
    ("how", "said"),
    [({"capacity": 1, "loaders": 1}, "needs 2 blocks"), ({"capacity": 2, "loaders": 0}, "without a loader")],
    ids=["capacity", "loaders"],
)
def test_a_layout_that_could_never_end_is_refused(how: Mapping[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Cluster(range(8), [FrameRange(0, 8)], blocks_by(4), workers=1, **how)


def test_a_range_too_long_to_isolate_a_poison_frame_in_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_RANGE} frames"):
        Cluster(range(MAX_RANGE + 1), [FrameRange(0, MAX_RANGE + 1)], lambda _: (0,), workers=1, capacity=1)
