"""What an observer between the scheduler and Ray sees: the frames, workers and blocks of a run, in books of his own.

`Cluster` stands for Ray. It carries out the scheduler's actions and checks its promises from the outside, by actions,
events and public properties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from hypothesis import strategies as st

from actors.core.choices import Loop
from actors.core.pairing import Pairing
from actors.core.ranges import ClipBlock, ClipRange, FrameRange, divide
from actors.core.worker_reports import FrameFailure
from jobs.planning.block_plan import BlockPlan
from jobs.planning.range_plan import plan_ranges
from jobs.scheduling.actions import Action, CancelLoad, DropBlock, KillWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.scheduler import MAX_RANGE, RANGES_WAITING, Patience, Scheduler

BlocksOf = Callable[[FrameRange], tuple[int, ...]]

# The run's only clip, which goes without saying in tests.
CLIP = "clip"

PATIENCE = Patience(least=100.0, factor=10.0)


def blocks_by(frames_per_block: int) -> BlocksOf:
    return lambda frames: tuple(sorted({frame // frames_per_block for frame in frames}))


def of_clip(frames: FrameRange) -> ClipRange:
    return ClipRange(CLIP, frames)


def block_of_clip(number: int) -> ClipBlock:
    return ClipBlock(CLIP, number)


def frames_of(given: ClipRange) -> FrameRange:
    assert given.clip == CLIP
    return given.frames


def number_of(block: ClipBlock) -> int:
    assert block.clip == CLIP
    return block.number


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
        calls: int = 1,
    ) -> None:
        self.frames = frozenset(frames)
        self.blocks_of = blocks_of
        self.capacity = capacity
        self.loaders = loaders
        self.calls = calls
        # What was with a worker of several ranges when that died.
        self.suspects: set[FrameRange] = set()
        self.now = 0.0
        self.scheduler = Scheduler(
            map(of_clip, ranges),
            lambda given: tuple(map(block_of_clip, blocks_of(frames_of(given)))),
            workers=workers,
            capacity=capacity,
            loaders=loaders,
            patience=PATIENCE,
            calls=calls,
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
        # The process of each ready worker, and how the record is to name each one that died.
        self.pids: dict[int, int] = {}
        self.dead: list[tuple[int, int | None]] = []
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
                    self._bury(slot)
                    self._suspect(self.queues.pop(slot))
                case LoadBlock(loaded):
                    block = number_of(loaded)
                    assert block not in self.loading | self.loaded
                    self.loading.add(block)
                    self.asked[block] = self.now
                    assert len(self.loading) <= self.loaders
                case CancelLoad(given_up):
                    block = number_of(given_up)
                    # Only a load that took too long.
                    assert block in self.loading
                    assert self.now - self.asked[block] > PATIENCE.least
                    self.loading.remove(block)
                    self.cancelled[block] += 1
                case DropBlock(dropped):
                    block = number_of(dropped)
                    assert block in self.loaded
                    assert block not in self.pinned
                    self.loaded.remove(block)
                case Render(slot, given, blocks):
                    self._take(slot, frames_of(given), tuple(map(number_of, blocks)))
            assert len(self.loading | self.loaded) <= self.capacity
        # Each action is given once: asking again at once brings nothing.
        assert self.scheduler.actions(self.now) == []
        return actions

    def _take(self, slot: int, frames: FrameRange, blocks: tuple[int, ...]) -> None:
        assert blocks == self.blocks_of(frames)
        assert self.loaded.issuperset(blocks)
        queue = self.queues[slot]
        assert len(queue) < self.calls + RANGES_WAITING
        # A suspect is rendered alone, or the next death would tell nothing.
        assert not queue or self.suspects.isdisjoint([*queue, frames])
        assert len(frames) <= MAX_RANGE
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
        assert [(death.worker, death.pid) for death in scheduler.incidents.deaths] == self.dead
        assert [failure for failure in scheduler.failures if "died" not in failure.reason] == self.reported

    def ready(self, slot: int) -> None:
        self.starting.remove(slot)
        self.queues[slot] = []
        self.pids[slot] = 1000 * self.starts[slot] + slot
        self.scheduler.worker_ready(slot, self.pids[slot])

    def die(self, slot: int, reason: str = "killed") -> None:
        self._bury(slot)
        self.starting.discard(slot)
        queue = self.queues.pop(slot, [])
        self._suspect(queue)
        left = {frame for frames in queue for frame in frames}
        given, failed = len(self.scheduler.incidents.retried), len(self.scheduler.failures)
        self.scheduler.worker_died(slot, reason)
        # All that it had is given out again, but for a frame that has killed too often.
        again = {frame for part in self.scheduler.incidents.retried[given:] for frame in frames_of(part)}
        assert left == again | {failure.frame for failure in self.scheduler.failures[failed:]}

    def _suspect(self, queue: list[FrameRange]) -> None:
        if self.calls > 1 and len(queue) > 1:
            self.suspects.update(queue)

    def _bury(self, slot: int) -> None:
        pid = self.pids.pop(slot, None)
        self.dead.append((slot, pid))

    @property
    def deaths(self) -> int:
        return len(self.dead)

    def deliver(self, slot: int, bad: Collection[int] = (), seconds: float = 0.0, place: int = 0) -> None:
        """A worker's oldest range is done, or a later one that it renders at the same time.

        ``seconds`` is what it took by the worker's own clock, 0 if unknown.
        """
        assert place < self.calls
        frames = self.queues[slot].pop(place)
        if not place:
            self.since[slot] = self.now
        failures = tuple(FrameFailure(frame, "NaN") for frame in frames if frame in bad)
        self.reported += failures
        self.delivered += [frame for frame in frames if frame not in bad]
        self.scheduler.range_done(slot, of_clip(frames), failures, seconds, self.now)

    def give_back(self, slot: int) -> None:
        frames = self.queues[slot].pop(0)
        self.scheduler.range_returned(slot, of_clip(frames), self.now)

    def load(self, block: int) -> None:
        self.loading.remove(block)
        self.loaded.add(block)
        self.scheduler.block_loaded(block_of_clip(block))

    def lose(self, block: int) -> None:
        self.loading.discard(block)
        self.loaded.discard(block)
        self.scheduler.block_lost(block_of_clip(block), "its node is gone")

    @property
    def busy(self) -> list[int]:
        return sorted(slot for slot, queue in self.queues.items() if queue)

    def begin(self) -> None:
        """The first workers become ready and are given the first ranges; only the first block is there."""
        self.act()
        for slot in sorted(self.starting):
            self.ready(slot)
        self.load(0)
        self.act()

    def answer_preparations(self) -> None:
        """All workers that are being started become ready, all blocks that are being loaded are there."""
        for slot in sorted(self.starting):
            self.ready(slot)
        for block in sorted(self.loading):
            self.load(block)

    def answer_all(self, *, kills: Callable[[FrameRange], bool] = lambda _: False) -> None:
        """One round in which everything outstanding is answered; ranges that ``kills`` take their worker along."""
        self.answer_preparations()
        for slot in self.busy:
            if any(map(kills, self.queues[slot][: self.calls])):
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
    calls: int

    def start(self) -> Cluster:
        return Cluster(
            self.frames,
            self.ranges,
            self.blocks_of,
            workers=self.workers,
            capacity=self.capacity,
            loaders=self.loaders,
            calls=self.calls,
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
        return plan.holding(pairing.backgrounds_of(part))

    least = max((len(blocks_of(part)) for part in ranges), default=1)
    capacity = draw(st.integers(least, max(plan.count, least) + 1))
    return Layout(frames, ranges, blocks_of, capacity, workers, draw(st.integers(1, 4)), draw(st.integers(1, 3)))


def isolate(total: int, size: int, poison: Collection[int], workers: int, calls: int = 1) -> Cluster:
    ranges = divide(range(total), size)
    cluster = Cluster(range(total), ranges, blocks_by(16), workers=workers, capacity=6, calls=calls)
    cluster.drain(kills=lambda frames: not set(poison).isdisjoint(frames))
    return cluster


def running(workers: int, total: int = 40, size: int = 10, calls: int = 1) -> Cluster:
    """A run whose workers have been given their first ranges at time 0, blocks all there."""
    ranges = divide(range(total), size)
    cluster = Cluster(range(total), ranges, blocks_by(total), workers=workers, capacity=1, calls=calls)
    cluster.begin()
    return cluster
