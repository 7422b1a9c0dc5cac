"""Frames per second over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Fewer frames than this in a bucket and the curve shows chance; more buckets than this and nobody sees them.
FRAMES_PER_BUCKET = 8
MOST_BUCKETS = 100


@dataclass(frozen=True, slots=True)
class Bucket:
    """Frames finished in ``start <= t < stop`` seconds (the last bucket's end included)."""

    start: float
    stop: float
    frames: int

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.frames / (self.stop - self.start)


def rate(done: Sequence[float], length: float) -> list[Bucket]:
    """Counts finished frames in equal parts of the time.

    Args:
        done: when each frame was finished, seconds in [0, length].
        length: seconds, above 0.
    """
    count = min(max(len(done) // FRAMES_PER_BUCKET, 1), MOST_BUCKETS)
    counted, edges = np.histogram(done, bins=count, range=(0.0, length))
    return [
        Bucket(float(start), float(stop), int(frames))
        for frames, (start, stop) in zip(counted, pairwise(edges), strict=True)
    ]
