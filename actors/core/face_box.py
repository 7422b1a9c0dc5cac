"""Face boxes whose edges may lie between pixels, and how their jitter over time is filtered out.

Landmarks are whole pixels found on each frame by itself, so boxes tremble by about a pixel where the face does not.
Columns are measured so that pixel ``i`` reaches from ``i`` to ``i + 1`` and has its centre at ``i + 0.5``; rows alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from actors.core.clip import FaceBox

# A box is set by itself and five on each side of it, by the parabola that fits them best.
TAPS = 11
DEGREE = 2

# A step to the next background that is larger, in sides of the box, is a cut and not a movement.
CUT = 0.25

# Places are rounded to a part of a pixel that nobody sees, so that the last bit of a sum decides nothing.
PARTS = 256


@dataclass(frozen=True, slots=True)
class SubpixelBox:
    """The face box of one frame in pixels: columns ``x0 <= x < x1``, rows ``y0 <= y < y1``, not whole numbers."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def of(cls, box: FaceBox) -> SubpixelBox:
        """The box that covers exactly the pixels of a rectangle."""
        return cls(float(box.x0), float(box.y0), float(box.x1), float(box.y1))

    @property
    def width(self) -> float:
        """Columns covered."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Rows covered."""
        return self.y1 - self.y0

    @property
    def pixels(self) -> FaceBox:
        """The pixels whose centres it covers: those that are written."""
        return FaceBox(*(math.ceil(edge - 0.5) for edge in (self.x0, self.y0, self.x1, self.y1)))


def smooth_boxes(boxes: Sequence[FaceBox | None], width: int, height: int) -> tuple[SubpixelBox | None, ...]:
    """Filters the jitter of boxes over the backgrounds they belong to.

    Centre column, top row, width and height are each replaced by the value of the parabola that fits them best over
    `TAPS` backgrounds (Savitzky and Golay, 1964): the middle one of the window, and towards the ends of the clip that
    of the last whole window. Steady movement stays as it is, and so do boxes that follow a parabola. Where the face
    jumps, by more than `CUT` of the box's side, or is not there for a while, both parts are filtered by themselves. The
    result is moved into the frame where it would reach outside.

    Args:
        boxes: one for each background, in order; inside of the frame; ``None`` where there is no face.
        width: of the frame in pixels.
        height: of the frame in pixels.

    Returns:
        One box for each background, to 1/`PARTS` of a pixel, inside of the frame; ``None`` where there is no face.
    """
    smooth: list[SubpixelBox | None] = []
    for missing, group in groupby(boxes, lambda box: box is None):
        part = list(group)
        smooth += [None] * len(part) if missing else _smoothed([box for box in part if box is not None], width, height)
    return tuple(smooth)


def _smoothed(boxes: Sequence[FaceBox], width: int, height: int) -> list[SubpixelBox]:
    """Boxes of backgrounds that follow on each other, cuts among them."""
    smooth: list[SubpixelBox] = []
    for first, last in pairwise([0, *_cuts(boxes), len(boxes)]):
        part = boxes[first:last]
        places = np.array([[(r.x0 + r.x1) / 2, r.y0, r.width, r.height] for r in part], np.float64)
        smooth += [_inside(place, width, height) for place in _filtered(places).tolist()]
    return smooth


def _cuts(boxes: Sequence[FaceBox]) -> list[int]:
    """Where a box has nothing to do with the one before it."""
    return [
        index
        for index, (before, after) in enumerate(pairwise(boxes), 1)
        if max(
            abs(after.x0 + after.x1 - before.x0 - before.x1) / 2,
            abs(after.y0 - before.y0),
            abs(after.width - before.width),
        )
        > CUT * max(before.width, after.width)
    ]


def _filtered(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column of ``(n, 4)`` by itself; a window has as many rows as there are, `TAPS` at the most."""
    count = len(places)
    taps = min(TAPS, count)
    # Row j gives the weights of the window's rows in the parabola's value at its j-th row.
    basis = np.vander(np.arange(taps) - (taps - 1) / 2, min(DEGREE + 1, taps), increasing=True)
    weights = basis @ np.linalg.pinv(basis)
    starts = np.clip(np.arange(count) - taps // 2, 0, count - taps)
    return np.stack([weights[index - start] @ places[start : start + taps] for index, start in enumerate(starts)])


def _inside(place: Sequence[float], width: int, height: int) -> SubpixelBox:
    centre, top, wide, high = place
    wide, high = (_rounded(min(max(side, 1.0), most)) for side, most in ((wide, width), (high, height)))
    x0 = min(max(_rounded(centre - wide / 2), 0.0), width - wide)
    y0 = min(max(_rounded(top), 0.0), height - high)
    return SubpixelBox(x0, y0, x0 + wide, y0 + high)


def _rounded(place: float) -> float:
    return round(place * PARTS) / PARTS
