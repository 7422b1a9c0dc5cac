"""Ranges and loads that do not end are given up, and nothing is given up before its time."""

from __future__ import annotations

from observer import PATIENCE, blocks_by
from one_clip import Cluster, running

from actors.core.ranges import divide
from jobs.scheduling.actions import KillWorker, Render
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES


def test_a_hung_range_is_given_to_another() -> None:
    cluster = running(2)
    hung = list(cluster.queues[0])
    cluster.now = 60.0
    cluster.deliver(1)
    cluster.act()
    cluster.now = PATIENCE.least
    cluster.deliver(1)
    cluster.now = PATIENCE.factor * 60.0 + 1
    actions = cluster.act()
    assert [action.slot for action in actions if isinstance(action, KillWorker)] == [0]
    # The worker is started anew, and what it had is given to the one that works.
    assert cluster.starting == {0}
    assert [action.range.frames for action in actions if isinstance(action, Render)] == hung
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(40))
    assert any("no progress" in death.reason for death in cluster.scheduler.deaths)


def test_a_range_is_not_hung_before_its_time() -> None:
    cluster = running(1)
    cluster.now = PATIENCE.least
    assert not cluster.act()
    cluster.now += 1
    assert any(isinstance(action, KillWorker) for action in cluster.act())


def test_slow_ranges_make_the_scheduler_patient() -> None:
    cluster = running(1)
    cluster.now = 90.0
    cluster.deliver(0)
    cluster.act()
    cluster.now = 90.0 + PATIENCE.factor * 90.0
    assert not any(isinstance(action, KillWorker) for action in cluster.act())
    cluster.now += 1
    assert any(isinstance(action, KillWorker) for action in cluster.act())


def test_the_second_range_of_a_worker_is_timed_from_the_end_of_the_first() -> None:
    cluster = running(1)
    cluster.now = PATIENCE.least - 1
    cluster.deliver(0)
    cluster.now += 10
    assert not any(isinstance(action, KillWorker) for action in cluster.act())


def test_a_range_behind_one_that_came_back_is_timed_from_then_on() -> None:
    cluster = running(1)
    cluster.now = PATIENCE.least - 1
    cluster.give_back(0)
    cluster.now += 10
    assert not any(isinstance(action, KillWorker) for action in cluster.scheduler.actions(cluster.now))


def test_a_frame_that_hangs_every_worker_is_reported() -> None:
    cluster = Cluster(range(12), divide(range(12), 4), blocks_by(12), workers=2, capacity=1)
    for _ in range(200):
        if cluster.scheduler.finished:
            break
        cluster.act()
        cluster.answer_preparations()
        for slot in cluster.busy:
            if 5 not in cluster.queues[slot][0]:
                cluster.deliver(slot)
        cluster.now += PATIENCE.least + 1
        cluster.check()
    assert [failure.frame for failure in cluster.failures] == [5]
    assert "no progress" in cluster.failures[0].reason
    assert len(cluster.delivered) == 11


def test_a_load_that_does_not_end_is_given_up_and_tried_again() -> None:
    cluster = Cluster(range(4), divide(range(4), 4), blocks_by(4), workers=1, capacity=1)
    cluster.act()
    cluster.ready(0)
    for lost in range(1, MAX_BLOCK_LOSSES + 1):
        assert cluster.loading == {0}
        cluster.now += PATIENCE.least + 1
        cluster.act()
        assert cluster.incidents.blocks_lost == lost
        cluster.act()
    assert "block 0 was lost" in str(cluster.stopped)
