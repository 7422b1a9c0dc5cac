"""What a network says about a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actors.core.pixels import ColourPlanes, PredictionFault


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says about a batch.

    Attributes:
        planes: ``(n, 3, inner, inner)`` uint8, blue, green, red; where there is a fault they mean nothing.
        faults: for each frame why it cannot be shown, or ``None``.
    """

    planes: ColourPlanes
    faults: tuple[PredictionFault | None, ...]

    def frame(self, place: int) -> Prediction:
        """That of one frame."""
        return Prediction(self.planes[place : place + 1], self.faults[place : place + 1])

    def equals(self, other: Prediction, levels: int) -> bool:
        """Whether the same frames can be shown, and these differ by no more than so many levels."""
        shown = [fault is None for fault in self.faults]
        if shown != [fault is None for fault in other.faults]:
            return False
        if levels == 0:
            return np.array_equal(self.planes[shown], other.planes[shown])
        return bool((np.abs(self.planes[shown].astype(np.int16) - other.planes[shown]) <= levels).all())
