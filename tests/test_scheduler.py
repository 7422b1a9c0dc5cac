"""The scheduler under arbitrary events: no frame is lost or counted twice, and every run ends.

`Cluster` stands for Ray: it carries out the scheduler's actions and keeps its own books of frames, workers and blocks,
from what an outsider sees: actions, events and public properties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.core.report import FrameFailure
from actors.core.timeline import FrameRange, Loop, divide
from jobs.plan import BlockPlan, Pairing, plan_ranges
from jobs.scheduler import (
    DEATHS_TO_FAIL,
    MAX_BLOCK_LOSSES,
    MAX_DEATHS_IN_A_ROW,
    MAX_RANGE,
    MAX_START_DEATHS,
    RANGES_IN_FLIGHT,
    Action,
    CancelLoad,
    DropBlock,
    KillWorker,
    LoadBlock,
    Patience,
    Render,
    Scheduler,
    StartWorker,
)

BlocksOf = Callable[[FrameRange], tuple[int, ...]]

PATIENCE = Patience(least=100.0, factor=10.0)


def blocks_by(frames_per_block: int) -> BlocksOf:
    return lambda frames: tuple(sorted({frame // frames_per_block for frame in frames}))


class Cluster:
    """What an observer between the scheduler and Ray sees; every assertion here is one of the scheduler's promises."""

    def __init__(
        self,
        frames: Iterable[int],
        ranges: Iterable[FrameRange],
        blocks_of: BlocksOf,
        *,
        workers: int,
        capacity: int,
        loaders: int = 2,
    ) -> None:
        self.frames = frozenset(frames)
        self.blocks_of = blocks_of
        self.capacity = capacity
        self.loaders = loaders
        self.now = 0.0
        self.scheduler = Scheduler(
            ranges, blocks_of, workers=workers, capacity=capacity, loaders=loaders, patience=PATIENCE
        )
        # Workers by slot: those being started, and what the ready ones were given, oldest first.
        self.starting: set[int] = set()
        self.queues: dict[int, list[FrameRange]] = {}
        self.since: dict[int, float] = {}
        self.loading: set[int] = set()
        self.asked: dict[int, float] = {}
        self.cancelled: Counter[int] = Counter()
        self.loaded: set[int] = set()
        self.delivered: list[int] = []
        self.reported: list[FrameFailure] = []
        self.starts: Counter[int] = Counter()
        self.deaths = 0
        self.renders = 0

    def act(self) -> list[Action]:
        actions = self.scheduler.actions(self.now)
        for action in actions:
            match action:
                case StartWorker(slot):
                    assert slot not in self.starting
                    assert slot not in self.queues
                    self.starting.add(slot)
                    self.starts[slot] += 1
                case KillWorker(slot, reason):
                    # Only a worker that was given something and took too long.
                    assert self.queues[slot]
                    assert self.now - self.since[slot] > PATIENCE.least
                    assert reason
                    self.deaths += 1
                    del self.queues[slot]
                case LoadBlock(block):
                    assert block not in self.loading | self.loaded
                    self.loading.add(block)
                    self.asked[block] = self.now
                    assert len(self.loading) <= self.loaders
                case CancelLoad(block):
                    # Only a load that took too long.
                    assert block in self.loading
                    assert self.now - self.asked[block] > PATIENCE.least
                    self.loading.remove(block)
                    self.cancelled[block] += 1
                case DropBlock(block):
                    assert block in self.loaded
                    assert block not in self.pinned
                    self.loaded.remove(block)
                case Render(slot, frames, blocks):
                    self._take(slot, frames, blocks)
            assert len(self.loading | self.loaded) <= self.capacity
        # Each action is given once: asking again at once brings nothing.
        assert self.scheduler.actions(self.now) == []
        return actions

    def _take(self, slot: int, frames: FrameRange, blocks: tuple[int, ...]) -> None:
        assert blocks == self.blocks_of(frames)
        assert self.loaded.issuperset(blocks)
        queue = self.queues[slot]
        assert len(queue) < RANGES_IN_FLIGHT
        if not queue:
            self.since[slot] = self.now
        queue.append(frames)
        self.renders += 1

    @property
    def pinned(self) -> set[int]:
        return {block for queue in self.queues.values() for frames in queue for block in self.blocks_of(frames)}

    def check(self) -> None:
        """Every frame is in one place: with one worker, delivered, failed, or else still to be given out."""
        scheduler = self.scheduler
        in_flight = [frame for queue in self.queues.values() for frames in queue for frame in frames]
        failed = [failure.frame for failure in scheduler.failures]
        places = Counter([*in_flight, *self.delivered, *failed])
        assert self.frames.issuperset(places)
        assert max(places.values(), default=1) == 1
        assert scheduler.done == len(self.delivered)
        assert scheduler.total == len(self.frames)
        assert scheduler.in_flight == sum(map(len, self.queues.values()))
        assert scheduler.finished == (len(self.delivered) + len(failed) == len(self.frames))
        assert not (scheduler.finished and scheduler.stop_reason)
        assert scheduler.ready_workers == len(self.queues)
        assert [failure for failure in scheduler.failures if "died" not in failure.reason] == self.reported

    def ready(self, slot: int) -> None:
        self.starting.remove(slot)
        self.queues[slot] = []
        self.scheduler.worker_ready(slot)

    def die(self, slot: int, reason: str = "killed") -> None:
        self.deaths += 1
        self.starting.discard(slot)
        self.queues.pop(slot, None)
        self.scheduler.worker_died(slot, reason)

    def deliver(self, slot: int, bad: Collection[int] = ()) -> None:
        frames = self.queues[slot].pop(0)
        self.since[slot] = self.now
        failures = tuple(FrameFailure(frame, "NaN") for frame in frames if frame in bad)
        self.reported += failures
        self.delivered += [frame for frame in frames if frame not in bad]
        self.scheduler.range_done(slot, frames, failures, self.now)

    def give_back(self, slot: int) -> None:
        frames = self.queues[slot].pop(0)
        self.scheduler.range_returned(slot, frames, self.now)

    def load(self, block: int) -> None:
        self.loading.remove(block)
        self.loaded.add(block)
        self.scheduler.block_loaded(block)

    def lose(self, block: int) -> None:
        self.loading.discard(block)
        self.loaded.discard(block)
        self.scheduler.block_lost(block, "its node is gone")

    @property
    def busy(self) -> list[int]:
        return sorted(slot for slot, queue in self.queues.items() if queue)

    def answer_all(self, *, kills: Callable[[FrameRange], bool] = lambda _: False) -> None:
        """One round in which everything outstanding is answered; ranges that ``kills`` take their worker along."""
        for slot in sorted(self.starting):
            self.ready(slot)
        for block in sorted(self.loading):
            self.load(block)
        for slot in self.busy:
            if kills(self.queues[slot][0]):
                self.die(slot)
            else:
                self.deliver(slot)

    def drain(self, *, kills: Callable[[FrameRange], bool] = lambda _: False) -> None:
        """Answers everything until the end. A round without any effect would be a hang."""
        while not self.scheduler.finished and not self.scheduler.stop_reason:
            self.now += 1.0
            actions = self.act()
            assert actions or self.starting or self.loading or self.busy, "nothing outstanding, and yet not finished"
            self.answer_all(kills=kills)
            self.check()
            # Far above what any of the runs here takes; an endless loop ends here.
            assert self.renders < 40 * len(self.frames) + 1000
            assert sum(self.starts.values()) < 40 * len(self.frames) + 1000


@dataclass(frozen=True)
class Layout:
    """A run as the planner lays it out: with gaps, any loop and a store that holds all of the clip or little of it."""

    frames: tuple[int, ...]
    ranges: tuple[FrameRange, ...]
    blocks_of: BlocksOf
    capacity: int
    workers: int
    loaders: int

    def start(self) -> Cluster:
        return Cluster(
            self.frames,
            self.ranges,
            self.blocks_of,
            workers=self.workers,
            capacity=self.capacity,
            loaders=self.loaders,
        )


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    total = draw(st.integers(1, 90))
    missing = draw(st.sets(st.integers(0, total - 1), max_size=total // 3))
    frames = tuple(sorted(set(range(total)) - missing))
    backgrounds = draw(st.integers(1, 60))
    size = draw(st.integers(1, 12))
    plan = BlockPlan(size, -(-backgrounds // size), 0, 1)
    pairing = Pairing(draw(st.sampled_from([Loop.BOUNCE, Loop.MIRROR, Loop.WRAP])), backgrounds)
    workers = draw(st.integers(1, 4))
    ranges = plan_ranges(frames, workers, draw(st.integers(1, 4)), size)

    def blocks_of(part: FrameRange) -> tuple[int, ...]:
        return pairing.blocks_of(part, plan)

    least = max((len(blocks_of(part)) for part in ranges), default=1)
    capacity = draw(st.integers(least, max(plan.count, least) + 1))
    return Layout(frames, ranges, blocks_of, capacity, workers, draw(st.integers(1, 4)))


class Run(RuleBasedStateMachine):
    """Events in any order; after each one every frame must be accounted for."""

    cluster: Cluster
    losses: Counter[int]
    growths: int

    @initialize(layout=layouts())
    def begin(self, layout: Layout) -> None:
        self.cluster = layout.start()
        self.losses = Counter()
        self.growths = 0

    @rule(seconds=st.floats(0, 30))
    def act(self, seconds: float) -> None:
        self.cluster.now += seconds
        self.cluster.act()

    @precondition(lambda self: self.cluster.starting)
    @rule(data=st.data())
    def worker_ready(self, data: st.DataObject) -> None:
        self.cluster.ready(data.draw(st.sampled_from(sorted(self.cluster.starting))))

    @precondition(lambda self: self.cluster.starting or self.cluster.queues)
    @rule(data=st.data())
    def worker_died(self, data: st.DataObject) -> None:
        alive = sorted(self.cluster.starting | self.cluster.queues.keys())
        self.cluster.die(data.draw(st.sampled_from(alive)))

    @precondition(lambda self: self.cluster.busy)
    @rule(data=st.data())
    def range_done(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(self.cluster.busy))
        frames = list(self.cluster.queues[slot][0])
        bad = data.draw(st.one_of(st.just(set[int]()), st.sets(st.sampled_from(frames))))
        self.cluster.deliver(slot, bad)

    @precondition(lambda self: self.cluster.busy)
    @rule(data=st.data())
    def range_returned(self, data: st.DataObject) -> None:
        self.cluster.give_back(data.draw(st.sampled_from(self.cluster.busy)))

    @precondition(lambda self: self.cluster.loading)
    @rule(data=st.data())
    def block_loaded(self, data: st.DataObject) -> None:
        self.cluster.load(data.draw(st.sampled_from(sorted(self.cluster.loading))))

    @precondition(lambda self: self.cluster.loading | self.cluster.loaded)
    @rule(data=st.data())
    def block_lost(self, data: st.DataObject) -> None:
        block = data.draw(st.sampled_from(sorted(self.cluster.loading | self.cluster.loaded)))
        self.losses[block] += 1
        self.cluster.lose(block)

    @precondition(lambda self: self.cluster.busy)
    @rule()
    def hang(self) -> None:
        hung = self.cluster.busy
        self.cluster.now += 10 * PATIENCE.least + PATIENCE.factor * self.cluster.now
        killed = {action.slot for action in self.cluster.act() if isinstance(action, KillWorker)}
        if not self.cluster.scheduler.stop_reason:
            assert killed.issuperset(hung)

    @precondition(lambda self: self.growths < 3 and not self.cluster.scheduler.stop_reason)
    @rule(room=st.integers(0, 6))
    def grow(self, room: int) -> None:
        self.growths += 1
        scheduler = self.cluster.scheduler
        before, given_up = scheduler.open_slots, len(scheduler.accounts.abandoned)
        scheduler.grow(room)
        assert scheduler.open_slots == max(before, room - given_up)

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        self.cluster.check()

    @invariant()
    def stopping_has_a_cause(self) -> None:
        scheduler = self.cluster.scheduler
        if scheduler.stop_reason:
            assert (
                scheduler.open_slots == 0
                or max((self.losses + self.cluster.cancelled).values(), default=0) >= MAX_BLOCK_LOSSES
            )
            assert scheduler.actions(self.cluster.now) == []

    def teardown(self) -> None:
        """However the run stands now: if nothing else goes wrong, it ends."""
        if not hasattr(self, "cluster"):
            return
        self.cluster.drain()
        scheduler = self.cluster.scheduler
        if not scheduler.stop_reason:
            failed = {failure.frame for failure in scheduler.failures}
            assert set(self.cluster.delivered) | failed == self.cluster.frames
            assert scheduler.actions(self.cluster.now) == []


Run.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRun = Run.TestCase


@settings(max_examples=150, deadline=None)
@given(layouts())
def test_an_undisturbed_run_renders_every_range_once(layout: Layout) -> None:
    cluster = layout.start()
    cluster.drain()
    assert sorted(cluster.delivered) == sorted(layout.frames)
    assert cluster.renders == len(layout.ranges)
    assert not cluster.scheduler.failures
    assert cluster.deaths == 0


@settings(max_examples=60, deadline=None)
@given(layouts(), st.data())
def test_frames_that_workers_cannot_deliver_are_failures_and_not_tried_again(
    layout: Layout, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.sampled_from(layout.frames)))
    cluster = layout.start()
    while not cluster.scheduler.finished:
        cluster.act()
        for slot in sorted(cluster.starting):
            cluster.ready(slot)
        for block in sorted(cluster.loading):
            cluster.load(block)
        for slot in cluster.busy:
            cluster.deliver(slot, bad)
    assert {failure.frame for failure in cluster.scheduler.failures} == bad
    assert set(cluster.delivered) == set(layout.frames) - bad
    assert cluster.renders == len(layout.ranges)


def isolate(total: int, size: int, poison: Collection[int], workers: int) -> Cluster:
    cluster = Cluster(range(total), divide(range(total), size), blocks_by(16), workers=workers, capacity=6)
    cluster.drain(kills=lambda frames: not set(poison).isdisjoint(frames))
    return cluster


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 64), place=st.integers(0, 149))
def test_a_poison_frame_ends_up_alone(workers: int, size: int, place: int) -> None:
    cluster = isolate(150, size, [place], workers)
    scheduler = cluster.scheduler
    assert scheduler.finished
    assert [failure.frame for failure in scheduler.failures] == [place]
    assert f"died {DEATHS_TO_FAIL} times" in scheduler.failures[0].reason
    assert set(cluster.delivered) == set(range(150)) - {place}
    assert cluster.deaths <= 2 + size.bit_length() + DEATHS_TO_FAIL
    assert not scheduler.accounts.abandoned


@pytest.mark.parametrize("workers", [1, 4])
def test_every_position_in_the_longest_range_is_isolated(workers: int) -> None:
    for place in range(0, 64, 5):
        cluster = isolate(64, 64, [place], workers)
        assert [failure.frame for failure in cluster.scheduler.failures] == [place]
        assert len(cluster.delivered) == 63


def test_even_the_largest_range_allowed_is_isolated_by_a_lone_worker() -> None:
    for place in (0, 511, 700, MAX_RANGE - 1):
        cluster = Cluster(range(MAX_RANGE), [FrameRange(0, MAX_RANGE)], lambda _: (0,), workers=1, capacity=1)
        cluster.drain(kills=lambda frames, place=place: frames.start <= place < frames.stop)  # type: ignore[misc]
        assert [failure.frame for failure in cluster.scheduler.failures] == [place]
        assert cluster.deaths < MAX_DEATHS_IN_A_ROW


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 32), st.sets(st.integers(0, 99), min_size=2, max_size=4))
def test_several_poison_frames_cost_only_themselves(workers: int, size: int, poison: set[int]) -> None:
    cluster = isolate(100, size, poison, workers)
    # Neighbours in one range may wear a lone worker out before the last of them stands alone; then the run says so.
    failed = {failure.frame for failure in cluster.scheduler.failures}
    assert failed <= poison
    assert set(cluster.delivered) <= set(range(100)) - poison
    if cluster.scheduler.finished:
        assert failed == poison
        assert len(cluster.delivered) == 100 - len(poison)
    else:
        assert "no worker is left" in str(cluster.scheduler.stop_reason)


def test_a_range_that_kills_once_is_tried_again_whole() -> None:
    cluster = Cluster(range(8), [FrameRange(0, 8)], blocks_by(8), workers=1, capacity=1)
    died = iter([True])
    cluster.drain(kills=lambda _: next(died, False))
    assert sorted(cluster.delivered) == list(range(8))
    assert cluster.scheduler.accounts.retried == [FrameRange(0, 8)]
    assert not cluster.scheduler.accounts.split
    assert len(cluster.scheduler.accounts.deaths) == 1


def test_only_the_range_being_rendered_is_blamed() -> None:
    """The one that waits behind it in the worker's queue is innocent, however often this happens."""
    cluster = isolate(16, 8, [0], workers=1)
    assert FrameRange(8, 16) not in cluster.scheduler.accounts.split
    assert all(part.stop <= 8 for part in cluster.scheduler.accounts.split)
    assert [failure.frame for failure in cluster.scheduler.failures] == [0]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_that_never_start_end_the_run(workers: int) -> None:
    cluster = Cluster(range(100), divide(range(100), 10), blocks_by(10), workers=workers, capacity=10)
    while not cluster.scheduler.stop_reason:
        assert cluster.act()
        for slot in sorted(cluster.starting):
            cluster.die(slot, "no such library")
        cluster.check()
    assert "no such library" in cluster.scheduler.stop_reason
    assert set(cluster.starts.values()) == {MAX_START_DEATHS}
    assert not cluster.delivered
    assert not cluster.scheduler.failures
    assert cluster.act() == []


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_that_die_of_everything_end_the_run(workers: int) -> None:
    cluster = Cluster(range(200), divide(range(200), 64), blocks_by(64), workers=workers, capacity=4)
    cluster.drain(kills=lambda _: True)
    assert "no worker is left" in str(cluster.scheduler.stop_reason)
    assert not cluster.delivered
    assert cluster.deaths <= workers * MAX_DEATHS_IN_A_ROW
    assert cluster.scheduler.open_slots == 0
    assert sorted(cluster.scheduler.accounts.abandoned) == list(range(workers))


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
    assert cluster.scheduler.accounts.abandoned == [1]
    assert cluster.starts[1] == MAX_START_DEATHS


def test_growing_does_not_bring_back_workers_that_never_start() -> None:
    """The cluster still has room for two, because the broken worker is not there: asking must not start it again."""
    cluster = Cluster(range(60), divide(range(60), 5), blocks_by(10), workers=2, capacity=6)
    for _ in range(MAX_START_DEATHS):
        cluster.act()
        cluster.die(1)
    cluster.scheduler.grow(2)
    cluster.act()
    assert cluster.starting == {0}


def running(workers: int, total: int = 40, size: int = 10) -> Cluster:
    """A run whose workers have been given their first ranges at time 0, blocks all there."""
    cluster = Cluster(range(total), divide(range(total), size), blocks_by(total), workers=workers, capacity=1)
    cluster.act()
    for slot in sorted(cluster.starting):
        cluster.ready(slot)
    cluster.load(0)
    cluster.act()
    return cluster


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
    assert [action.frames for action in actions if isinstance(action, Render)] == hung
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(40))
    assert any("no progress" in death for death in cluster.scheduler.accounts.deaths)


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
    cluster.scheduler.range_returned(0, cluster.queues[0].pop(0), cluster.now)
    cluster.now += 10
    assert not any(isinstance(action, KillWorker) for action in cluster.scheduler.actions(cluster.now))


def test_a_frame_that_hangs_every_worker_is_reported() -> None:
    cluster = Cluster(range(12), divide(range(12), 4), blocks_by(12), workers=2, capacity=1)
    for _ in range(200):
        if cluster.scheduler.finished:
            break
        cluster.act()
        for slot in sorted(cluster.starting):
            cluster.ready(slot)
        for block in sorted(cluster.loading):
            cluster.load(block)
        for slot in cluster.busy:
            if 5 not in cluster.queues[slot][0]:
                cluster.deliver(slot)
        cluster.now += PATIENCE.least + 1
        cluster.check()
    assert [failure.frame for failure in cluster.scheduler.failures] == [5]
    assert "no progress" in cluster.scheduler.failures[0].reason
    assert len(cluster.delivered) == 11


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(2, 9))
def test_a_clip_larger_than_the_store_is_streamed(capacity: int, workers: int, loaders: int, size: int) -> None:
    ranges = divide(range(200), size)
    blocks_of = blocks_by(size * 2)
    capacity = max(capacity, *(len(blocks_of(part)) for part in ranges))
    cluster = Cluster(range(200), ranges, blocks_of, workers=workers, capacity=capacity, loaders=loaders)
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(200))


def test_streaming_forwards_loads_every_block_once() -> None:
    cluster = Cluster(range(120), divide(range(120), 5), blocks_by(10), workers=2, capacity=3)
    loads: Counter[int] = Counter()
    drops: Counter[int] = Counter()
    while not cluster.scheduler.finished:
        for action in cluster.act():
            if isinstance(action, LoadBlock):
                loads[action.block] += 1
            if isinstance(action, DropBlock):
                drops[action.block] += 1
        cluster.answer_all()
    assert loads == Counter(range(12))
    assert max(drops.values()) == 1


def test_blocks_load_ahead_while_ranges_are_rendered() -> None:
    cluster = Cluster(range(40), divide(range(40), 10), blocks_by(10), workers=1, capacity=4)
    cluster.act()
    cluster.ready(0)
    cluster.load(0)
    cluster.act()
    assert cluster.queues[0] == [FrameRange(0, 10)]
    assert cluster.loading == {1, 2}


def test_a_worker_is_given_the_first_range_whose_blocks_are_there() -> None:
    cluster = Cluster(range(40), divide(range(40), 10), blocks_by(10), workers=1, capacity=4)
    cluster.act()
    cluster.ready(0)
    cluster.load(1)
    assert [action.frames for action in cluster.act() if isinstance(action, Render)] == [FrameRange(10, 20)]


def test_a_lost_block_is_loaded_again() -> None:
    cluster = running(1)
    cluster.lose(0)
    cluster.give_back(0)
    cluster.give_back(0)
    assert cluster.act() == [LoadBlock(0)]
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(40))
    assert cluster.scheduler.accounts.blocks_lost == 1


def test_a_block_that_is_lost_again_and_again_ends_the_run() -> None:
    cluster = Cluster(range(10), [FrameRange(0, 10)], blocks_by(10), workers=1, capacity=1)
    for _ in range(MAX_BLOCK_LOSSES):
        assert cluster.scheduler.stop_reason is None
        cluster.act()
        cluster.lose(0)
    assert "block 0 was lost" in str(cluster.scheduler.stop_reason)
    assert cluster.act() == []


def test_one_loss_reported_by_many_ranges_is_one_loss() -> None:
    """A node goes and takes a block along: each of the ranges in flight on it says so, and it is one loss."""
    cluster = running(4, total=80)
    for _ in cluster.queues:
        cluster.lose(0)
        cluster.lose(0)
    for slot in list(cluster.queues):
        cluster.give_back(slot)
        cluster.give_back(slot)
    assert cluster.scheduler.stop_reason is None
    assert cluster.scheduler.accounts.blocks_lost == 1


def test_growing_adds_workers_that_are_used() -> None:
    cluster = running(1, total=200)
    cluster.scheduler.grow(3)
    cluster.act()
    assert cluster.starting == {1, 2}
    for slot in (1, 2):
        cluster.ready(slot)
    cluster.act()
    assert all(len(queue) == RANGES_IN_FLIGHT for queue in cluster.queues.values())
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
    "how", [{"capacity": 1, "loaders": 1}, {"capacity": 2, "loaders": 0}], ids=["capacity", "loaders"]
)
def test_a_layout_that_could_never_end_is_refused(how: Mapping[str, int]) -> None:
    with pytest.raises(ValueError, match="needs 2 blocks at once"):
        Cluster(range(8), [FrameRange(0, 8)], blocks_by(4), workers=1, **how)


def test_a_range_too_long_to_isolate_a_poison_frame_in_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_RANGE} frames"):
        Cluster(range(MAX_RANGE + 1), [FrameRange(0, MAX_RANGE + 1)], lambda _: (0,), workers=1, capacity=1)


def test_a_load_that_does_not_end_is_given_up_and_tried_again() -> None:
    cluster = Cluster(range(4), divide(range(4), 4), blocks_by(4), workers=1, capacity=1)
    cluster.act()
    cluster.ready(0)
    for lost in range(1, MAX_BLOCK_LOSSES + 1):
        assert cluster.loading == {0}
        cluster.now += PATIENCE.least + 1
        cluster.act()
        assert cluster.scheduler.accounts.blocks_lost == lost
        cluster.act()
    assert "block 0 was lost" in str(cluster.scheduler.stop_reason)
