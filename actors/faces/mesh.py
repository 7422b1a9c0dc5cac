"""The 468-point face mesh on one detected face."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.pixels import Image
from actors.faces.blazeface import sigmoid
from actors.faces.detections import Floats
from actors.faces.tflite import TFLiteNetwork

SIDE = 192
POINTS = 468
# The network's square has so many times the longer side of the detector's box: what MediaPipe gives it.
MARGIN = 1.5

# Outputs: x, y, depth of every point in pixels of the crop; a logit of whether there is a face.
PLACES, PRESENCE = "conv2d_20", "conv2d_30"

Matrix = NDArray[np.float64]


def crop_matrix(box: Floats, eyes: Floats) -> Matrix:
    """From places in the crop to places in the frame, ``(2, 3)``: a turned square about the middle of a box.

    Pixel i reaches from place i to i + 1. The crop is turned so that the line through the eyes lies flat.

    Args:
        box: ``(4,)``: left, top, right, bottom.
        eyes: ``(2, 2)``: x and y of the eye on the left of the picture and of the other; NaN for an upright crop.
    """
    left, top, right, bottom = box.astype(np.float64)
    across, down = eyes[1].astype(np.float64) - eyes[0]
    angle = np.arctan2(down, across) if np.isfinite(across + down) else 0.0
    scale = MARGIN * max(right - left, bottom - top) / SIDE
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.hstack([turn, (middle - turn @ (SIDE / 2, SIDE / 2))[:, None]])


def mapped(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Places ``(n, 2)`` through a ``(2, 3)`` matrix."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def crop_of(frame: Image, matrix: Matrix) -> Image:
    """The crop ``(192, 192, 3)`` of a frame; beyond its edges the edge's pixels go on.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        matrix: from `crop_matrix`.
    """
    part, to_part = frame, matrix.copy()
    # Interpolation looks at four pixels, however many there are for one of the crop's.
    shrink = int(np.hypot(*matrix[:, 0]))
    if shrink > 1:
        part, to_part = _shrunk_around(frame, matrix, shrink)
    # OpenCV numbers the centres of pixels.
    to_part[:, 2] += to_part[:, :2].sum(axis=1) / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(part, to_part, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def _shrunk_around(frame: Image, matrix: Matrix, shrink: int) -> tuple[Image, Matrix]:
    """The part of the frame that the crop shows, a ``shrink``-th in size, and the way from the crop to it."""
    corners = mapped(np.array([(0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE)], np.float64), matrix)
    height, width = frame.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - shrink, 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + shrink, low + 1, (width, height))
    # Whole multiples, of which OpenCV takes means faster; what is cut off lies beside the crop.
    high = np.where(high - low >= shrink, low + (high - low) // shrink * shrink, high)
    part = frame[low[1] : high[1], low[0] : high[0]]
    size = max(part.shape[1] // shrink, 1), max(part.shape[0] // shrink, 1)
    to_part = matrix.copy()
    to_part[:, 2] -= low
    to_part *= np.array([[size[0] / part.shape[1]], [size[1] / part.shape[0]]])
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8), to_part


class FaceMesh:
    """The mesh network."""

    def __init__(self, model: bytes) -> None:
        """Reads the network.

        Args:
            model: what is in the TFLite file.

        Raises:
            InputError: this OpenCV does not run it.
        """
        self._network = TFLiteNetwork(model, SIDE, {PLACES: 3 * POINTS, PRESENCE: 1})

    def fit(self, frame: Image, box: Floats, eyes: Floats) -> tuple[Floats, float]:
        """The points ``(468, 2)`` float32 in pixels of the frame, and how sure it is of a face, 0 to 1.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            box: ``(4,)``, the detector's.
            eyes: ``(2, 2)``, the detector's; NaN where it gives none.
        """
        matrix = crop_matrix(box, eyes)
        places, presence = self._network.run(crop_of(frame, matrix), 0.0, 1.0)
        points = places.reshape(POINTS, 3)[:, :2].astype(np.float64)
        return mapped(points, matrix).astype(np.float32), float(sigmoid(presence)[0])
