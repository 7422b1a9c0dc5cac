"""Clips as the planner lays them out, made up by Hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st
from observer import BlocksOf, job_of
from one_clip import Cluster

from actors.core.choices import Loop
from actors.core.pairing import Pairing
from actors.core.ranges import FrameRange
from jobs.planning.block_plan import BlockPlan
from jobs.planning.range_plan import plan_ranges
from jobs.scheduling.open_clip import ClipJob


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

    def job(self, name: str, backgrounds: str, priority: int = 0, network: str = "") -> ClipJob:
        return job_of(name, self.ranges, self.blocks_of, backgrounds, priority, network)

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
