"""What an observer between the scheduler and Ray sees: the frames, workers and blocks of some clips, in own books.

`ManyClips` stands for Ray. It carries out the scheduler's actions and checks its promises from the outside, by actions,
events and public properties. `one_clip.Cluster` is the same for a run of one clip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

from actors.core.errors import InputError
from actors.core.ranges import ClipBlock, ClipRange, FrameRange
from actors.core.worker_reports import FrameFailure
from jobs.scheduling.actions import Action, CancelLoad, DropBlock, EndWorker, KillWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.open_clip import MAX_RANGE, ClipJob, OpenClip
from jobs.scheduling.scheduler import RANGES_WAITING, Patience, Scheduler
from jobs.scheduling.worker_state import MAX_START_DEATHS

BlocksOf = Callable[[FrameRange], tuple[int, ...]]

# An output frame of a clip.
Frame = tuple[str, int]

PATIENCE = Patience(least=100.0, factor=10.0)


def blocks_by(frames_per_block: int) -> BlocksOf:
    return lambda frames: tuple(sorted({frame // frames_per_block for frame in frames}))


def frames_in(given: ClipRange) -> list[Frame]:
    return [(given.clip, frame) for frame in given.frames]


def job_of(
    name: str,
    ranges: Iterable[FrameRange],
    blocks_of: BlocksOf,
    backgrounds: str,
    priority: int = 0,
    network: str = "",
) -> ClipJob:
    """A clip whose blocks, of one byte each, are called after its backgrounds."""
    return ClipJob(
        name,
        tuple(ClipRange(name, part) for part in ranges),
        lambda given: tuple(ClipBlock(backgrounds, number) for number in blocks_of(given.frames)),
        1,
        priority,
        network,
    )


class ManyClips:
    """What an observer between the scheduler and Ray sees; every assertion here is one of the scheduler's promises."""

    def __init__(self, *, workers: int, capacity: int, loaders: int = 2, calls: int = 1) -> None:
        self.capacity = capacity
        self.loaders = loaders
        self.calls = calls
        # How many there have ever been.
        self.slots = workers
        # What was with a worker of several ranges when that died.
        self.suspects: set[ClipRange] = set()
        self.now = 0.0
        self.scheduler = Scheduler(workers=workers, capacity=capacity, loaders=loaders, patience=PATIENCE, calls=calls)
        # Of every clip that was ever opened, what it consists of, and whether it is open.
        self.jobs: dict[str, ClipJob] = {}
        self.open: dict[str, OpenClip] = {}
        # Workers by slot: their networks, those being started, and what the ready ones were given, oldest first.
        self.networks: dict[int, str] = {}
        self.starting: set[int] = set()
        self.given: dict[int, list[ClipRange]] = {}
        self.since: dict[int, float] = {}
        self.coming: set[ClipBlock] = set()
        self.asked: dict[ClipBlock, float] = {}
        self.cancelled: Counter[ClipBlock] = Counter()
        self.held: set[ClipBlock] = set()
        self.done: list[Frame] = []
        self.reported: list[tuple[str, FrameFailure]] = []
        self.starts: Counter[int] = Counter()
        # How often workers that were not ready died in a row, by slot and network.
        self.start_deaths: Counter[tuple[int, str]] = Counter()
        # The process of each ready worker, and how the record is to name each one that died.
        self.pids: dict[int, int] = {}
        self.dead: list[tuple[int, int | None]] = []
        self.renders = 0

    def begin_clip(self, job: ClipJob) -> None:
        self.jobs[job.id] = job
        self.open[job.id] = self.scheduler.open(job)

    def end_clip(self, name: str) -> None:
        assert self.scheduler.close(name) is self.open.pop(name)

    def act(self) -> list[Action]:
        faulted = self._faulted
        actions = self.scheduler.actions(self.now)
        for action in actions:
            match action:
                case StartWorker(slot, network):
                    self._start(slot, network)
                case EndWorker(slot):
                    # Only one that has nothing and whose network has nothing left, and for another.
                    assert self.given.pop(slot) == []
                    assert self.networks[slot] not in self.pending_networks()
                    assert any(isinstance(other, StartWorker) and other.slot == slot for other in actions)
                    del self.pids[slot]
                case KillWorker(slot, reason):
                    # Only a worker that was given something and took too long.
                    assert self.given[slot]
                    assert self.now - self.since[slot] > PATIENCE.least
                    assert reason
                    self._bury(slot)
                    self._suspect(self.given.pop(slot))
                case LoadBlock(block):
                    assert block not in self.coming | self.held
                    assert block in self.wanted
                    self.coming.add(block)
                    self.asked[block] = self.now
                    assert len(self.coming) <= self.loaders
                case CancelLoad(block):
                    # Only a load that took too long.
                    assert block in self.coming
                    assert self.now - self.asked[block] > PATIENCE.least
                    self.coming.remove(block)
                    self.cancelled[block] += 1
                case DropBlock(block):
                    assert block in self.held
                    assert block not in self.pinned
                    self.held.remove(block)
                case Render(slot, given, blocks):
                    self._take(slot, given, blocks)
            assert len(self.coming | self.held) <= self.capacity
        self._check_given_up(self._faulted - faulted)
        # Each action is given once: asking again at once brings nothing.
        assert self.scheduler.actions(self.now) == []
        return actions

    def _start(self, slot: int, network: str) -> None:
        assert slot not in self.starting
        assert slot not in self.given
        # For nothing nobody is started, nor for what nothing can come of.
        assert network in self.pending_networks()
        assert not self.barred(slot, network)
        self.networks[slot] = network
        self.starting.add(slot)
        self.starts[slot] += 1

    @property
    def _faulted(self) -> set[str]:
        return {name for name, clip in self.open.items() if clip.fault is not None}

    def _check_given_up(self, names: set[str]) -> None:
        """Of clips that have a fault since now: where there is no worker for them, there could be none."""
        for name in names:
            if "no worker is left" in str(self.open[name].fault):
                tried = {slot for slot in range(self.slots) if self.barred(slot, self.jobs[name].network)}
                assert tried | {*self.scheduler.abandoned} == {*range(self.slots)}

    def _take(self, slot: int, given: ClipRange, blocks: tuple[ClipBlock, ...]) -> None:
        assert given.clip in self.open
        assert self.open[given.clip].fault is None
        assert self.networks[slot] == self.jobs[given.clip].network
        assert blocks == self.jobs[given.clip].blocks_of(given)
        assert self.held.issuperset(blocks)
        queue = self.given[slot]
        assert len(queue) < self.calls + RANGES_WAITING
        # A suspect is rendered alone, or the next death would tell nothing.
        assert not queue or self.suspects.isdisjoint(part for part in [*queue, given] if part.clip in self.open)
        assert len(given) <= MAX_RANGE
        if not queue:
            self.since[slot] = self.now
        queue.append(given)
        self.renders += 1

    @property
    def pinned(self) -> set[ClipBlock]:
        return {
            block
            for queue in self.given.values()
            for given in queue
            for block in self.jobs[given.clip].blocks_of(given)
        }

    @property
    def wanted(self) -> set[ClipBlock]:
        """What open clips need."""
        return {block for name in self.open for block in self.blocks_of(name)}

    def pending_networks(self) -> set[str]:
        """Those of open clips that can go on and have frames that nobody has."""
        in_flight = Counter(given.clip for queue in self.given.values() for given in queue for _ in given.frames)
        return {
            self.jobs[name].network
            for name, clip in self.open.items()
            if clip.fault is None and clip.remaining > in_flight[name]
        }

    def blocks_of(self, name: str) -> set[ClipBlock]:
        """What a clip needs."""
        return {block for part in self.jobs[name].ranges for block in self.jobs[name].blocks_of(part)}

    def frames(self, name: str) -> set[int]:
        """A clip's output frames."""
        return {frame for part in self.jobs[name].ranges for frame in part.frames}

    def check(self) -> None:
        """Every frame of an open clip is in one place: with one worker, delivered, failed, or still to be given out."""
        scheduler = self.scheduler
        assert scheduler.clips.keys() == self.open.keys()
        in_flight = [frame for queue in self.given.values() for given in queue for frame in frames_in(given)]
        failed = [(name, failure.frame) for name, clip in self.open.items() for failure in clip.failures]
        places = Counter([*in_flight, *self.done, *failed])
        assert max(places.values(), default=1) == 1
        assert places.keys() <= {
            frame for job in self.jobs.values() for part in job.ranges for frame in frames_in(part)
        }
        for name, clip in self.open.items():
            assert clip.total == len(self.frames(name))
            assert clip.done == sum(owner == name for owner, _ in self.done)
            assert clip.complete == (clip.done + len(clip.failures) == clip.total)
            told = [failure for failure in clip.failures if "died" not in failure.reason]
            assert told == [failure for owner, failure in self.reported if owner == name]
            assert clip.waiting == sum(map(len, clip.pending))
            assert clip.settled == (clip.complete or clip.fault is not None)
        assert scheduler.in_flight == sum(map(len, self.given.values()))
        assert scheduler.finished == all(clip.settled for clip in self.open.values())
        assert not (scheduler.finished and scheduler.stop_error)
        assert scheduler.ready_workers == len(self.given)
        assert [(death.worker, death.pid) for death in scheduler.deaths] == self.dead

    def ready(self, slot: int) -> None:
        self.starting.remove(slot)
        self.given[slot] = []
        self.pids[slot] = 1000 * self.starts[slot] + slot
        del self.start_deaths[slot, self.networks[slot]]
        self.scheduler.worker_ready(slot, self.pids[slot])

    def barred(self, slot: int, network: str) -> bool:
        """Whether workers with a network were started so often in vain in a slot that none is any more."""
        return self.start_deaths[slot, network] >= MAX_START_DEATHS

    def grow(self, room: int) -> None:
        """The cluster has room for so many workers."""
        before, added = self.scheduler.open_slots, max(0, room - self.slots)
        self.slots += added
        self.scheduler.grow(room)
        assert self.scheduler.open_slots == before + added

    def refuse(self, slot: int, name: str) -> None:
        """The worker of a slot cannot begin, because of the clip by which it was to begin."""
        self.starting.remove(slot)
        self.fail(name)
        self.scheduler.worker_refused(slot)

    def fail(self, name: str) -> None:
        """A clip cannot go on."""
        fault = self.open[name].fault
        error = InputError(name, "cannot be read", "write it again")
        self.scheduler.fail(name, error)
        # The first fault stays, and what is complete has none any more.
        assert self.open[name].fault is (None if self.open[name].complete else fault or error)

    def die(self, slot: int, reason: str = "killed") -> None:
        self._bury(slot)
        if slot in self.starting:
            self.starting.remove(slot)
            self.start_deaths[slot, self.networks[slot]] += 1
        queue = self.given.pop(slot, [])
        self._suspect(queue)
        going_on = {name for name, clip in self.open.items() if clip.fault is None}
        left = {frame for given in queue for frame in frames_in(given) if given.clip in going_on}
        before = {name: self._fates(clip) for name, clip in self.open.items()}
        self.scheduler.worker_died(slot, reason)
        # All that it had is given out again, but for a frame that has killed too often.
        again: set[Frame] = set()
        for name, clip in self.open.items():
            retried, failed, died = before[name]
            again |= {frame for part in clip.incidents.retried[retried:] for frame in frames_in(part)}
            if name in going_on:
                again |= {(name, failure.frame) for failure in clip.failures[failed:]}
            # Whose frames it had is told; where it had none, all clips of its network.
            its = not queue and self.jobs[name].network == self.networks[slot]
            touched = its or any(given.clip == name for given in queue)
            assert clip.incidents.deaths[died:] == ([self.scheduler.deaths[-1]] if touched else [])
        assert self.scheduler.deaths[-1].ranges == len(queue)
        assert left == again

    @staticmethod
    def _fates(clip: OpenClip) -> tuple[int, int, int]:
        return len(clip.incidents.retried), len(clip.failures), len(clip.incidents.deaths)

    def _suspect(self, queue: list[ClipRange]) -> None:
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
        given = self.given[slot].pop(place)
        if not place:
            self.since[slot] = self.now
        failures = tuple(FrameFailure(frame, "NaN") for frame in given.frames if frame in bad)
        if given.clip in self.open:
            self.reported += [(given.clip, failure) for failure in failures]
            self.done += [frame for frame in frames_in(given) if frame[1] not in bad]
        self.scheduler.range_done(slot, given, failures, seconds, self.now)

    def give_back(self, slot: int) -> None:
        given = self.given[slot].pop(0)
        self.since[slot] = self.now
        self.scheduler.range_returned(slot, given, self.now)

    def arrive(self, block: ClipBlock) -> None:
        self.coming.remove(block)
        self.held.add(block)
        self.scheduler.block_loaded(block)

    def vanish(self, block: ClipBlock) -> None:
        self.coming.discard(block)
        self.held.discard(block)
        self.scheduler.block_lost(block, "its node is gone")

    @property
    def stopped(self) -> str | None:
        """Why nothing goes on that is not finished, or ``None``."""
        faults = [str(clip.fault or "") for clip in self.open.values() if not clip.complete]
        if self.scheduler.stop_error is not None:
            return str(self.scheduler.stop_error)
        return faults[0] if faults and all(faults) else None

    @property
    def busy(self) -> list[int]:
        return sorted(slot for slot, queue in self.given.items() if queue)

    def answer_preparations(self) -> None:
        """All workers that are being started become ready, all blocks that are being loaded are there."""
        for slot in sorted(self.starting):
            self.ready(slot)
        for block in sorted(self.coming):
            self.arrive(block)

    def answer_all(self, *, kills: Callable[[FrameRange], bool] = lambda _: False) -> None:
        """One round in which everything outstanding is answered; ranges that ``kills`` take their worker along."""
        self.answer_preparations()
        for slot in self.busy:
            if any(kills(given.frames) for given in self.given[slot][: self.calls]):
                self.die(slot)
            else:
                self.deliver(slot)

    def drain(self, *, kills: Callable[[FrameRange], bool] = lambda _: False) -> None:
        """Answers everything until the end. A round without any effect would be a hang."""
        most = 40 * sum(len(part) for job in self.jobs.values() for part in job.ranges) + 1000
        while not self.scheduler.finished and not self.scheduler.stop_error:
            self.now += 1.0
            actions = self.act()
            outstanding = actions or self.starting or self.coming or self.busy or self.scheduler.finished
            assert outstanding, "nothing outstanding, and yet not finished"
            self.answer_all(kills=kills)
            self.check()
            # Far above what any of the runs here takes; an endless loop ends here.
            assert self.renders < most
            assert sum(self.starts.values()) < most
