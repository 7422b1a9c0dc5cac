"""Face boxes like an avatar's: a map from the mesh of a face to the square that the avatar's network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from jobs.faces.gaps import FacePath
from jobs.faces.windows import windows

# Weights of the penalty that are tried, largest first. Points of the mesh tremble by 0.0015 of the face (rms), 2e-6
# squared; below that the fit would learn nothing but this.
RIDGES = tuple(10.0**-power for power in range(7))

# A larger penalty is taken where its error is above the least by this factor at the most: the simpler map holds better
# on new footage.
SIMPLER = 2.0

# Parts of the avatar's footage, each judged by the fit on the others. Frames beside each other are nearly the same, so
# what is judged must lie apart in time, or the fit that learns frames by heart wins.
PARTS = 5

# Fewer frames than this tell little more than one mean place.
FEWEST = 20

# A network knows only crops as it was trained on; error of the squares in sides, root mean square.
LARGEST_ERROR = 0.04

# Places are rounded to a part of a pixel that nobody sees.
SUBPIXELS = 256

# A square that reaches outside is moved inside by so much of its side at the most, or the mouth lies elsewhere in it.
MOVED = 0.1


@dataclass(frozen=True, slots=True)
class FitError:
    """How far squares are off on frames that the fit did not see: root mean squares in pixels.

    Attributes:
        x: of the left edge.
        y: of the top edge.
        side: of the side.
        of_side: the mean side that the squares have, in pixels.
    """

    x: float
    y: float
    side: float
    of_side: float

    @property
    def share(self) -> float:
        """The largest of the three, in sides."""
        return max(self.x, self.y, self.side) / self.of_side

    def __str__(self) -> str:
        return (
            f"{self.x:.1f} px in x, {self.y:.1f} in y, {self.side:.1f} in the side: {100 * self.share:.1f} % of "
            f"{self.of_side:.0f} px"
        )


@dataclass(frozen=True, slots=True)
class SquareMap:
    """A linear map from a mesh to a square, both seen from the box around the mesh.

    Places are relative to the centre of that box, in units of the root of its area, so neither where the face is nor
    how large matters.

    Attributes:
        mean: ``(2 x points,)``, the mean mesh.
        weights: ``(2 x points, 3)``.
        middle: ``(3,)``, left edge, top edge and side at the mean mesh.
        low: ``(3,)``, the least of the avatar's, which no result goes below.
        high: ``(3,)``, the most of the avatar's, which no result goes above.
    """

    mean: NDArray[np.float64]
    weights: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __call__(self, meshes: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n, 2 x points)`` to ``(n, 3)``."""
        return np.clip((meshes - self.mean) @ self.weights + self.middle, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What was learned from an avatar.

    Attributes:
        squares: the map, fitted on all frames.
        ridge: the weight of the penalty, out of `RIDGES`.
        error: on frames held out.
        frames: frames that it was fitted on.
    """

    squares: SquareMap
    ridge: float
    error: FitError
    frames: int


def fit_likeness(path: FacePath, boxes: Sequence[FaceBox | None], name: str) -> Likeness:
    """Fits the map on an avatar's own frames, by ridge regression (Hoerl and Kennard, 1970).

    The frames are divided into `PARTS` parts in time, and each is judged by a fit on the others. The weight of the
    penalty is the largest with which the root of the mean of squared errors is the least, or above it by `SIMPLER` at
    the most. The final fit is on all frames.

    Args:
        path: the avatar's face on its frames.
        boxes: the avatar's own face boxes, from its landmarks or its file, one for each frame. The width is the side.
        name: the avatar, for messages.

    Raises:
        InputError: fewer than `FEWEST` frames have both, or the held-out error is above `LARGEST_ERROR`.
    """
    there = path.tracks > 0
    both = np.flatnonzero(there & [box is not None for box in boxes])
    if len(both) < FEWEST:
        raise InputError(
            name,
            f"the face was found on {len(both)} of its frames, and {FEWEST} are needed to learn its face boxes",
            "give the avatar's folder with more of its frames",
        )
    squares = np.array([(box.x0, box.y0, box.width) for box in boxes if box is not None], np.float64)
    squares = squares[[bool(there[frame]) for frame, box in enumerate(boxes) if box is not None]]
    seen = [_seen_from_extents(path, part, both) for part in windows(len(path))]
    meshes, centres, scales = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    targets = squares / scales[:, None]
    targets[:, :2] -= centres / scales[:, None]
    parts = np.arange(len(both)) * PARTS // len(both)
    off = _held_out(meshes, targets, parts) * scales[:, None]
    errors = np.sqrt(np.square(off).mean(axis=(1, 2)))
    best = int(np.flatnonzero(errors <= SIMPLER * errors.min())[0])
    x, y, side = np.sqrt(np.square(off[best]).mean(axis=0)).tolist()
    error = FitError(x, y, side, float(squares[:, 2].mean()))
    if error.share > LARGEST_ERROR:
        raise InputError(
            name,
            f"its face boxes do not follow the face: on frames held out they are off by {error}, and "
            f"{100 * LARGEST_ERROR:.0f} % is the most",
            "see whether its landmarks or boxes fit its frames, or give face boxes by --rects",
        )
    (fit,) = _fits(meshes, targets, RIDGES[best : best + 1])
    return Likeness(fit, RIDGES[best], error, len(both))


def squares_like(path: FacePath, size: tuple[int, int], likeness: Likeness) -> tuple[FaceBox | None, ...]:
    """The square of every frame that the avatar would have there, None where there is no face.

    A square that reaches outside of the frame is moved inside, by `MOVED` of its side at the most; one that would have
    to move further, or is larger than the frame, is none.

    Args:
        path: the dubbed face of the new footage.
        size: width and height of the frames in pixels.
        likeness: of `fit_likeness`.
    """
    frames = np.flatnonzero(path.tracks)
    made: list[FaceBox | None] = [None] * len(path)
    for part in windows(len(path)):
        meshes, centres, scales = _seen_from_extents(path, part, frames)
        squares = likeness.squares(meshes) * scales[:, None]
        squares[:, :2] += centres
        # So that the last bit of a sum, which is another on another machine, decides nothing.
        squares = np.rint(squares * SUBPIXELS) / SUBPIXELS
        for frame, (left, top, side) in zip(_within(frames, part).tolist(), squares.tolist(), strict=True):
            made[frame] = _inside(left, top, round(side), size)
    return tuple(made)


def _seen_from_extents(
    path: FacePath, part: slice, frames: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Meshes ``(n, 2 x points)`` as the map wants them, and centres ``(n, 2)`` and scales ``(n,)`` of their boxes.

    Args:
        path: of the face.
        part: of the frames.
        frames: those of interest, ascending; the ones within the part are taken.
    """
    frames = _within(frames, part)
    extents = path.extents[frames].astype(np.float64)
    centres = (extents[:, :2] + extents[:, 2:]) / 2
    scales = np.sqrt((extents[:, 2:] - extents[:, :2]).prod(axis=1))
    mesh = path.shapes(part).mesh[frames - part.start]
    meshes = (mesh - centres[:, None]) / scales[:, None, None]
    return meshes.reshape(len(frames), 2 * mesh.shape[1]), centres, scales


def _within(frames: NDArray[np.int64], part: slice) -> NDArray[np.int64]:
    return frames[slice(*np.searchsorted(frames, [part.start, part.stop]))]


def _fits(meshes: NDArray[np.float64], targets: NDArray[np.float64], ridges: Sequence[float]) -> tuple[SquareMap, ...]:
    """The map for each weight of the penalty; the decomposition is shared."""
    mean, middle = meshes.mean(axis=0), targets.mean(axis=0)
    apart = meshes - mean
    spread, axes = np.linalg.eigh(apart.T @ apart)
    along = axes.T @ (apart.T @ (targets - middle))
    low, high = targets.min(axis=0), targets.max(axis=0)
    return tuple(
        SquareMap(mean, axes @ (along / (spread + ridge * len(meshes))[:, None]), middle, low, high) for ridge in ridges
    )


def _held_out(
    meshes: NDArray[np.float64], targets: NDArray[np.float64], parts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """``(ridges, n, 3)``: how far each target is off by the fit on the other parts, for all `RIDGES`."""
    off = np.empty((len(RIDGES), *targets.shape))
    for part in range(PARTS):
        held = parts == part
        fits = _fits(meshes[~held], targets[~held], RIDGES)
        off[:, held] = [fit(meshes[held]) - targets[held] for fit in fits]
    return off


def _inside(left: float, top: float, side: int, size: tuple[int, int]) -> FaceBox | None:
    if not 0 < side <= min(size):
        return None
    x0, y0 = (min(max(round(edge), 0), length - side) for edge, length in zip((left, top), size, strict=True))
    if max(abs(x0 - left), abs(y0 - top)) > MOVED * side + 0.5:
        return None
    return FaceBox(x0, y0, x0 + side, y0 + side)
