"""Which worker renders which range of which clip when, and which background blocks are held: a pure state machine.

It knows nothing of Ray, files or clocks: events come in as method calls, the time as an argument, and `actions`
says what to do next. Every output frame of an open clip is at any moment in exactly one of four places: pending, in
flight, done, failed. `jobs.scheduling.dispatcher` turns actions into Ray calls and Ray's answers into events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from actors.core.errors import InputError, StoppedError
from actors.core.ranges import ClipBlock, ClipRange
from actors.core.worker_reports import FrameFailure
from jobs.scheduling.actions import Action, CancelLoad, EndWorker, KillWorker, Render, StartWorker
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES, BlockCache
from jobs.scheduling.deaths import Death, brief_reason
from jobs.scheduling.open_clip import MAX_RANGE, ClipJob, OpenClip
from jobs.scheduling.worker_state import Given, Status, WorkerState

# While a worker renders what it can at once, Ray brings the next range's blocks to it. More only lengthens the tail.
RANGES_WAITING = 1

# What to do about a run that cannot go on.
MENDED = "run the same command again once it is mended"

# More than a poison frame costs (see `jobs.scheduling.open_clip.MAX_RANGE`).
MAX_DEATHS_IN_A_ROW = 16

# A worker that dies before it is ready will not get better; a busy cluster may need a second try.
MAX_START_DEATHS = 3

# A fast worker gets about so many seconds' work at once: between two ranges it spends a hundredth of one on its report
# and on Ray. Towards the end half of its share of what is left, but no less than the second: shorter ranges would cost
# more waiting than they spare.
CALL_SECONDS, LEAST_CALL_SECONDS, CALL_SHARE = 0.5, 0.04, 0.5

# A worker with nothing to do takes another network where that network's own workers have work left for more than
# so many seconds: about what a process and a session cost.
CHANGE_SECONDS = 5.0

# How far past the first pending range an idle worker looks for one whose blocks are there.
LOOKAHEAD = 256


@dataclass(frozen=True, slots=True)
class Patience:
    """When a range counts as hung: it has run ``factor`` times as long as the slowest so far, and ``least`` seconds."""

    least: float = 600.0
    factor: float = 20.0


class Scheduler:
    """The state of all clips that are being rendered, and of the workers.

    Args:
        clips: what to render; more can be opened later.
        workers: how many slots to start with.
        capacity: bytes of blocks that may be held at once, at least what any one range needs.
        loaders: how many blocks may be loading at once, at least 1.
        patience: when a range counts as hung.
        calls: how many ranges a worker renders at once.

    Attributes:
        clips: those that are open, by their ids, in the order in which they are rendered.
        deaths: of workers, in order.
        abandoned: slots that are not started again.
    """

    def __init__(
        self,
        clips: Iterable[ClipJob] = (),
        *,
        workers: int,
        capacity: int,
        loaders: int,
        patience: Patience,
        calls: int = 1,
    ) -> None:
        self._calls = calls
        self.clips: dict[str, OpenClip] = {}
        self.deaths: list[Death] = []
        self.abandoned: list[int] = []
        self._workers = [WorkerState() for _ in range(workers)]
        self._blocks = BlockCache(capacity, loaders)
        self._patience = patience
        self._slowest = 0.0
        # Why the last slot was abandoned.
        self._last_death: StoppedError | None = None
        for clip in clips:
            self.open(clip)

    def open(self, job: ClipJob) -> OpenClip:
        """Takes a clip, of which ranges are given out from now on.

        Raises:
            ValueError: a clip of that id is open, or one of its ranges could never be given out.
        """
        if job.id in self.clips:
            raise ValueError(f"a clip {job.id} is open already")
        clip = OpenClip.of(job, self._blocks.capacity)
        self._blocks.need(clip.needed, job.block_bytes)
        self.clips[job.id] = clip
        # Stable: of equal priority in the order of their opening.
        self.clips = dict(sorted(self.clips.items(), key=lambda item: -item[1].job.priority))
        return clip

    def close(self, clip_id: str) -> OpenClip:
        """Lets a clip go, complete or not; what workers still have of it counts no more."""
        clip = self.clips.pop(clip_id)
        self._blocks.leave(clip.needed)
        return clip

    @property
    def finished(self) -> bool:
        """Whether nothing of any open clip is left to be done."""
        return all(clip.settled for clip in self.clips.values())

    @property
    def in_flight(self) -> int:
        """How many ranges are with workers."""
        return sum(len(worker.queue) for worker in self._workers)

    @property
    def remaining(self) -> int:
        """Frames of open clips that are neither delivered nor failed, and may yet be."""
        return sum(clip.remaining for clip in self.clips.values() if clip.fault is None)

    @property
    def stop_error(self) -> StoppedError | None:
        """Why no clip can go on, or ``None``."""
        return None if self._last_death is None or self.open_slots or self.finished else self._last_death

    @property
    def ready_workers(self) -> int:
        """Workers that can render."""
        return sum(worker.status is Status.READY for worker in self._workers)

    @property
    def open_slots(self) -> int:
        """Slots that are in use or will be."""
        return sum(worker.status is not Status.ABANDONED for worker in self._workers)

    def grow(self, capacity: int) -> None:
        """The cluster has capacity for so many workers: opens slots up to that many, abandoned ones counted.

        An abandoned slot is not replaced by a new one, or a run whose workers all die would never end.
        """
        self._workers.extend(WorkerState() for _ in range(capacity - len(self._workers)))

    def worker_ready(self, slot: int, pid: int) -> None:
        """The worker of a slot can render; ``pid`` is its process, on its own node."""
        worker = self._workers[slot]
        worker.status = Status.READY
        worker.pid = pid
        worker.start_deaths = 0

    def worker_refused(self, slot: int) -> None:
        """The worker of a slot could not begin, which is neither its fault nor that of its slot."""
        worker = self._workers[slot]
        worker.status, worker.network = Status.WANTED, None

    def fail(self, clip_id: str, error: InputError | StoppedError) -> None:
        """A clip cannot go on; what workers have of it may still be done. Of several faults the first is kept."""
        clip = self.clips[clip_id]
        clip.fault = clip.fault or error

    def worker_died(self, slot: int, reason: str) -> None:
        """The worker of a slot is gone; what it had goes back, and the slot is started anew unless it keeps dying."""
        worker = self._workers[slot]
        was_ready = worker.status is Status.READY
        queue, worker.queue = worker.queue, []
        worker.deaths_in_a_row += 1
        worker.start_deaths += not was_ready
        replaced = worker.deaths_in_a_row < MAX_DEATHS_IN_A_ROW and worker.start_deaths < MAX_START_DEATHS
        worker.status = Status.WANTED if replaced else Status.ABANDONED
        if not replaced:
            self.abandoned.append(slot)
        death = Death(slot, worker.pid, reason, len(queue), replaced)
        self.deaths.append(death)
        touched = {given.range.clip for given in queue} or self.clips.keys()
        for name in touched & self.clips.keys():
            self.clips[name].incidents.deaths.append(death)
        # Which of several that are rendered at once it was cannot be told: each is rendered alone from now on, and the
        # next death tells.
        told = self._calls == 1 or len(queue) == 1
        for place, given in enumerate(queue):
            if (owner := self.clips.get(given.range.clip)) is None:
                continue
            if told and place == 0:
                owner.blame(given.range, reason)
            else:
                owner.give_back(given.range, suspect=not told)
        worker.pid, worker.pace, worker.network = None, 0.0, None
        if self.open_slots == 0:
            last = brief_reason(reason)
            reason = f"no worker is left: the last one died {worker.deaths_in_a_row} times in a row ({last})"
            self._last_death = StoppedError(reason, MENDED)

    def range_done(
        self, slot: int, done: ClipRange, failures: tuple[FrameFailure, ...], seconds: float, now: float
    ) -> None:
        """A range has been rendered.

        Args:
            slot: by whom.
            done: the range.
            failures: those of its frames that could not be delivered.
            seconds: how much of its time the worker gave to it; 0 where that is not known.
            now: the time.
        """
        worker = self._workers[slot]
        self._slowest = max(self._slowest, worker.take_back(done, now))
        worker.deaths_in_a_row = 0
        worker.pace = len(done) / seconds if seconds > 0 else 0.0
        if (clip := self.clips.get(done.clip)) is not None:
            clip.finish(done, failures)

    def range_returned(self, slot: int, returned: ClipRange, now: float) -> None:
        """A range came back unrendered through no fault of its own or its worker's: a block was lost."""
        self._workers[slot].take_back(returned, now)
        if (clip := self.clips.get(returned.clip)) is not None:
            clip.give_back(returned)

    def block_loaded(self, block: ClipBlock) -> None:
        """A block stands in the object store."""
        self._blocks.loaded(block)

    def block_lost(self, block: ClipBlock, reason: str) -> None:
        """A block is gone, or could not be loaded; it is loaded again when it is needed.

        Clips whose block is lost again and again cannot go on.
        """
        if not self._blocks.lost(block):
            return
        for clip in self.clips.values():
            if block in clip.needed:
                clip.incidents.blocks_lost += 1
                if self._blocks.hopeless(block):
                    lost = f"background block {block} was lost {MAX_BLOCK_LOSSES} times ({reason})"
                    self.fail(clip.job.id, StoppedError(lost, MENDED))

    def actions(self, now: float) -> list[Action]:
        """What to do now, given all events so far; each action is given once."""
        if self.finished or self.stop_error is not None:
            return []
        ended = self._end_hung(now)
        used = (block for worker in self._workers for given in worker.queue for block in given.blocks)
        upcoming = (clip.job.blocks_of(pending) for clip, _, pending in self._pending())
        blocks = self._blocks.actions(used, upcoming, now)
        return [*ended, *self._start_workers(), *blocks, *self._hand_out(now), *self._change_networks()]

    def _pending(self) -> Iterator[tuple[OpenClip, int, ClipRange]]:
        """The ranges that nobody has, each with its clip and its place there, in the order in which they are wanted."""
        for clip in self.clips.values():
            if clip.fault is None:
                for position, pending in enumerate(clip.pending):
                    yield clip, position, pending

    def _start_workers(self) -> list[Action]:
        """Starts a worker in each slot that wants one, with the network of which most is left for each that has it."""
        wanted = [slot for slot, worker in enumerate(self._workers) if worker.status is Status.WANTED]
        left = self._frames_left() if wanted else None
        if not left:
            return []
        holders = self._holders()
        actions: list[Action] = []
        for slot in wanted:
            network = max(left, key=lambda name: left[name] / (holders[name] + 1))
            holders[network] += 1
            actions.append(self._begin(slot, network))
        return actions

    def _begin(self, slot: int, network: str) -> StartWorker:
        worker = self._workers[slot]
        worker.status, worker.network, worker.pid, worker.pace = Status.STARTING, network, None, 0.0
        return StartWorker(slot, network)

    def _frames_left(self) -> Counter[str]:
        """Frames that nobody has, by network, in the order of clips; networks without any are absent."""
        left: Counter[str] = Counter()
        for clip in self.clips.values():
            if clip.fault is None and clip.pending:
                left[clip.job.network] += sum(map(len, clip.pending))
        return left

    def _holders(self) -> Counter[str | None]:
        """How many workers have each network, or are being started with it."""
        return Counter(worker.network for worker in self._workers if worker.status in {Status.STARTING, Status.READY})

    def _change_networks(self) -> list[Action]:
        """Gives workers whose network has nothing left one that has too much for its own."""
        several = len({clip.job.network for clip in self.clips.values()}) > 1
        idle = [
            slot
            for slot, worker in enumerate(self._workers)
            if worker.status is Status.READY and not worker.queue and several
        ]
        actions: list[Action] = []
        left = self._frames_left() if idle else Counter[str]()
        for slot in idle:
            if self._workers[slot].network in left:
                continue
            needy = next((name for name in left if self._needs_worker(name, left[name])), None)
            if needy is None:
                break
            actions += [EndWorker(slot), self._begin(slot, needy)]
        return actions

    def _needs_worker(self, network: str, frames: int) -> bool:
        own = [
            worker
            for worker in self._workers
            if worker.network == network and worker.status in {Status.STARTING, Status.READY}
        ]
        pace = max((worker.pace for worker in own), default=0.0)
        return not own or bool(pace and frames > CHANGE_SECONDS * pace * len(own))

    def _end_hung(self, now: float) -> list[Action]:
        ended: list[Action] = []
        limit = max(self._patience.least, self._patience.factor * self._slowest)
        for slot, worker in enumerate(self._workers):
            if worker.queue and now - worker.running_since > limit:
                reason = f"range {worker.queue[0].range} made no progress for {limit:.0f} s"
                ended.append(KillWorker(slot, reason))
                self.worker_died(slot, reason)
        for block in self._blocks.overdue(self._patience.least, now):
            ended.append(CancelLoad(block))
            self.block_lost(block, f"loading it took more than {self._patience.least:.0f} s")
        return ended

    def _hand_out(self, now: float) -> list[Action]:
        actions: list[Action] = []
        # Networks of which nothing can be rendered now.
        without: set[str | None] = set()
        for depth in range(self._calls + RANGES_WAITING):
            for slot, worker in enumerate(self._workers):
                if worker.status is not Status.READY or len(worker.queue) != depth or worker.network in without:
                    continue
                found = self._next_renderable(worker.network)
                if found is None:
                    without.add(worker.network)
                    continue
                if not self._may_join(*found, worker):
                    continue
                taken = self._take(*found, worker)
                if not worker.queue:
                    worker.running_since = now
                worker.queue.append(taken)
                actions.append(Render(slot, taken.range, taken.blocks))
        return actions

    def _may_join(self, clip: OpenClip, position: int, worker: WorkerState) -> bool:
        """Whether a range can be given to a worker now: where ranges overlap, a suspect is rendered alone."""
        if self._calls == 1 or not worker.queue:
            return True
        with_it = ((self.clips.get(given.range.clip), given.range) for given in worker.queue)
        together = [(clip, clip.pending[position]), *with_it]
        return not any(owner is not None and owner.suspects(part) for owner, part in together)

    def _take(self, clip: OpenClip, position: int, worker: WorkerState) -> Given:
        """A pending range, together with those behind it that the worker renders within `CALL_SECONDS`.

        These only where the store holds all blocks, so that nobody waits for what a long range holds.
        """
        most = worker.pace * CALL_SECONDS
        joining = most > len(clip.pending[position]) and self._blocks.fits
        longest = min(most, MAX_RANGE, self._share(worker)) if joining else 0.0
        taken = clip.take(position, most, longest, lambda after: self._blocks.holds(clip.job.blocks_of(after)))
        return Given(taken, clip.job.blocks_of(taken))

    def _share(self, worker: WorkerState) -> float:
        """Frames that a worker gets at the most of what nobody has; towards the end that is what decides."""
        queued = sum(len(one.range) for other in self._workers for one in other.queue if one.range.clip in self.clips)
        share = (self.remaining - queued) * CALL_SHARE / self.ready_workers
        return max(worker.pace * LEAST_CALL_SECONDS, share)

    def _next_renderable(self, network: str | None) -> tuple[OpenClip, int] | None:
        of_network = (found for found in self._pending() if found[0].job.network == network)
        for clip, position, pending in islice(of_network, LOOKAHEAD):
            if self._blocks.holds(clip.job.blocks_of(pending)):
                return clip, position
        return None
