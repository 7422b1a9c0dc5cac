"""What a detector says of one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import KEY_POINTS

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces on one picture, in its pixels: pixel i of a row reaches from i to i + 1.

    Attributes:
        boxes: ``(n, 4)`` float32: left, top, right, bottom.
        scores: ``(n,)`` float32 in [0, 1].
        points: ``(n, 6, 2)`` float32, x and y: the eye on the left of the picture, the other, nose, mouth, the ear on
            the left, the other; NaN where the detector gives none.
        best: the best score of anything in the picture, also where that is too low for a face.
    """

    boxes: Floats
    scores: Floats
    points: Floats
    best: float

    def __len__(self) -> int:
        return len(self.scores)

    def chosen(self, places: NDArray[np.int64]) -> Detections:
        """The faces at these places alone, in this order."""
        return Detections(self.boxes[places], self.scores[places], self.points[places], self.best)

    def moved(self, offset: tuple[float, float], scale: tuple[float, float]) -> Detections:
        """In pixels of another picture: those of this one after ``offset`` is taken away and ``scale`` divided out.

        Args:
            offset: x and y.
            scale: along x and y.
        """
        shift, factor = np.array(offset, np.float32), np.array(scale, np.float32)
        boxes = (self.boxes.reshape(-1, 2, 2) - shift) / factor
        points = (self.points - shift) / factor
        return Detections(boxes.reshape(-1, 4), self.scores, points, self.best)


def joined(parts: Sequence[Detections]) -> Detections:
    """What several looks at one picture found together."""
    none = Detections(
        np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, KEY_POINTS, 2), np.float32), 0.0
    )
    parts = (none, *parts)
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.points for part in parts]),
        max(part.best for part in parts),
    )
