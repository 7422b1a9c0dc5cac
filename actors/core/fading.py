"""The fade between the rendered face and the background's own pixels, over output frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Seconds in which one face fades into the other.
_FADE = 0.16


def fading(places: NDArray[np.bool_], fps: int) -> NDArray[np.float64]:
    """1 at some output frames, falling evenly beside them to 0 within 0.16 s.

    Args:
        places: ``(frames,)``, true at these frames.
        fps: output frames per second.

    Returns:
        ``(frames,)`` in [0, 1]; 0 everywhere where no frame is chosen.
    """
    chosen, here = np.flatnonzero(places), np.arange(len(places))
    if not len(chosen):
        return np.zeros(len(places))
    following = np.searchsorted(chosen, here)
    nearest = [chosen[np.clip(following - back, 0, len(chosen) - 1)] for back in (0, 1)]
    distance = np.abs(nearest - here).min(axis=0)
    return np.asarray(np.maximum(0, 1 - distance / max(1, round(_FADE * fps))), np.float64)


def as_opacities(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Shares in [0, 1] in 255ths, weights as in `actors.core.blend`."""
    return np.asarray(np.rint(255 * shares), np.uint8)
