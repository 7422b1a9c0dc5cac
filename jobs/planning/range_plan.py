"""Which ranges a run's output frames are divided into."""

from __future__ import annotations

from collections.abc import Sequence

from actors.core.ranges import FrameRange, divide

# Long ranges save tables and calls, short ones at the end let all workers finish together. The scheduler joins them for
# workers that are fast.
LONGEST_RANGE = 64

RANGES_PER_WORKER = 4

# For so many workers one frame is the shortest range. Twice as many empty twice as many ranges in the same time, and
# at the end would wait for the driver, which gives out several hundred a second.
WORKERS_PER_FRAME = 16

# A range has at least so many frames for each neighbour on one side: a quarter more inferences at the most.
FRAMES_PER_NEIGHBOUR = 8


def plan_ranges(
    frames: Sequence[int], workers: int, batch: int, longest: int, reach: int = 0
) -> tuple[FrameRange, ...]:
    """Divides output frames into ranges that shrink towards the end.

    While much is left a range is long; each is at most a fraction of what is left per worker, so that no worker is
    still busy with a long range when the others have run out.

    Args:
        frames: ascending output frames; gaps (frames already done) end a range.
        workers: how many will share them.
        batch: frames per inference; ranges are whole batches where they can be.
        longest: upper limit in frames, for ranges that must fit into few blocks.
        reach: frames for which the network runs beside each end of a range; short ranges would cost too many of them.
    """
    limit = min(max(LONGEST_RANGE, batch), longest)
    limit -= limit % batch if limit >= batch else 0
    least = max(-(-workers // (WORKERS_PER_FRAME * batch)), -(-FRAMES_PER_NEIGHBOUR * reach // batch), 1) * batch
    ranges: list[FrameRange] = []
    place = 0
    while place < len(frames):
        share = (len(frames) - place) // (RANGES_PER_WORKER * workers)
        size = min(max(share - share % batch, least), limit)
        ranges.extend(divide(frames[place : place + size], size))
        place += size
    return tuple(ranges)
