"""BlazeFace, the detector: square pictures to faces."""

from __future__ import annotations

import numpy as np

from actors.core.faces import KEY_POINTS
from actors.core.pixels import Image
from actors.faces.anchors import ANCHORS, anchors
from actors.faces.detections import Detections, Floats
from actors.faces.suppression import mean_of_overlapping
from actors.faces.tflite import TFLiteNetwork

# For each anchor: x, y of the middle, width, height, then x, y of each key point.
VALUES = 4 + 2 * KEY_POINTS
REGRESSORS, LOGITS = "regressors", "classificators"

# The logits of what cannot be told from certain any more.
CERTAIN = 80.0


def sigmoid(logits: Floats) -> Floats:
    """``1 / (1 + e**-x)`` of every number, in float32 and without overflow."""
    bounded = np.clip(logits.astype(np.float64), -CERTAIN, CERTAIN)
    return (1.0 / (1.0 + np.exp(-bounded))).astype(np.float32)


def decode(regressors: Floats, logits: Floats, side: int, least: float) -> Detections:
    """Every box that scores, in pixels of the network's picture, still overlapping.

    Source: MediaPipe's description of the network. All values are pixels of the picture; places are relative to the
    anchor's centre.

    Args:
        regressors: ``(896, 16)``.
        logits: ``(896,)``.
        side: of the picture.
        least: the score that is enough, in (0, 1).
    """
    places = np.flatnonzero(logits >= np.float32(np.log(least / (1 - least))))
    centres = anchors()[places] * np.float32(side)
    values = regressors[places]
    middle, half = values[:, :2] + centres, values[:, 2:4] / np.float32(2)
    points = values[:, 4:].reshape(-1, KEY_POINTS, 2) + centres[:, None]
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return Detections(boxes, sigmoid(logits[places]), points, float(sigmoid(logits.max(keepdims=True))[0]))


class BlazeFace:
    """One BlazeFace network."""

    def __init__(self, model: bytes, side: int) -> None:
        """Reads the network.

        Args:
            model: what is in the TFLite file.
            side: pixels of its square input.

        Raises:
            InputError: this OpenCV does not run it.
        """
        self.side = side
        self._network = TFLiteNetwork(model, side, {REGRESSORS: ANCHORS * VALUES, LOGITS: ANCHORS})

    def find(self, picture: Image, least: float) -> Detections:
        """The faces on a picture ``(side, side, 3)`` uint8 BGR that score at least ``least``, best first."""
        regressors, logits = self._network.run(picture, -1.0, 1.0)
        return mean_of_overlapping(decode(regressors.reshape(ANCHORS, VALUES), logits, self.side, least))
