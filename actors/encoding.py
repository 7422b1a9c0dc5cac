"""Finished frames to image files in memory."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from actors.core.pixels import Image


class ImageFormat(StrEnum):
    """What frames are written as; ``none`` writes no frame files."""

    PNG = "png"
    JPG = "jpg"
    WEBP = "webp"
    NONE = "none"


# OpenCV's scale for WebP: above 100 means lossless.
_WEBP_LOSSLESS = 101


def default_quality(image_format: ImageFormat) -> int:
    """The quality used when none is given: 95 for jpg, lossless for webp; png has none."""
    return {ImageFormat.JPG: 95, ImageFormat.WEBP: _WEBP_LOSSLESS}.get(image_format, 0)


def encode_image(image: Image, image_format: ImageFormat, quality: int) -> memoryview:
    """The file content of one frame.

    Args:
        image: ``(H, W, 3)`` uint8 BGR.
        image_format: png, jpg or webp.
        quality: 1..100 for jpg and webp (webp above 100: lossless); ignored for png, which is lossless.

    Raises:
        ValueError: OpenCV cannot encode it.
    """
    settings: list[int] = []
    if image_format is ImageFormat.JPG:
        settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    elif image_format is ImageFormat.WEBP:
        settings = [cv2.IMWRITE_WEBP_QUALITY, quality]
    elif image_format is ImageFormat.PNG:
        # Of OpenCV's own settings these are the fastest on photographs, and smaller than its default.
        settings = [
            cv2.IMWRITE_PNG_STRATEGY,
            cv2.IMWRITE_PNG_STRATEGY_RLE,
            cv2.IMWRITE_PNG_FILTER,
            cv2.IMWRITE_PNG_FILTER_UP,
        ]
    done, content = cv2.imencode(f".{image_format}", image, settings)
    if not done:
        raise ValueError(f"OpenCV cannot encode {image.shape} as {image_format}")
    return memoryview(content.data)
