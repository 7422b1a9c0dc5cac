"""One clip that is being rendered: its ranges, what became of them, and what happened on the way. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from actors.core.errors import InputError, StoppedError
from actors.core.ranges import ClipBlock, ClipRange
from actors.core.worker_reports import FrameFailure
from jobs.scheduling.deaths import brief_reason
from jobs.scheduling.incidents import Incidents

# The first death of a range may be the machine's fault, the second is taken for the range's.
DEATHS_TO_SPLIT = 2

# A single frame that was being rendered at three deaths is reported instead of tried again.
DEATHS_TO_FAIL = 3

# Isolating one poison frame costs a lone worker 2 deaths for the range, one for each halving, one more for the frame
# itself, and one where ranges overlap; below so many frames that is less than a worker may die in a row.
MAX_RANGE = 1024


@dataclass(frozen=True, slots=True)
class ClipJob:
    """What is to be rendered of a clip.

    Attributes:
        id: names it among the clips of a scheduler.
        ranges: in any order; those that follow each other may be given out as one.
        blocks_of: the blocks that a range needs, a pure function. Clips that are drawn on the same backgrounds name
            the same blocks.
        block_bytes: what each of its blocks takes in the object store.
        priority: clips of a greater one come first; of equal ones, that which was opened first.
        network: key of the network that renders it.
    """

    id: str
    ranges: tuple[ClipRange, ...]
    blocks_of: Callable[[ClipRange], tuple[ClipBlock, ...]]
    block_bytes: int
    priority: int = 0
    network: str = ""


@dataclass(slots=True)
class OpenClip:
    """The state of a clip. Each of its frames is at any moment pending, in flight, done or failed.

    Attributes:
        job: what is to be rendered.
        pending: ranges that nobody has, ascending; those of a clip that has a fault are never given out again.
        waiting: frames of these.
        in_flight: how many ranges are with workers.
        total: frames to render.
        done: frames delivered.
        failures: frames that could not be delivered, and why.
        incidents: what happened besides rendering.
        fault: why it cannot go on, or ``None``.
        planned: frames of its longest range as planned.
        needed: all blocks that its ranges need.
    """

    job: ClipJob
    pending: list[ClipRange] = field(default_factory=list)
    waiting: int = 0
    in_flight: int = 0
    total: int = 0
    done: int = 0
    failures: list[FrameFailure] = field(default_factory=list)
    incidents: Incidents = field(default_factory=Incidents)
    fault: InputError | StoppedError | None = None
    planned: int = 0
    needed: frozenset[ClipBlock] = frozenset()
    _deaths: dict[ClipRange, int] = field(default_factory=dict)

    @classmethod
    def of(cls, job: ClipJob, capacity: int) -> OpenClip:
        """A clip of which nothing is rendered yet.

        Args:
            job: what is to be rendered.
            capacity: bytes of blocks that may be held at once.

        Raises:
            ValueError: a range is too long, or needs more blocks than may be held.
        """
        needed = [job.blocks_of(part) for part in job.ranges]
        most = max(map(len, needed), default=0)
        if most * job.block_bytes > capacity:
            raise ValueError(f"a range needs {most} blocks of {job.block_bytes} bytes, only {capacity} may be held")
        if any(len(part) > MAX_RANGE for part in job.ranges):
            raise ValueError(f"a range may have at most {MAX_RANGE} frames")
        return cls(
            job,
            pending=sorted(job.ranges),
            waiting=sum(map(len, job.ranges)),
            total=sum(map(len, job.ranges)),
            planned=max(map(len, job.ranges), default=0),
            needed=frozenset(block for blocks in needed for block in blocks),
        )

    @property
    def remaining(self) -> int:
        """Frames that are neither delivered nor failed."""
        return self.total - self.done - len(self.failures)

    @property
    def complete(self) -> bool:
        """Whether every frame is done or failed."""
        return not self.pending and not self.in_flight

    @property
    def settled(self) -> bool:
        """Whether nothing more becomes of it: it is complete, or has a fault."""
        return self.fault is not None or self.complete

    def finish(self, done: ClipRange, failures: tuple[FrameFailure, ...]) -> None:
        """A range has been rendered, but for some of its frames."""
        self.in_flight -= 1
        self.done += len(done) - len(failures)
        self.failures.extend(failures)

    def suspects(self, given: ClipRange) -> bool:
        """Whether a range may be what a worker died of."""
        return given in self._deaths

    def give_back(self, given: ClipRange, *, suspect: bool = False) -> None:
        """A range comes back from a worker, which may have died of it where it is a suspect."""
        self.in_flight -= 1
        if suspect:
            self._deaths.setdefault(given, 0)
        self._try_again([given])

    def blame(self, killer: ClipRange, reason: str) -> None:
        """Counts a death against the range that was being rendered; splits or fails it when there were too many."""
        self.in_flight -= 1
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
            self._try_again(halves)
        else:
            self._try_again([killer])

    def take(self, position: int, most: float, longest: float, renderable: Callable[[ClipRange], bool]) -> ClipRange:
        """Gives out a pending range, together with those behind it; a suspect alone.

        Args:
            position: of the range among those that are pending.
            most: frames that the worker renders in one call. What a faster one gave back is cut as it was planned.
            longest: up to so many frames ranges are joined.
            renderable: whether a range could be given out now.
        """
        taken = self._taken(position, most, longest, renderable)
        self.in_flight += 1
        self.waiting -= len(taken)
        return taken

    def _taken(self, position: int, most: float, longest: float, renderable: Callable[[ClipRange], bool]) -> ClipRange:
        taken = self.pending.pop(position)
        if self.suspects(taken):
            return taken
        if len(taken) > max(most, self.planned):
            taken, rest = taken.cut(self.planned)
            self.pending.insert(position, rest)
            return taken
        while position < len(self.pending):
            after = self.pending[position]
            joined = taken.joined(after)
            if joined is None or len(joined) > longest or self.suspects(after) or not renderable(after):
                break
            taken = joined
            del self.pending[position]
        return taken

    def _try_again(self, ranges: Iterable[ClipRange]) -> None:
        for returned in ranges:
            if self.fault is None:
                self.incidents.retried.append(returned)
            self.waiting += len(returned)
            bisect.insort(self.pending, returned)
