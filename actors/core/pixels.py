"""The pixel arithmetic outside of the network: crop, colour planes, faults of an answer, and the way back to a frame.

The six planes in float32, the mask and the answer's bytes are made inside the session: `actors.network.graph`.

Every array is BGR, row-major, uint8 in [0, 255] unless said otherwise. The order of operations is that of the
programs that the kinds come from; each step is exact or uses OpenCV's own resize, so equal input gives equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Interpolation

if TYPE_CHECKING:
    from actors.core.clip import FaceBox
    from actors.core.kind import ModelKind

Image = NDArray[np.uint8]
# The same, one colour after the other: blue, green, red.
ColourPlanes = NDArray[np.uint8]
Planes = NDArray[np.float32]

# What black and white are to most networks.
UNIT = (0.0, 1.0)


def crop_face(frame: Image, box: FaceBox, kind: ModelKind, interpolation: Interpolation) -> Image:
    """The face box of ``frame`` ``(H, W, 3)``, resized to ``(kind.crop, kind.crop, 3)``."""
    patch = frame[box.y0 : box.y1, box.x0 : box.x1]
    crop = cv2.resize(patch, (kind.crop, kind.crop), interpolation=interpolation.flag)
    return np.asarray(crop, np.uint8)


# How far beyond an activation's own range its values may lie by rounding, and the greatest value that a byte has.
ROUNDING = 1e-3
LEVELS = 255


@dataclass(frozen=True, slots=True)
class PredictionFault:
    """Why one frame's prediction cannot be shown.

    Attributes:
        reason: the sort of fault, the same words for each frame that has it.
        values: the least and the greatest value in the network's own numbers; ``None`` where they are not finite.
    """

    reason: str
    values: tuple[float, float] | None = None


def guess_output(low: float, high: float, value_range: tuple[float, float] = UNIT) -> str:
    """What a network's last layer seems to give, and how to export it, from the values of all of its answers.

    Args:
        low: the least value.
        high: the greatest.
        value_range: what black and white are to the network.
    """
    black, white = value_range
    wanted = f"[{black:g}, {white:g}]"
    if -1 - ROUNDING <= low < 0 and high <= 1 + ROUNDING:
        return f"answers lie in [-1, 1], as after tanh: export the network with (x + 1) / 2 after it, for {wanted}"
    if low >= -ROUNDING * LEVELS and 2 * white < high <= LEVELS * (1 + ROUNDING):
        return f"answers lie in [0, 255]: export the network with x / 255 after it, for {wanted}"
    return f"answers have no bounds, as before a sigmoid: export the network with its last activation, for {wanted}"


def prediction_fault(
    low: float, high: float, total: float, value_range: tuple[float, float] = UNIT
) -> PredictionFault | None:
    """Why one frame's prediction cannot be shown, or ``None`` if it can.

    Truncation maps exactly the open interval (-1/255, 256/255) onto 0..255; anything else would wrap around.

    Args:
        low: the least of its values, on a scale from black at 0 to white at 1.
        high: the greatest, likewise.
        total: their sum, which is NaN if any of them is; the extremes may pass over it.
        value_range: what black and white are to the network, for the words.
    """
    if np.isnan(total):
        return PredictionFault("the model returned NaN")
    if low <= -1 / 255 or high >= 256 / 255:
        black, white = value_range
        low, high = (black + value * (white - black) for value in (low, high))
        if not np.isfinite([low, high]).all():
            return PredictionFault("the model returned infinite values")
        return PredictionFault(f"the model returned values outside of [{black:g}, {white:g}]", (low, high))
    return None


def to_planes(picture: Image) -> ColourPlanes:
    """The colours of a picture ``(h, w, 3)`` one after the other: ``(3, h, w)``."""
    planes = np.empty((3, *picture.shape[:2]), np.uint8)
    # Of pixels that do not lie side by side OpenCV would copy each colour by itself, which takes eight times as long.
    cv2.split(np.ascontiguousarray(picture), tuple(planes))
    return planes


def from_planes(planes: ColourPlanes) -> Image:
    """The picture ``(h, w, 3)`` of three colours ``(3, h, w)``."""
    return np.asarray(cv2.merge(tuple(planes)), np.uint8)


def with_mouth(crop: Image, mouth: Image, kind: ModelKind) -> Image:
    """A copy of ``crop`` with ``mouth`` ``(inner, inner, 3)`` as its inner region; the ring stays the original's."""
    face = crop.copy()
    face[kind.border : kind.border + kind.inner, kind.border : kind.border + kind.inner] = mouth
    return face


def render_patch(crop: Image, mouth: Image, box: FaceBox, kind: ModelKind, interpolation: Interpolation) -> Image:
    """The finished face box ``(box.height, box.width, 3)``: the crop with the mouth in it, resized."""
    face = with_mouth(crop, mouth, kind)
    patch = cv2.resize(face, (box.width, box.height), interpolation=interpolation.flag)
    return np.asarray(patch, np.uint8)


def paste(frame: Image, patch: Image, box: FaceBox) -> Image:
    """A copy of ``frame`` with ``patch`` in place of the face; every pixel outside equals ``frame``'s."""
    finished = frame.copy()
    finished[box.y0 : box.y1, box.x0 : box.x1] = patch
    return finished
