"""Crop and paste of a face box whose edges lie between pixels: both resizes as affine warps.

Centres of pixels correspond, as in OpenCV's resize: pixel ``i`` of the crop shows the frame at column
``x0 + (i + 0.5) * width / crop``, measured as in `actors.core.face_box`. Taps outside of the written pixels repeat the
outermost one, as a resize of these pixels does. Where the box's edges are whole numbers, OpenCV 5 gives what its
resize gives, to within one level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from actors.core.choices import Interpolation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.core.face_box import SubpixelBox
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image


def warp_crop(frame: Image, exact: SubpixelBox, kind: ModelKind, interpolation: Interpolation) -> Image:
    """The face box of ``frame`` ``(H, W, 3)`` as a crop ``(kind.crop, kind.crop, 3)``."""
    box = exact.pixels
    pixels = frame[box.y0 : box.y1, box.x0 : box.x1]
    across = _axis(exact.width / kind.crop, exact.x0 - box.x0)
    down = _axis(exact.height / kind.crop, exact.y0 - box.y0)
    return _warp(pixels, across, down, (kind.crop, kind.crop), interpolation)


def warp_patch(face: Image, exact: SubpixelBox, kind: ModelKind, interpolation: Interpolation) -> Image:
    """A crop ``(kind.crop, kind.crop, 3)`` as the pixels that the box covers: ``box.pixels`` in size."""
    box = exact.pixels
    scale = kind.crop / exact.width, kind.crop / exact.height
    across = _axis(scale[0], (box.x0 - exact.x0) * scale[0])
    down = _axis(scale[1], (box.y0 - exact.y0) * scale[1])
    return _warp(face, across, down, (box.width, box.height), interpolation)


def _axis(scale: float, shift: float) -> tuple[float, float]:
    """From a pixel's number in the result to that in the source, along one axis.

    ``shift + (i + 0.5) * scale`` is where its centre lies; numbers count from centres, half a pixel in.
    """
    return scale, shift + 0.5 * scale - 0.5


def _warp(
    source: Image,
    across: tuple[float, float],
    down: tuple[float, float],
    size: tuple[int, int],
    interpolation: Interpolation,
) -> Image:
    matrix: NDArray[np.float64] = np.array([[across[0], 0.0, across[1]], [0.0, down[0], down[1]]])
    # Warps have no area filter: there linear takes its place.
    filter_ = Interpolation.LINEAR if interpolation is Interpolation.AREA else interpolation
    flags = filter_.flag | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(source, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)
