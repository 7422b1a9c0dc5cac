"""How much a worker is given at once: the faster it is, the more."""

from __future__ import annotations

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import Layout, layouts
from observer import blocks_by
from one_clip import Cluster, running

from actors.core.ranges import FrameRange, divide
from jobs.scheduling.actions import Render
from jobs.scheduling.open_clip import MAX_RANGE
from jobs.scheduling.scheduler import CALL_SECONDS, CALL_SHARE, LEAST_CALL_SECONDS


def given_out(cluster: Cluster) -> list[FrameRange]:
    return [action.range.frames for action in cluster.act() if isinstance(action, Render)]


def after_one(cluster: Cluster, seconds: float) -> list[FrameRange]:
    """What worker 0 is given after it rendered its first range in so many seconds."""
    cluster.deliver(0, seconds=seconds)
    cluster.check()
    return given_out(cluster)


def test_a_fast_worker_is_given_half_a_second_of_work() -> None:
    cluster = running(1, total=1000)
    # 10 frames in 0.05 s are 200 frames a second.
    assert after_one(cluster, 0.05) == [FrameRange(20, 20 + int(200 * CALL_SECONDS))]
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(1000))


def test_a_slow_worker_is_given_what_was_planned() -> None:
    assert after_one(running(1, total=1000), 0.5) == [FrameRange(20, 30)]


def test_pace_is_the_workers_own() -> None:
    """Answers that waited for the driver come together; that makes nobody fast."""
    cluster = running(1, total=1000)
    cluster.now += 100.0
    cluster.deliver(0, seconds=50.0)
    # The scheduler's clock says a thousandth of a second, the worker's says fifty.
    cluster.now += 0.001
    cluster.deliver(0, seconds=50.0)
    assert given_out(cluster) == [FrameRange(20, 30), FrameRange(30, 40)]


def test_what_a_faster_worker_gave_back_is_cut_again() -> None:
    cluster = running(2, total=1000)
    assert after_one(cluster, 0.05) == [FrameRange(40, 140)]
    cluster.deliver(0, seconds=0.05)
    assert given_out(cluster) == [FrameRange(140, 240)]
    # The first of its two ranges is suspect, the second only lost its worker.
    cluster.die(0)
    cluster.deliver(1, seconds=1.0)
    assert given_out(cluster) == [FrameRange(40, 140)]
    cluster.deliver(1, seconds=1.0)
    assert given_out(cluster) == [FrameRange(140, 150)]
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(1000))


def test_a_worker_that_was_replaced_begins_anew() -> None:
    cluster = running(1, total=1000)
    assert after_one(cluster, 0.05) == [FrameRange(20, 120)]
    cluster.die(0)
    cluster.act()
    cluster.ready(0)
    assert [len(frames) for frames in given_out(cluster)] == [10, 10]


def test_each_worker_is_judged_by_itself() -> None:
    cluster = running(2, total=1000)
    assert after_one(cluster, 0.05) == [FrameRange(40, 140)]
    cluster.deliver(1, seconds=0.5)
    assert given_out(cluster) == [FrameRange(140, 150)]


def test_towards_the_end_all_workers_keep_their_share() -> None:
    assert CALL_SHARE == 0.5
    # 10 frames are with the worker and 80 are left.
    assert after_one(running(1, total=100), 0.05) == [FrameRange(20, 60)]
    # Of 130 that are left two workers get no more than 32 at a time, and so three ranges of 10.
    assert after_one(running(2, total=170), 0.05) == [FrameRange(40, 70)]


def test_at_the_end_no_range_is_too_short_to_be_worth_a_call() -> None:
    # A thousand frames a second: 40 of them, which is more than half of the 50 that are left.
    assert LEAST_CALL_SECONDS == 0.04
    assert after_one(running(1, total=70), 0.01) == [FrameRange(20, 60)]
    # At a hundred a second what was planned takes longer than that.
    assert after_one(running(1, total=50), 0.1) == [FrameRange(20, 30)]


def test_no_range_is_longer_than_a_poison_frame_can_be_found_in() -> None:
    found = after_one(running(1, total=20_000), 0.0001)
    assert 0 <= MAX_RANGE - len(found[0]) < 10


def test_frames_that_are_done_already_end_a_range() -> None:
    cluster = Cluster(
        [*range(35), *range(36, 1000)],
        [*divide(range(35), 10), *divide(range(36, 1000), 10)],
        blocks_by(1000),
        workers=1,
        capacity=1,
    )
    cluster.begin()
    assert after_one(cluster, 0.05) == [FrameRange(20, 35)]


def test_a_range_that_has_killed_stands_alone() -> None:
    cluster = running(3, total=1000)
    # Worker 1 dies at its second range, 40:50, and worker 0 at its first, 0:10; 30:40 only waited behind that one.
    cluster.deliver(1, seconds=1.0)
    cluster.act()
    cluster.die(1)
    cluster.die(0)
    for suspect_or_not in (FrameRange(0, 10), FrameRange(30, 40), FrameRange(40, 50)):
        cluster.deliver(2, seconds=0.05)
        assert given_out(cluster) == [suspect_or_not]
    cluster.deliver(2, seconds=0.05)
    assert given_out(cluster) == [FrameRange(60, 160)]


def test_where_the_store_holds_only_a_part_of_the_clip_ranges_stay_short() -> None:
    cluster = Cluster(range(1000), divide(range(1000), 10), blocks_by(100), workers=1, capacity=9)
    cluster.act()
    cluster.ready(0)
    while cluster.loading:
        cluster.load(min(cluster.loading))
        cluster.act()
    assert after_one(cluster, 0.05) == [FrameRange(20, 30)]


def test_blocks_that_are_not_there_yet_are_not_waited_for() -> None:
    cluster = Cluster(range(1000), divide(range(1000), 10), blocks_by(50), workers=1, capacity=20)
    cluster.begin()
    assert after_one(cluster, 0.05) == [FrameRange(20, 50)]


@settings(max_examples=examples(150), deadline=None)
@given(layouts(), st.floats(1e-4, 1.0), st.data())
def test_at_any_pace_every_frame_is_rendered_once(layout: Layout, each: float, data: st.DataObject) -> None:
    cluster = layout.start()
    while not cluster.scheduler.finished:
        cluster.act()
        cluster.answer_preparations()
        if cluster.busy:
            slot = data.draw(st.sampled_from(cluster.busy))
            cluster.deliver(slot, seconds=each * len(cluster.queues[slot][0]))
        cluster.check()
    assert sorted(cluster.delivered) == sorted(layout.frames)
