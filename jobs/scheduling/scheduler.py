"""Which worker renders which range when, and which background blocks are held: a pure state machine.

It knows nothing of Ray, files or clocks: events come in as method calls, the time as an argument, and `actions`
says what to do next. Every output frame is at any moment in exactly one of four places: pending, in flight, done,
failed. `jobs.scheduling.dispatcher` turns actions into Ray calls and Ray's answers into events.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from actors.core.ranges import ClipBlock, ClipRange
from actors.core.worker_reports import FrameFailure
from jobs.scheduling.actions import Action, CancelLoad, DropBlock, KillWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.deaths import Death, brief_reason
from jobs.scheduling.incidents import Incidents

# While a worker renders what it can at once, Ray brings the next range's blocks to it. More only lengthens the tail.
RANGES_WAITING = 1

# The first death of a range may be the machine's fault, the second is taken for the range's.
DEATHS_TO_SPLIT = 2

# A single frame that was being rendered at three deaths is reported instead of tried again.
DEATHS_TO_FAIL = 3

# Isolating one poison frame costs a lone worker 2 deaths for the range, one for each halving, one more for the frame
# itself, and one where ranges overlap; below `MAX_RANGE` frames that is less than this.
MAX_DEATHS_IN_A_ROW = 16
MAX_RANGE = 1024

# A worker that dies before it is ready will not get better; a busy cluster may need a second try.
MAX_START_DEATHS = 3

# Ray has rebuilt a lost block from its task several times before it reports the loss.
MAX_BLOCK_LOSSES = 5

# A fast worker gets about so many seconds' work at once: between two ranges it spends a hundredth of one on its report
# and on Ray. Towards the end half of its share of what is left, but no less than the second: shorter ranges would cost
# more waiting than they spare.
CALL_SECONDS, LEAST_CALL_SECONDS, CALL_SHARE = 0.5, 0.04, 0.5

# How far past the first pending range an idle worker looks for one whose blocks are there.
LOOKAHEAD = 256


@dataclass(frozen=True, slots=True)
class Patience:
    """When a range counts as hung: it has run ``factor`` times as long as the slowest so far, and ``least`` seconds."""

    least: float = 600.0
    factor: float = 20.0


class _Status(Enum):
    WANTED = auto()
    STARTING = auto()
    READY = auto()
    ABANDONED = auto()


@dataclass(slots=True)
class _Worker:
    status: _Status = _Status.WANTED
    # The process while it is ready, so that a death names what died.
    pid: int | None = None
    # In the order given. The actor begins them in this order, or nearly so where it renders several at once.
    queue: list[ClipRange] = field(default_factory=list)
    # When the first of them was given out or became the first.
    running_since: float = 0.0
    # Frames per second over its latest range, by its own clock: answers may lie about until the driver looks.
    pace: float = 0.0
    deaths_in_a_row: int = 0
    start_deaths: int = 0


class Scheduler:
    """The state of one run.

    Args:
        ranges: what to render, in order; those that follow each other may be given out as one.
        blocks_of: the blocks that a range needs, a pure function.
        workers: how many slots to start with.
        capacity: how many blocks may be held at once, at least as many as any one range needs.
        loaders: how many blocks may be loading at once, at least 1.
        patience: when a range counts as hung.
        calls: how many ranges a worker renders at once.

    Attributes:
        total: frames to render.
        failures: frames that could not be delivered, and why.
        incidents: what happened besides rendering.
    """

    def __init__(
        self,
        ranges: Iterable[ClipRange],
        blocks_of: Callable[[ClipRange], tuple[ClipBlock, ...]],
        *,
        workers: int,
        capacity: int,
        loaders: int,
        patience: Patience,
        calls: int = 1,
    ) -> None:
        self._calls = calls
        self._pending = sorted(ranges)
        self._blocks_of = blocks_of
        self._workers = [_Worker() for _ in range(workers)]
        self._capacity = capacity
        self._loaders = loaders
        self._patience = patience
        # Blocks on their way, with the time at which they were asked for.
        self._loading: dict[ClipBlock, float] = {}
        self._ready: set[ClipBlock] = set()
        self._losses: dict[ClipBlock, int] = {}
        self._deaths: dict[ClipRange, int] = {}
        self._kill: list[KillWorker | CancelLoad] = []
        self._slowest = 0.0
        self._done = 0
        self.total = sum(map(len, self._pending))
        self._planned = max(map(len, self._pending), default=0)
        self._stop: str | None = None
        self.failures: list[FrameFailure] = []
        self.incidents = Incidents()
        needed = [blocks_of(pending) for pending in self._pending]
        self._needed = {block for blocks in needed for block in blocks}
        most = max(map(len, needed), default=0)
        if capacity < most or loaders < 1:
            raise ValueError(f"a range needs {most} blocks at once, only {capacity} may be held by {loaders} loaders")
        if any(len(pending) > MAX_RANGE for pending in self._pending):
            raise ValueError(f"a range may have at most {MAX_RANGE} frames")

    @property
    def finished(self) -> bool:
        """Whether every frame is done or failed."""
        return not self._pending and not self.in_flight

    @property
    def in_flight(self) -> int:
        """How many ranges are with workers."""
        return sum(len(worker.queue) for worker in self._workers)

    @property
    def done(self) -> int:
        """Frames delivered."""
        return self._done

    @property
    def remaining(self) -> int:
        """Frames that are neither delivered nor failed."""
        return self.total - self._done - len(self.failures)

    @property
    def stop_reason(self) -> str | None:
        """Why the run cannot go on, or ``None``."""
        return None if self.finished else self._stop

    @property
    def ready_workers(self) -> int:
        """Workers that can render."""
        return sum(worker.status is _Status.READY for worker in self._workers)

    @property
    def open_slots(self) -> int:
        """Slots that are in use or will be."""
        return sum(worker.status is not _Status.ABANDONED for worker in self._workers)

    def grow(self, capacity: int) -> None:
        """The cluster has capacity for so many workers: opens slots up to that many, abandoned ones counted.

        An abandoned slot is not replaced by a new one, or a run whose workers all die would never end.
        """
        self._workers.extend(_Worker() for _ in range(capacity - len(self._workers)))

    def worker_ready(self, slot: int, pid: int) -> None:
        """The worker of a slot can render; ``pid`` is its process, on its own node."""
        worker = self._workers[slot]
        worker.status = _Status.READY
        worker.pid = pid
        worker.start_deaths = 0

    def worker_died(self, slot: int, reason: str) -> None:
        """The worker of a slot is gone; what it had goes back, and the slot is started anew unless it keeps dying."""
        worker = self._workers[slot]
        was_ready = worker.status is _Status.READY
        queue, worker.queue = worker.queue, []
        if self._calls == 1 or len(queue) == 1:
            for killer in queue[:1]:
                self._blame(killer, reason)
            self._give_back(queue[1:])
        else:
            # Which of them it was cannot be told. Each is rendered alone from now on, and the next death tells.
            for suspect in queue:
                self._deaths.setdefault(suspect, 0)
            self._give_back(queue)
        worker.deaths_in_a_row += 1
        worker.start_deaths += not was_ready
        replaced = worker.deaths_in_a_row < MAX_DEATHS_IN_A_ROW and worker.start_deaths < MAX_START_DEATHS
        worker.status = _Status.WANTED if replaced else _Status.ABANDONED
        if not replaced:
            self.incidents.abandoned.append(slot)
        self.incidents.deaths.append(Death(slot, worker.pid, reason, len(queue), replaced))
        worker.pid, worker.pace = None, 0.0
        if self.open_slots == 0:
            last = brief_reason(reason)
            self._stop = f"no worker is left: the last one died {worker.deaths_in_a_row} times in a row ({last})"

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
        took = self._take_back(worker, done, now)
        worker.deaths_in_a_row = 0
        self._slowest = max(self._slowest, took)
        worker.pace = len(done) / seconds if seconds > 0 else 0.0
        self._done += len(done) - len(failures)
        self.failures.extend(failures)

    def range_returned(self, slot: int, returned: ClipRange, now: float) -> None:
        """A range came back unrendered through no fault of its own or its worker's: a block was lost."""
        self._take_back(self._workers[slot], returned, now)
        self._give_back([returned])

    @staticmethod
    def _take_back(worker: _Worker, answered: ClipRange, now: float) -> float:
        """Takes a range out of a worker's queue, and gives the seconds for which it was the first there.

        Later ones may be answered before the first: that says nothing of whether the first one hangs.
        """
        first, since = answered == worker.queue[0], worker.running_since
        worker.queue.remove(answered)
        if not first:
            return 0.0
        worker.running_since = now
        return now - since

    def block_loaded(self, block: ClipBlock) -> None:
        """A block stands in the object store."""
        self._loading.pop(block, None)
        self._ready.add(block)

    def block_lost(self, block: ClipBlock, reason: str) -> None:
        """A block is gone, or could not be loaded; it is loaded again when it is needed.

        Every range that needed it reports the loss; only the first report counts.
        """
        if block not in self._ready and block not in self._loading:
            return
        self._loading.pop(block, None)
        self._ready.discard(block)
        self.incidents.blocks_lost += 1
        self._losses[block] = self._losses.get(block, 0) + 1
        if self._losses[block] >= MAX_BLOCK_LOSSES:
            self._stop = f"background block {block} was lost {MAX_BLOCK_LOSSES} times ({reason})"

    def actions(self, now: float) -> list[Action]:
        """What to do now, given all events so far; each action is given once."""
        if self.finished or self._stop:
            return []
        self._end_hung(now)
        actions: list[Action] = [*self._kill, *self._start_workers(), *self._manage_blocks(now), *self._hand_out(now)]
        self._kill.clear()
        return actions

    def _start_workers(self) -> list[Action]:
        wanted = [slot for slot, worker in enumerate(self._workers) if worker.status is _Status.WANTED]
        for slot in wanted:
            self._workers[slot].status = _Status.STARTING
        return [StartWorker(slot) for slot in wanted]

    def _end_hung(self, now: float) -> None:
        limit = max(self._patience.least, self._patience.factor * self._slowest)
        for slot, worker in enumerate(self._workers):
            if worker.queue and now - worker.running_since > limit:
                reason = f"range {worker.queue[0]} made no progress for {limit:.0f} s"
                self._kill.append(KillWorker(slot, reason))
                self.worker_died(slot, reason)
        for block in [block for block, since in self._loading.items() if now - since > self._patience.least]:
            self._kill.append(CancelLoad(block))
            self.block_lost(block, f"loading it took more than {self._patience.least:.0f} s")

    def _manage_blocks(self, now: float) -> list[Action]:
        """Loads blocks ahead of the ranges that need them; drops those needed last when there is no room."""
        if len(self._ready) + len(self._loading) >= len(self._needed):
            return []
        wanted = self._blocks_in_order()
        missing = [block for block in wanted if block not in self._ready and block not in self._loading]
        held = self._ready | self._loading.keys()
        # What workers have in their queues is wanted first, so it is never spare.
        spare = sorted(self._ready - set(wanted))
        actions: list[Action] = []
        for block in missing:
            if len(self._loading) >= self._loaders:
                break
            if len(held) >= self._capacity:
                if not spare:
                    break
                dropped = spare.pop(0)
                self._ready.discard(dropped)
                held.discard(dropped)
                actions.append(DropBlock(dropped))
            self._loading[block] = now
            held.add(block)
            actions.append(LoadBlock(block))
        return actions

    def _blocks_in_order(self) -> list[ClipBlock]:
        """The blocks needed next, soonest first: at most as many as may be held."""
        wanted: dict[ClipBlock, None] = {}
        for worker in self._workers:
            for given in worker.queue:
                wanted.update(dict.fromkeys(self._blocks_of(given)))
        for pending in self._pending:
            needed = [block for block in self._blocks_of(pending) if block not in wanted]
            if len(wanted) + len(needed) > self._capacity:
                break
            wanted.update(dict.fromkeys(needed))
        return list(wanted)

    def _hand_out(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for depth in range(self._calls + RANGES_WAITING):
            for slot, worker in enumerate(self._workers):
                if worker.status is not _Status.READY or len(worker.queue) != depth:
                    continue
                position = self._next_renderable()
                if position is None:
                    return actions
                if not self._may_join(self._pending[position], worker):
                    continue
                taken = self._take(position, worker)
                if not worker.queue:
                    worker.running_since = now
                worker.queue.append(taken)
                actions.append(Render(slot, taken, self._blocks_of(taken)))
        return actions

    def _may_join(self, pending: ClipRange, worker: _Worker) -> bool:
        """Whether a range can be given to a worker now: where ranges overlap, a suspect is rendered alone."""
        suspects = (given in self._deaths for given in (pending, *worker.queue))
        return self._calls == 1 or not worker.queue or not any(suspects)

    def _take(self, position: int, worker: _Worker) -> ClipRange:
        """A pending range, together with those behind it that the worker renders within `CALL_SECONDS`.

        Only where the store holds all blocks, so that nobody waits for what a long range holds; never suspects. What a
        faster worker gave back is cut again.
        """
        taken = self._pending.pop(position)
        most = worker.pace * CALL_SECONDS
        if taken in self._deaths:
            return taken
        if len(taken) > max(most, self._planned):
            taken, rest = taken.cut(self._planned)
            self._pending.insert(position, rest)
            return taken
        if most <= len(taken) or len(self._needed) > self._capacity:
            return taken
        left = self.remaining - sum(len(given) for other in self._workers for given in other.queue)
        least = worker.pace * LEAST_CALL_SECONDS
        most = min(most, MAX_RANGE, max(least, left * CALL_SHARE / self.ready_workers))
        while position < len(self._pending):
            after = self._pending[position]
            joined = taken.joined(after)
            if joined is None or len(joined) > most or after in self._deaths or not self._renderable(after):
                break
            taken = joined
            del self._pending[position]
        return taken

    def _next_renderable(self) -> int | None:
        for position, pending in enumerate(self._pending[:LOOKAHEAD]):
            if self._renderable(pending):
                return position
        return None

    def _renderable(self, pending: ClipRange) -> bool:
        return self._ready.issuperset(self._blocks_of(pending))

    def _blame(self, killer: ClipRange, reason: str) -> None:
        """Counts a death against the range that was being rendered; splits or fails it when there were too many."""
        deaths = self._deaths.get(killer, 0) + 1
        self._deaths[killer] = deaths
        if len(killer) == 1 and deaths >= DEATHS_TO_FAIL:
            said = f"its worker died {deaths} times ({brief_reason(reason)})"
            self.failures.append(FrameFailure(killer.frames.start, said))
        elif len(killer) > 1 and deaths >= DEATHS_TO_SPLIT:
            self.incidents.split.append(killer)
            halves = killer.cut(len(killer) // 2)
            # A half is suspect from the start: one more death and it is split again.
            self._deaths.update(dict.fromkeys(halves, DEATHS_TO_SPLIT - 1))
            self._give_back(halves)
        else:
            self._give_back([killer])

    def _give_back(self, ranges: Iterable[ClipRange]) -> None:
        for returned in ranges:
            self.incidents.retried.append(returned)
            bisect.insort(self._pending, returned)
