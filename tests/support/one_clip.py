"""What an observer between the scheduler and Ray sees of a run of one clip, which goes without saying in tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from observer import BlocksOf, ManyClips, blocks_by, job_of

from actors.core.ranges import ClipBlock, ClipRange, FrameRange, divide
from actors.core.worker_reports import FrameFailure
from jobs.scheduling.incidents import Incidents
from jobs.scheduling.open_clip import OpenClip

# The only clip.
CLIP = "clip"


def of_clip(frames: FrameRange) -> ClipRange:
    return ClipRange(CLIP, frames)


def block_of_clip(number: int) -> ClipBlock:
    return ClipBlock(CLIP, number)


class Cluster(ManyClips):
    """A run of one clip, in plain frames and numbers of blocks."""

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
        super().__init__(workers=workers, capacity=capacity, loaders=loaders, calls=calls)
        self.expected = frozenset(frames)
        self.begin_clip(job_of(CLIP, ranges, blocks_of, CLIP))

    @property
    def clip(self) -> OpenClip:
        return self.scheduler.clips[CLIP]

    @property
    def failures(self) -> list[FrameFailure]:
        return self.clip.failures

    @property
    def incidents(self) -> Incidents:
        return self.clip.incidents

    @property
    def queues(self) -> dict[int, list[FrameRange]]:
        return {slot: [given.frames for given in queue] for slot, queue in self.given.items()}

    @property
    def delivered(self) -> list[int]:
        return [frame for _, frame in self.done]

    @property
    def loading(self) -> set[int]:
        return {block.number for block in self.coming}

    @property
    def loaded(self) -> set[int]:
        return {block.number for block in self.held}

    def check(self) -> None:
        super().check()
        assert self.frames(CLIP) == self.expected
        assert self.incidents.deaths == self.scheduler.deaths

    def load(self, block: int) -> None:
        self.arrive(block_of_clip(block))

    def lose(self, block: int) -> None:
        self.vanish(block_of_clip(block))

    def begin(self) -> None:
        """The first workers become ready and are given the first ranges; only the first block is there."""
        self.act()
        for slot in sorted(self.starting):
            self.ready(slot)
        self.load(0)
        self.act()


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
