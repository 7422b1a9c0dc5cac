"""Where footage cuts from one shot to the next, told from thumbnails of its frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.faces.windows import windows

# A thumbnail whose brightness varies by less than this many levels (standard deviation) says nothing about the scene:
# it is black, white, or at the end of a fade. Compression and noise alone reach about one level.
FLAT = 4.0

# What lasts for fewer frames than this is a flash or a glitch and no shot. So many frames are compared on each side.
SHORTEST_SHOT = 4

# Distance over a cut at the least. A talking head changes by 0.0003 from frame to frame and by 0.005 in five, measured
# at 30 fps; the same scene framed a tenth closer, or moved by a thirtieth of its width, differs by 0.15.
UNLIKE = 0.1

# A cut differs from the movement around it by at least this factor: a fast pan makes every frame unlike the one before.
ABOVE_MOTION = 3.0


def find_cuts(thumbnails: NDArray[np.uint8]) -> tuple[int, ...]:
    """The frames at which a new shot begins.

    The distance of two frames is one minus the correlation of their brightness, so exposure and fades do not count.
    Flat frames are left out. A cut lies where all of the `SHORTEST_SHOT` frames before are unlike all of as many after,
    so that a flash is none, and where the smallest of these distances stands out from the movement on either side: the
    smallest distance of consecutive frames there. A shot whose first frames are flat begins behind them. A dissolve
    changes little from frame to frame and is not found.

    Args:
        thumbnails: ``(frames, rows, columns)``, the brightness of every frame in order.

    Returns:
        Places in ``thumbnails``, ascending, none of them 0.
    """
    told, apart = _distances(thumbnails)
    if len(told) < 2:
        return ()
    found = [
        place
        for place in np.flatnonzero(apart[0] > UNLIKE) + 1
        if 0 < place < len(told) and _is_cut(apart, int(place), len(told))
    ]
    return tuple(int(told[place]) for place in found)


def _distances(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
    """The frames that are not flat, and by lag, from 1 on, the distances of each of them and the one so many behind it.

    Beyond the ends there is nothing to be like.
    """
    lags = range(1, 2 * SHORTEST_SHOT)
    told: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    apart: list[list[NDArray[np.float32]]] = [[] for _ in lags]
    tail = np.empty((0, thumbnails[:1].size), np.float32)
    for part in windows(len(thumbnails)):
        pictures = _normalised(thumbnails[part])
        new = np.flatnonzero(pictures.any(axis=1))
        told.append(new + part.start)
        known, pictures = len(tail), np.concatenate([tail, pictures[new]])
        for lag, found in zip(lags, apart, strict=True):
            late = max(known, lag)
            early, later = pictures[late - lag : max(len(pictures) - lag, 0)], pictures[late:]
            found.append(1 - np.einsum("ij,ij->i", early, later))
        tail = pictures[-lags[-1] :]
    ends = [np.full(lag, np.inf, np.float32) for lag in lags]
    return np.concatenate(told), [np.concatenate([*found, end]) for found, end in zip(apart, ends, strict=True)]


def unlike(thumbnails: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the thumbnails ``(n, rows, columns)`` show another picture than ``other`` does ``(rows, columns)``.

    A flat one is like a flat one alone.
    """
    pictures, (against,) = _normalised(thumbnails), _normalised(other[None])
    told, both = pictures.any(axis=1), bool(against.any())
    return np.asarray((told != both) | (told & (1 - pictures @ against > UNLIKE)), np.bool_)


def _normalised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One row each of mean 0 and length 1, whose products are correlations; of flat ones all 0."""
    count, rows, columns = thumbnails.shape
    pictures = thumbnails.reshape(count, rows * columns).astype(np.float32)
    pictures -= pictures.mean(axis=1, keepdims=True)
    spread = pictures.std(axis=1, keepdims=True)
    length = spread * np.float32(np.sqrt(rows * columns))
    return np.asarray(np.where(spread >= FLAT, pictures / np.maximum(length, 1), 0), np.float32)


def _is_cut(apart: list[NDArray[np.float32]], place: int, count: int) -> bool:
    """Whether a shot begins at a place; ``apart[lag - 1][i]`` is the distance of ``i`` and ``i + lag``."""
    before = range(max(place - SHORTEST_SHOT, 0), place)
    after = range(place, min(place + SHORTEST_SHOT, count))
    across = min(float(apart[late - early - 1][early]) for early in before for late in after)
    motion = max(min((float(apart[0][i]) for i in side[:-1]), default=0.0) for side in (before, after))
    return across > UNLIKE and across > ABOVE_MOTION * motion
