"""Which ranges of footage are searched for faces, one by one, on any node."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from actors.core.clip import FrameSource, VideoFrames
from actors.core.ranges import FrameRange

# A range takes a second or two; its file is what a killed command does not do again.
LONGEST = 256
SHORTEST = 16


def keyframes(frames: FrameSource) -> tuple[int, ...]:
    """The frames at which decoding can begin, ascending; none of images, each of which is by itself."""
    if not isinstance(frames, VideoFrames):
        return ()
    keys = {key.place for key in frames.packets.keys}
    return tuple(i for i, place in enumerate(frames.places) if place in keys)


def plan_search(missing: Sequence[FrameRange], keys: Sequence[int], cpus: int) -> tuple[FrameRange, ...]:
    """Divides frames into ranges for so many CPUs.

    A range that begins behind a keyframe decodes the frames from there again, so ranges begin at keyframes where these
    stand close enough.

    Args:
        missing: ranges that have not been searched, ascending.
        keys: frames at which decoding can begin, ascending.
        cpus: how many ranges are searched at once, at least 1.

    Returns:
        Ranges in order, the missing frames and no others in them.
    """
    size = min(max(-(-sum(map(len, missing)) // cpus), SHORTEST), LONGEST)
    ranges: list[FrameRange] = []
    for span in missing:
        start = span.start
        while start < span.stop:
            stop = min(_cut(start, size, keys), span.stop)
            # A rest is not worth a range of its own.
            if span.stop - stop < SHORTEST:
                stop = span.stop
            ranges.append(FrameRange(start, stop))
            start = stop
    return tuple(ranges)


def _cut(start: int, size: int, keys: Sequence[int]) -> int:
    """Where a range ends: at the keyframe nearest to its size, if one is within half of it."""
    wanted = start + size
    near = keys[bisect_right(keys, start + size // 2) : bisect_left(keys, wanted + size // 2)]
    return min(near, key=lambda key: abs(key - wanted), default=wanted)
