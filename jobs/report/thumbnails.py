"""A strip of rendered frames: a few small pictures of the run, to be embedded."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import av
import av.error
import cv2
import numpy as np

from actors.core.choices import ImageFormat
from actors.core.errors import InputError
from actors.core.pixels import Image
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.files.storage import StoragePath
from jobs.clip.image_metadata import image_size

FRAMES = 8
WIDTH = 320
QUALITY = 80

# A frame of which a picture is made has at most so many pixels, and its file so many bytes.
MOST_PIXELS = 1 << 27
MOST_BYTES = 1 << 28

ReadFrame: TypeAlias = Callable[[int], Image | None]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of one frame: JPEG in base64, its width and height in pixels."""

    frame: int
    data: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Strip:
    """Pictures of a run, and what to say where some or all are missing."""

    pictures: tuple[Thumbnail, ...]
    note: str


def read_strip(folder: RunFolder, image_format: ImageFormat, recorded: Sequence[int], first: int) -> Strip:
    """Pictures spread over the recorded frames: from their files, or from the video where there are none.

    Args:
        folder: the run's.
        image_format: format of the frame files.
        recorded: frame numbers, ascending.
        first: the frame that the video begins with.
    """
    if not recorded:
        return Strip((), "No frame has been recorded yet.")
    if image_format is not ImageFormat.NONE:
        return _strip(recorded, lambda frame: _decode(folder.frame(frame, image_format)))
    if not storage.is_file(folder.video):
        return Strip((), "This run has no frame files and no video, so there is nothing to show.")
    try:
        with storage.open_input(folder.video) as file, av.open(file, "r", format="mp4") as video:
            return _strip(recorded, lambda frame: _seek(video, frame - first))
    except (OSError, ValueError, IndexError, av.error.FFmpegError):  # Arrow seeks in no empty file: a ValueError
        return Strip((), "video.mp4 cannot be read: mouthpiece verify says more.")


def spread(recorded: Sequence[int], most: int) -> list[int]:
    """At most ``most`` of the frames, evenly from the first to the last."""
    places = np.linspace(0, len(recorded) - 1, min(most, len(recorded))).round().astype(int)
    return [recorded[place] for place in places]


def _strip(recorded: Sequence[int], read: ReadFrame) -> Strip:
    wanted = spread(recorded, FRAMES)
    found = [(frame, image) for frame in wanted if (image := read(frame)) is not None]
    missing = len(wanted) - len(found)
    note = f"{missing} of {len(wanted)} pictures cannot be read: mouthpiece verify says more." if missing else ""
    return Strip(tuple(thumbnail(frame, image) for frame, image in found), note)


def _decode(path: StoragePath) -> Image | None:
    try:
        found = storage.entry(path)
        # What its header says comes first: a few bytes may stand for gigabytes of pixels.
        if found is None or found.size > MOST_BYTES or math.prod(image_size(path)) > MOST_PIXELS:
            return None
        content = storage.read_bytes(path)
    except (OSError, InputError):
        return None
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None  # empty, or it claims a size beyond all bounds
    return None if image is None else np.asarray(image, np.uint8)


def _seek(video: av.container.InputContainer, index: int) -> Image | None:
    """The picture at a place of the video, counted from 0; ``None`` past its end."""
    stream = video.streams.video[0]
    if stream.time_base is None or not stream.average_rate:
        return None
    wanted = round(index / (stream.average_rate * stream.time_base))
    video.seek(wanted, stream=stream)
    for picture in video.decode(stream):
        if picture.pts is not None and picture.pts >= wanted:
            return np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
    return None


def thumbnail(frame: int, image: Image) -> Thumbnail:
    """A picture of a frame ``(H, W, 3)`` uint8 BGR, shrunk to `WIDTH` where it is wider."""
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width)
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, shown, interpolation=cv2.INTER_AREA)
    done, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f"OpenCV cannot encode {small.shape} as jpg")
    return Thumbnail(frame, base64.b64encode(content.tobytes()).decode("ascii"), *shown)
