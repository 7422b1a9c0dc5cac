"""Which network a worker gets: that with the most left to do for each worker that has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, repeat, zip_longest

from actors.core.ranges import ClipRange
from jobs.scheduling.open_clip import OpenClip
from jobs.scheduling.worker_state import Status, WorkerState

# A worker that changes its network builds a session: for less work than this of each worker that has the other network
# it is not worth it. A worker that is being started for longer may be waiting for a place that does not come.
CHANGE_SECONDS = 5.0


@dataclass(slots=True)
class NetworkShare:
    """What nobody has yet of a network's clips, and the workers that have the network.

    Attributes:
        clips: those of which ranges are pending, in the order in which they are rendered.
        frames: that are pending.
        workers: that have the network or are being started with it.
        ready: those of them that can render.
        expected: those that are ready, or will soon be.
        queued: ranges that those have which are ready.
        paces: frames per second of those that have shown it.
    """

    clips: list[OpenClip] = field(default_factory=list)
    frames: int = 0
    workers: int = 0
    ready: int = 0
    expected: int = 0
    queued: int = 0
    paces: list[float] = field(default_factory=list)

    @property
    def per_worker(self) -> float:
        """Pending frames for each worker, without end where there is none."""
        return self.frames / self.workers if self.workers else float("inf")

    @property
    def worth_a_change(self) -> bool:
        """Whether a worker that has nothing left to do should have this network instead of its own."""
        if not self.expected:
            return True
        pace = sum(self.paces) * self.expected / len(self.paces) if self.paces else 0.0
        return pace > 0 and self.frames / pace > CHANGE_SECONDS

    def add(self, worker: WorkerState, now: float) -> None:
        """Counts a worker that has the network."""
        self.workers += 1
        self.ready += worker.status is Status.READY
        self.expected += worker.status is Status.READY or now - worker.started <= CHANGE_SECONDS
        self.queued += len(worker.queue)
        if worker.pace:
            self.paces.append(worker.pace)

    def pending(self) -> Iterator[tuple[OpenClip, int, ClipRange]]:
        """The ranges that nobody has, each with its clip and its place there, in the order in which they are wanted."""
        for clip in self.clips:
            for position, pending in enumerate(clip.pending):
                yield clip, position, pending

    def turns(self) -> Iterator[tuple[tuple[OpenClip, int, ClipRange], ...]]:
        """These ranges, as many at a time as there are ready workers; the first are missing where workers have some."""
        size = max(1, self.ready)
        whole, rest = divmod(self.queued, size)
        pending = self.pending()
        yield from repeat((), whole)
        yield tuple(islice(pending, size - rest))
        while turn := tuple(islice(pending, size)):
            yield turn


def shares(clips: Iterable[OpenClip], workers: Iterable[WorkerState], now: float) -> dict[str, NetworkShare]:
    """The networks of which something is pending, in the order of their first clips."""
    found: dict[str, NetworkShare] = {}
    for clip in clips:
        if clip.fault is None and clip.pending:
            share = found.setdefault(clip.job.network, NetworkShare())
            share.clips.append(clip)
            share.frames += clip.waiting
    for worker in workers:
        if worker.manned and (had := found.get(worker.network)) is not None:
            had.add(worker, now)
    return found


def upcoming(networks: Iterable[NetworkShare]) -> Iterator[tuple[OpenClip, ClipRange]]:
    """The ranges that nobody has, in the order in which they will be given out.

    Networks take turns, a range for each worker at a time, what workers have included: in a small store none waits for
    blocks until another network's clips are done. Those without a ready worker come after them: of what they take
    nothing can be rendered yet.
    """
    given = list(networks)
    manned = zip_longest(*(share.turns() for share in given if share.ready))
    others = zip_longest(*(share.turns() for share in given if not share.ready))
    for turn in chain(manned, others):
        for found in turn:
            for clip, _, pending in found or ():
                yield clip, pending


def most_wanted(networks: dict[str, NetworkShare]) -> str | None:
    """The network that the next worker should have; of equal ones that whose clips come first."""
    return max(networks, key=lambda name: (networks[name].per_worker, networks[name].frames), default=None)
