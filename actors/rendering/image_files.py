"""Finished frames to image files in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Delivery, ImageFormat
from actors.core.jpeg import JpegBackground, encode_jpeg, prepare_jpeg, splice_jpeg
from actors.core.pixels import paste
from actors.core.png import PngBackground, encode_png, prepare_png, splice_png

if TYPE_CHECKING:
    from actors.core.clip import FaceBox
    from actors.core.pixels import Image

# Of a background without a face it is the whole file, ``(n,)`` uint8.
Prepared: TypeAlias = JpegBackground | PngBackground | NDArray[np.uint8]


def prepare_background(frame: Image, box: FaceBox | None, delivery: Delivery) -> Prepared | None:
    """The part of a background's encoding that is the same for every frame drawn on it; ``None`` if there is none.

    Args:
        frame: the background, ``(H, W, 3)`` uint8 BGR.
        box: the pixels that will be drawn over; ``None`` where there is no face.
        delivery: what the frames become.
    """
    if box is None and delivery.image_format in {ImageFormat.JPG, ImageFormat.PNG}:
        return np.frombuffer(encode_frame(frame, None, None, delivery), np.uint8)
    if box is not None and delivery.image_format is ImageFormat.JPG:
        return prepare_jpeg(frame, box, delivery.quality)
    if box is not None and delivery.image_format is ImageFormat.PNG:
        return prepare_png(frame, box)
    return None


def splice_frame(prepared: Prepared, patch: Image | None) -> bytes | memoryview:
    """The file content of one finished frame, made of its prepared background: what `encode_frame` gives.

    Args:
        prepared: from `prepare_background`.
        patch: the finished face box, ``(h, w, 3)`` uint8 BGR; ``None`` where there is no face.

    Raises:
        ValueError: a background with a face was given no patch, or one of another size.
    """
    if isinstance(prepared, np.ndarray):
        return prepared.data
    if patch is None:
        raise ValueError("a background with a face needs a patch")
    return splice_jpeg(prepared, patch) if isinstance(prepared, JpegBackground) else splice_png(prepared, patch)


def encode_frame(frame: Image, patch: Image | None, box: FaceBox | None, delivery: Delivery) -> bytes | memoryview:
    """The file content of one finished frame.

    Args:
        frame: the background, ``(H, W, 3)`` uint8 BGR.
        patch: ``(box.height, box.width, 3)``, to stand in place of the face; ``None`` where there is none.
        box: where; likewise.
        delivery: what the frame becomes; ``none`` is no format.

    Raises:
        ValueError: OpenCV cannot encode it.
    """
    finished = frame if patch is None or box is None else paste(frame, patch, box)
    if delivery.image_format is ImageFormat.JPG:
        return encode_jpeg(finished, delivery.quality)
    if delivery.image_format is ImageFormat.PNG:
        return encode_png(finished, box)
    done, content = cv2.imencode(f".{delivery.image_format}", finished, [cv2.IMWRITE_WEBP_QUALITY, delivery.quality])
    if not done:
        raise ValueError(f"OpenCV cannot encode {finished.shape} as {delivery.image_format}")
    return memoryview(content.data)
