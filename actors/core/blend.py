"""How the finished patch meets the frame: with a hard edge, or by a weight for every pixel.

A weight is uint8: 0 keeps the frame's own pixel to the bit, 255 shows the finished patch's, and between them the two
are mixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from actors.core.face_box import SubpixelBox
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image

# The longest ramp, in sides of the inner region. It is longer than the margins of the UNets, which are used to their
# full width; where more is seen unmasked, as above a mouth whose lower half alone is masked, the frame stays as it is.
LONGEST_RAMP = 1 / 16

# Colours of a face parsing (B, G, R) that stand for what is in front of the face.
KEPT = ((0, 0, 255), (255, 255, 255))


def feather_weights(exact: SubpixelBox, kind: ModelKind) -> NDArray[np.uint8]:
    """The weights of ``feather`` for the pixels of a face box.

    Along each axis the weight is 1 over the masked part of the inner region, and 0 where the network saw the picture
    unmasked, but for a straight ramp between the two: it reaches 1 at the mask's edge, and 0 at the inner region's
    edge or, where that lies further away, after `LONGEST_RAMP` of its side. Where the mask touches the inner region's
    edge nothing was seen, so there the ramp begins at that edge and lies inside of the mask. The weight of a pixel is
    that of its centre: the product of both axes, in 255ths, rounded.

    Args:
        exact: where the crop lies on the frame.
        kind: gives the crop, its inner region and the mask.

    Returns:
        ``(h, w)`` uint8, of the size of ``exact.pixels``.
    """
    (x, y, width, height), box = kind.mask, exact.pixels
    # Where the centres of the patch's pixels lie in the inner region.
    columns = np.arange(box.x0, box.x1, dtype=np.float64) + 0.5
    rows = np.arange(box.y0, box.y1, dtype=np.float64) + 0.5
    across = (columns - exact.x0) * (kind.crop / exact.width) - kind.border
    down = (rows - exact.y0) * (kind.crop / exact.height) - kind.border
    weights = np.outer(_ramps(down, y, y + height, kind.inner), _ramps(across, x, x + width, kind.inner))
    return np.asarray(np.rint(255 * weights), np.uint8)


def _ramps(places: NDArray[np.float64], start: int, stop: int, side: int) -> NDArray[np.float64]:
    """Weights along one axis: up before ``start <= place < stop``, the masked part, and down after it."""
    longest = side * LONGEST_RAMP
    up = _ramp(places, start, longest)
    down = _ramp(side - places, side - stop, longest)
    return np.asarray(np.minimum(up, down))


def _ramp(inward: NDArray[np.float64], margin: int, longest: float) -> NDArray[np.float64]:
    """Weights by the distance from one edge of the inner region, of which ``margin`` is not masked."""
    full = margin or longest
    length = min(full, longest)
    return np.clip((inward - (full - length)) / length, 0, 1)


def protect_foreground(weights: NDArray[np.uint8] | None, parsing: Image) -> NDArray[np.uint8]:
    """The weights with 0 where a parsing says that something is in front of the face.

    Args:
        weights: ``(h, w)`` uint8, or ``None`` for 255 everywhere.
        parsing: ``(h, w, 3)`` uint8 BGR, the parsing's part under the patch.
    """
    whole = np.full(parsing.shape[:2], 255, np.uint8) if weights is None else weights.copy()
    for colour in KEPT:
        whole[np.asarray(cv2.inRange(parsing, colour, colour)) > 0] = 0
    return whole


def blended(original: Image, patch: Image, weights: NDArray[np.uint8]) -> Image:
    """Original and finished pixels mixed: ``((255 - w) * original + w * patch) / 255``, rounded to the nearest.

    Args:
        original: ``(h, w, 3)`` uint8, the frame's own pixels under the patch.
        patch: ``(h, w, 3)`` uint8, the finished patch.
        weights: ``(h, w)`` uint8.
    """
    share = np.asarray(cv2.merge([weights] * 3), np.uint8)
    # No sum of two products exceeds 255 * 255, so that 16 bits hold it with what rounding adds.
    mixed = np.multiply(patch, share, dtype=np.uint16)
    mixed += np.multiply(original, np.bitwise_not(share), dtype=np.uint16)
    # Division by 255, rounded: exact for all sums of 16 bits that occur.
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    return mixed.astype(np.uint8)
