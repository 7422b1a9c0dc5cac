"""Long footage, a part at a time: what is calculated of a part is let go of before the next."""

from __future__ import annotations

from collections.abc import Iterator

# Frames, or faces, of a part: enough for NumPy to be quick, and few where each has a mesh.
WINDOW = 512


def windows(stop: int, start: int = 0, size: int = WINDOW) -> Iterator[slice]:
    """Slices of at most ``size`` that follow each other from ``start`` to ``stop``."""
    for first in range(start, stop, size):
        yield slice(first, min(first + size, stop))
