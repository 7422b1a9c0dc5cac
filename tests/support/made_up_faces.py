"""Made-up finds on frames, of any shape that real ones have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actors.core.faces import KEY_POINTS, MESH_POINTS, THUMBNAIL, FoundFaces


def made_up(counts: Sequence[int], first: int = 0, seed: int = 0) -> FoundFaces:
    """So many faces on each frame, of random numbers; every second key point is missing."""
    rng = np.random.default_rng(seed)
    rows, frames = sum(counts), len(counts)

    def numbers(*shape: int) -> np.ndarray:
        return rng.random(shape, np.float32)

    points = numbers(rows, KEY_POINTS, 2)
    points[:, ::2] = np.nan
    return FoundFaces(
        first=first,
        thumbnails=rng.integers(0, 256, (frames, *THUMBNAIL), np.uint8),
        best=numbers(frames),
        frame=np.repeat(np.arange(first, first + frames), counts),
        boxes=numbers(rows, 4),
        scores=numbers(rows),
        points=points,
        presence=numbers(rows),
        extents=numbers(rows, 4),
        mesh=numbers(rows, len(MESH_POINTS), 2),
    )
