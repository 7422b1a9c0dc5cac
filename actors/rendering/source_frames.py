"""Frames of a clip one after the other, out of image files or a video, as the driver saw them."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import cv2
import numpy as np

from actors.core.clip import ImageFrames, VideoFrames
from actors.core.errors import InputError
from actors.core.fingerprints import changed, image_digest
from actors.files import storage
from actors.rendering.video_frames import decode_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.core.pixels import Image


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def frames_of(source: ImageFrames | VideoFrames, first: int = 0) -> Iterator[Image]:
    """The frames in order, ``(H, W, 3)`` uint8 BGR each, decoded when they are asked for.

    Args:
        source: where they lie, and their size.
        first: number of the first of them, for messages.

    Raises:
        InputError: a file is gone, cannot be decoded, or a frame has another size than the source says.
        StoppedError: a file is not what the driver saw.
    """
    for name, which, frame in _images(source) if isinstance(source, ImageFrames) else _video(source, first):
        if frame.shape != (source.height, source.width, 3):
            raise InputError(
                name,
                f"{which}decodes to {frame.shape[1]}x{frame.shape[0]}, the clip is {source.width}x{source.height}",
                "write every frame in one size",
            )
        yield frame


def _video(source: VideoFrames, first: int) -> Iterator[tuple[str, str, Image]]:
    """The frames, each with the file and its number."""
    for number, frame in enumerate(decode_video(source), first):
        yield source.path, f"frame {number} ", frame


def _images(source: ImageFrames) -> Iterator[tuple[str, str, Image]]:
    """The frames, each with its file, of files that are what the driver saw where it has looked."""
    for path, digest in zip_longest(source.paths, source.digests):
        try:
            content = storage.read_bytes(path)
        except OSError as error:
            raise InputError(path, f"cannot be read ({error})", "put it back, or mend its permissions") from error
        if digest is not None and image_digest(content) != digest:
            raise changed(path)
        whole = bool(content) and png_is_whole(content)
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if whole else None
        if frame is None:
            raise InputError(path, "is not a whole image", "write it again")
        yield path, "", np.asarray(frame, np.uint8)


def png_is_whole(content: bytes) -> bool:
    """Whether a PNG's chunks lie within the file; true for other formats.

    OpenCV allocates what a chunk claims to hold before it looks for it.
    """
    if not content.startswith(PNG_SIGNATURE):
        return True
    place = len(PNG_SIGNATURE)
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + length
    return False
