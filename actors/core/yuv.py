"""Frames as a video encoder takes them: planar Y'CbCr 4:2:0, ITU-R BT.709, limited range.

ITU-R BT.709-6, item 3, with 8 bit (item 4): with B, G, R in [0, 1] and E'y = 0.0722 B + 0.7152 G + 0.2126 R,

    Y' = 16 + 219 E'y        Cb = 128 + 224 (B - E'y) / 1.8556        Cr = 128 + 224 (R - E'y) / 1.5748

Each chroma sample is that of the mean of 2 x 2 pixels and stands in their middle ("centre" siting). No pixel outside of
the four counts, so that a part of a frame with even sides can be converted without what is around it. Frames decoded
from 4:2:0 video by repeating its chroma, as OpenCV and FFmpeg do, get their chroma samples back as they were.

The planes lie one behind the other in one array ``(3 H / 2, W)``: H rows of Y', then H W / 4 samples of Cb, H W / 4 of
Cr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from actors.core.clip import FaceBox
    from actors.core.pixels import Image

# Weights of B, G and R, and the offset. They are whole multiples of 1 / 32768 and 1 / 16384: all products and sums with
# pixels, or with means of four of them, are then multiples of 1 / 65536 below 256, which a float32 holds exactly. The
# samples are the same whichever instructions OpenCV computes them with, and a grey has chroma of exactly 128.
_LUMA = np.array([[2032 / 32768, 20127 / 32768, 5983 / 32768, 16]], np.float32)
_BLUE = np.array([[7196 / 16384, -5547 / 16384, -1649 / 16384, 128]], np.float32)
_RED = np.array([[-660 / 16384, -6536 / 16384, 7196 / 16384, 128]], np.float32)

# Rows of a frame that are converted at once: what lies between then stays in the processor's cache.
_ROWS = 64


def to_yuv420(image: Image) -> NDArray[np.uint8]:
    """Converts a frame.

    Args:
        image: ``(H, W, 3)`` uint8 BGR; H and W even.

    Returns:
        ``(3 H / 2, W)`` uint8, the rounded samples: Y' in [16, 235], Cb and Cr in [16, 240]. The fixed-point weights
        add less than 0.005 of a level to the rounding.

    Raises:
        ValueError: a side is odd.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"4:2:0 needs even sides, the image is {width}x{height}")
    planes = np.empty((height * 3 // 2, width), np.uint8)
    for top in range(0, height, _ROWS):
        _convert(image[top : top + _ROWS], planes, 0, top)
    return planes


def patch_yuv420(background: NDArray[np.uint8], frame: Image, patch: Image, box: FaceBox) -> NDArray[np.uint8]:
    """Converts a frame that differs from a converted one in a rectangle only.

    Args:
        background: ``to_yuv420(frame)``, ``(3 H / 2, W)`` uint8.
        frame: ``(H, W, 3)`` uint8 BGR; only the pixels next to ``box`` are looked at, where its sides are odd.
        patch: ``(box.height, box.width, 3)`` uint8 BGR, what stands in ``box``.
        box: a rectangle within the frame.

    Returns:
        ``(3 H / 2, W)`` uint8: byte for byte ``to_yuv420`` of the frame with the patch in it.
    """
    left, top = box.x0 - box.x0 % 2, box.y0 - box.y0 % 2
    right, bottom = box.x1 + box.x1 % 2, box.y1 + box.y1 % 2
    region = frame[top:bottom, left:right].copy()
    region[box.y0 - top : box.y1 - top, box.x0 - left : box.x1 - left] = patch
    planes = background.copy()
    _convert(region, planes, left, top)
    return planes


def _convert(region: Image, planes: NDArray[np.uint8], left: int, top: int) -> None:
    """Writes the samples of a region with even sides to where it stands in the planes; ``left`` and ``top`` even."""
    rows, columns = region.shape[:2]
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    luma, chroma = planes[:height], planes[height:].reshape(2, height // 2, width // 2)
    pixels = region.astype(np.float32)
    luma[top : top + rows, left : left + columns] = _samples(pixels, _LUMA)
    means = cv2.resize(pixels, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    halves = np.s_[top // 2 : (top + rows) // 2, left // 2 : (left + columns) // 2]
    chroma[0][halves] = _samples(np.asarray(means, np.float32), _BLUE)
    chroma[1][halves] = _samples(np.asarray(means, np.float32), _RED)


def _samples(pixels: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One component of every pixel, rounded; the absolute value that OpenCV takes as well changes nothing here."""
    return np.asarray(cv2.convertScaleAbs(cv2.transform(pixels, weights)), np.uint8)
