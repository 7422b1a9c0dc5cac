"""Which worker renders which range of which clip when, and which background blocks are held: a pure state machine.

It knows nothing of Ray, files or clocks: events come in as method calls, the time as an argument, and `actions`
says what to do next. Every output frame of an open clip is at any moment in exactly one of four places: pending, in
flight, done, failed. `jobs.scheduling.dispatcher` turns actions into Ray calls and Ray's answers into events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from actors.core.errors import InputError, StoppedError
from actors.core.ranges import ClipBlock, ClipRange
from actors.core.worker_reports import FrameFailure
from jobs.scheduling.actions import Action, CancelLoad, EndWorker, KillWorker, Render, StartWorker
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES, BlockCache
from jobs.scheduling.deaths import Death, brief_reason
from jobs.scheduling.networks import NetworkShare, most_wanted, shares, upcoming
from jobs.scheduling.open_clip import MAX_RANGE, ClipJob, OpenClip
from jobs.scheduling.worker_state import Given, Status, WorkerState

# While a worker renders what it can at once, Ray brings the next range's blocks to it. More only lengthens the tail.
RANGES_WAITING = 1

# A fast worker gets about so many seconds' work at once: between two ranges it spends a hundredth of one on its report
# and on Ray. Towards the end half of its share of what is left, but no less than the second: shorter ranges would cost
# more waiting than they spare.
CALL_SECONDS, LEAST_CALL_SECONDS, CALL_SHARE = 0.5, 0.04, 0.5

# What is to be done where clips cannot go on.
MENDED = "run the same command again once it is mended"

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
        # By network, the last death after which none of it was started in that slot; and the last of all.
        self._given_up: dict[str, str] = {}
        self._stop: str | None = None
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
        if clip.fault is None:
            self._blocks.leave(clip.needed)
        return clip

    def fail(self, clip_id: str, error: InputError | StoppedError) -> None:
        """A clip cannot go on, unless it has come to its end; what nobody has of it is never given out again."""
        clip = self.clips.get(clip_id)
        if clip is not None and not clip.settled:
            clip.fault = error
            self._blocks.leave(clip.needed)

    @property
    def finished(self) -> bool:
        """Whether every open clip is settled."""
        return all(clip.settled for clip in self.clips.values())

    @property
    def in_flight(self) -> int:
        """How many ranges are with workers."""
        return sum(len(worker.queue) for worker in self._workers)

    @property
    def remaining(self) -> int:
        """Frames that are neither delivered nor failed, of open clips that can go on."""
        return sum(clip.remaining for clip in self.clips.values() if clip.fault is None)

    @property
    def stop_error(self) -> StoppedError | None:
        """Why nobody can work any more, ``None`` where somebody can or there is nothing to do."""
        return None if self._stop is None or self.finished else StoppedError(self._stop, MENDED)

    @property
    def ready_workers(self) -> int:
        """Workers that can render."""
        return sum(worker.status is Status.READY for worker in self._workers)

    @property
    def open_slots(self) -> int:
        """Slots that are in use or will be, as far as the networks of the open clips are concerned."""
        # Without open clips any network may come.
        networks = {clip.job.network for clip in self.clips.values()} or {""}
        return sum(worker.manned or any(map(worker.may_have, networks)) for worker in self._workers)

    def grow(self, capacity: int) -> None:
        """The cluster has capacity for so many workers: opens slots up to that many, abandoned ones counted.

        An abandoned slot is not replaced by a new one, or a run whose workers all die would never end.
        """
        self._workers.extend(WorkerState() for _ in range(capacity - len(self._workers)))

    def worker_ready(self, slot: int, pid: int) -> None:
        """The worker of a slot can render; ``pid`` is its process, on its own node."""
        self._workers[slot].ready(pid)

    def worker_refused(self, slot: int) -> None:
        """The worker of a slot could not begin, through no fault of its own: the slot is free again."""
        self._workers[slot].status = Status.WANTED

    def worker_died(self, slot: int, reason: str) -> None:
        """The worker of a slot is gone; what it had goes back, and the slot is started anew unless it keeps dying."""
        worker = self._workers[slot]
        pid = worker.pid
        queue, worker.queue = worker.queue, []
        replaced = worker.died()
        if worker.status is Status.ABANDONED:
            self.abandoned.append(slot)
        death = Death(slot, pid, reason, len(queue), replaced)
        self.deaths.append(death)
        its = (name for name, clip in self.clips.items() if clip.job.network == worker.network)
        touched = {given.range.clip for given in queue} or set(its)
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
        if not replaced:
            times = worker.deaths_in_a_row
            said = f"no worker is left: the last one died {times} times in a row ({brief_reason(reason)})"
            self._given_up[worker.network] = said
            if all(other.status is Status.ABANDONED for other in self._workers):
                self._stop = said

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

    def load_refused(self, block: ClipBlock) -> None:
        """A block could not be loaded on behalf of a clip that has failed by that; others may have it loaded."""
        self._blocks.refused(block)

    def block_lost(self, block: ClipBlock, reason: str) -> None:
        """A block is gone, or could not be loaded; it is loaded again when it is needed.

        Clips whose block is lost again and again cannot go on.
        """
        if not self._blocks.lost(block):
            return
        hopeless = self._blocks.hopeless(block)
        for clip in self.clips.values():
            if clip.fault is not None or block not in clip.needed:
                continue
            clip.incidents.blocks_lost += 1
            if hopeless:
                said = f"background block {block} was lost {MAX_BLOCK_LOSSES} times ({reason})"
                self.fail(clip.job.id, StoppedError(said, MENDED))

    def actions(self, now: float) -> list[Action]:
        """What to do now, given all events so far; each action is given once."""
        if self._stop is not None and not self.finished:
            return []
        # Also where all clips have failed: what workers still have of them is waited for.
        ended = self._end_hung(now)
        if self.finished:
            return ended
        networks = self._networks(now)
        wanted = [slot for slot, worker in enumerate(self._workers) if worker.status is Status.WANTED]
        started = [start for slot in wanted for start in self._begin(slot, networks, now)]
        used = (block for worker in self._workers for one in worker.queue for block in one.blocks)
        blocks = self._blocks.actions(
            used, (clip.job.blocks_of(part) for clip, part in upcoming(networks.values())), now
        )
        given = self._hand_out(networks, now)
        changed = self._change_networks(networks, now) if networks else []
        return [*ended, *started, *blocks, *given, *changed]

    def _networks(self, now: float) -> dict[str, NetworkShare]:
        """Those of which something is pending; clips of one that no worker has, nor could have, cannot go on."""
        found = shares(self.clips.values(), self._workers, now)
        if self._stop is not None:
            return found
        for name, share in list(found.items()):
            if not share.workers and not any(worker.may_have(name) for worker in self._workers):
                for clip in share.clips:
                    self.fail(clip.job.id, StoppedError(self._given_up[name], MENDED))
                del found[name]
        return found

    def _begin(self, slot: int, networks: dict[str, NetworkShare], now: float) -> list[Action]:
        """Starts a worker in a slot with one of these networks, if there is one for it."""
        worker = self._workers[slot]
        name = most_wanted({name: share for name, share in networks.items() if worker.may_have(name)})
        if name is None:
            return []
        worker.start(name, now)
        networks[name].add(worker, now)
        return [StartWorker(slot, name)]

    def _change_networks(self, networks: dict[str, NetworkShare], now: float) -> list[Action]:
        """Gives workers whose network has nothing left one for which that is worth its while."""
        idle = [slot for slot, one in enumerate(self._workers) if not one.queue and one.status is Status.READY]
        if not idle:
            return []
        # Since these were counted, ranges have been given out.
        networks = self._networks(now)
        actions: list[Action] = []
        for slot in idle:
            if self._workers[slot].network in networks:
                continue
            begun = self._begin(slot, {name: share for name, share in networks.items() if share.worth_a_change}, now)
            if begun:
                actions += [EndWorker(slot), *begun]
        return actions

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

    def _hand_out(self, networks: dict[str, NetworkShare], now: float) -> list[Action]:
        actions: list[Action] = []
        # Networks of which nothing can be rendered now.
        without: set[str] = set()
        for depth in range(self._calls + RANGES_WAITING):
            for slot, worker in enumerate(self._workers):
                if worker.status is not Status.READY or len(worker.queue) != depth:
                    continue
                share = networks.get(worker.network)
                if share is None or worker.network in without:
                    continue
                found = self._next_renderable(share)
                if found is None:
                    without.add(worker.network)
                    continue
                if not self._may_join(*found, worker):
                    continue
                taken = self._take(*found, worker, share)
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

    def _take(self, clip: OpenClip, position: int, worker: WorkerState, share: NetworkShare) -> Given:
        """A pending range, together with those behind it that the worker renders within `CALL_SECONDS`.

        These only where the store holds all blocks, so that nobody waits for what a long range holds.
        """
        most = worker.pace * CALL_SECONDS
        joining = most > len(clip.pending[position]) and self._blocks.fits
        longest = min(most, MAX_RANGE, self._longest(worker, share)) if joining else 0.0
        taken = clip.take(position, most, longest, lambda after: self._blocks.holds(clip.job.blocks_of(after)))
        return Given(taken, clip.job.blocks_of(taken))

    def _longest(self, worker: WorkerState, share: NetworkShare) -> float:
        """Frames that a worker gets at the most of what nobody has; towards the end that is what decides."""
        left = sum(clip.waiting for clip in share.clips)
        return max(worker.pace * LEAST_CALL_SECONDS, left * CALL_SHARE / share.ready)

    def _next_renderable(self, share: NetworkShare) -> tuple[OpenClip, int] | None:
        for clip, position, pending in islice(share.pending(), LOOKAHEAD):
            if self._blocks.holds(clip.job.blocks_of(pending)):
                return clip, position
        return None
