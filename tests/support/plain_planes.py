"""What a session does around the network, in NumPy: six planes of a crop, and bytes of an answer.

`actors.network.graph.pixel_graph` builds the same into the network; here it stands beside it, step by step.
"""

from __future__ import annotations

import numpy as np

from actors.core.kind import ModelKind
from actors.core.pixels import UNIT, Image, Planes


def network_planes(crops: Image, kind: ModelKind) -> Planes:
    """The image tensor of a batch.

    Args:
        crops: ``(n, kind.crop, kind.crop, 3)``.
        kind: gives the inner region, the mask, the order of the planes and their range.

    Returns:
        ``(n, 6, kind.inner, kind.inner)`` float32: the inner region's B, G, R planes and the same three with the mask
        rectangle set to exactly black, in the kind's order and range.
    """
    inner = slice(kind.border, kind.border + kind.inner)
    planes = np.empty((len(crops), *kind.planes), np.float32)
    masked, whole = (planes[:, :3], planes[:, 3:]) if kind.masked_first else (planes[:, 3:], planes[:, :3])
    np.divide(crops[:, inner, inner].transpose(0, 3, 1, 2), np.float32(255), out=whole)
    masked[:] = whole
    x, y, width, height = kind.mask
    masked[:, :, y : y + height, x : x + width] = 0
    if kind.value_range == UNIT:
        return planes
    black, white = kind.value_range
    return planes * np.float32(white - black) + np.float32(black)


def to_pixels(prediction: Planes, value_range: tuple[float, float] = UNIT) -> Image:
    """One frame's prediction ``(3, inner, inner)`` as ``(inner, inner, 3)``: scaled to [0, 1], x255, truncated."""
    if value_range != UNIT:
        black, white = value_range
        prediction = (prediction - np.float32(black)) / np.float32(white - black)
    return (prediction.transpose(1, 2, 0) * np.float32(255)).astype(np.uint8)
