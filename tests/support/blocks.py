"""Pictures and videos of which blocks are loaded, and what must come of what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import reference

from actors.core.choices import Delivery, ImageFormat, Interpolation
from actors.core.clip import FaceBox, ImageFrames, PlaneFile, VideoFrames
from actors.core.errors import InputError, StoppedError
from actors.core.pixels import Image
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.rendering.blocks import Block, BlockRequest, PictureBlock, load_block

WIDTH, HEIGHT, COUNT = 96, 64, 30

# Frame files that hold all of each frame: a block keeps it.
WHOLE = Delivery(ImageFormat.PNG, 0, video=False)


CUBIC, LINEAR = Interpolation.CUBIC, Interpolation.LINEAR


@cache
def picture(index: int) -> Image:
    """Slopes that move, each colour its own way; everybody's, read-only."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [x * 2 + index * 3, y * 3 + index * 5, x + y + index * 7]
    made = np.stack([np.abs(plane % 510 - 255) for plane in planes], axis=2).astype(np.uint8)
    made.flags.writeable = False
    return made


def square(index: int) -> FaceBox:
    side = 30 + index % 5
    return FaceBox(index, 10, index + side, 10 + side)


def boxes(start: int, stop: int) -> tuple[FaceBox, ...]:
    return tuple(square(i) for i in range(start, stop))


def crop_of(frame: Image, box: FaceBox, interpolation: Interpolation) -> Image:
    return reference.network_input(frame, (box.x0, box.y0, box.x1, box.y1), interpolation.value)[1]


def write_video(path: Path, codec: str, options: dict[str, str], moments: Sequence[int] = range(COUNT)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i, moment in enumerate(moments):
            frame = av.VideoFrame.from_ndarray(picture(i), format="bgr24")
            frame.pts, frame.time_base = moment, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def in_sequence(path: Path) -> list[Image]:
    """Every frame, decoded from the first to the last by OpenCV."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def full_frames(block: Block) -> Image:
    """The frames of a block that was loaded `WHOLE`."""
    assert isinstance(block, PictureBlock)
    assert block.canvases is not None
    assert isinstance(block.canvases.files, np.ndarray)
    return block.canvases.files


def refusal(source: ImageFrames | VideoFrames | PlaneFile, count: int) -> InputError:
    with pytest.raises(InputError) as caught:
        load_block(BlockRequest(0, source, boxes(0, count), CUBIC, WHOLE), UNET_328)
    assert "\n" not in str(caught.value)
    return caught.value


def require_changed(source: ImageFrames | VideoFrames | PlaneFile, path: Path) -> None:
    """Nothing is made of a file that is not what was read before; what it was is a stop, not a bad input."""
    with pytest.raises(StoppedError, match="changed while the run lived, or node") as caught:
        load_block(BlockRequest(0, source, boxes(0, len(source)), CUBIC, WHOLE), UNET_328)
    assert str(path) in caught.value.reason


KINDS = {
    "closed.mp4": ("libx264", {"g": "8", "bf": "2"}),
    "open.mp4": ("libx264", {"x264-params": "open-gop=1:keyint=6:min-keyint=6:bframes=3:b-pyramid=normal:scenecut=0"}),
    "single.mp4": ("libx264", {"g": "300", "bf": "3"}),
    "plain.mkv": ("libx264", {"g": "5", "bf": "0"}),
    "old.avi": ("mpeg4", {"g": "9", "bf": "2"}),
    # AVI has no times of presentation, and FFmpeg's guesses are those of decoding.
    "reordered.avi": ("libx264", {"g": "9", "bf": "3"}),
    "reordered-open.avi": (
        "libx264",
        {"x264-params": "open-gop=1:keyint=6:min-keyint=6:bframes=3:b-pyramid=normal:scenecut=0"},
    ),
    "second.avi": ("mpeg2video", {"g": "9", "bf": "2", "b": "4M"}),
    # No keyframe shows a whole picture but the first.
    "refreshed.mkv": ("libx264", {"x264-params": "intra-refresh=1:keyint=8:bframes=2"}),
    "hevc.mkv": ("libx265", {"x265-params": "keyint=6:min-keyint=6:bframes=3:open-gop=1:scenecut=0:log-level=none"}),
    "references.webm": ("libvpx-vp9", {"g": "10", "auto-alt-ref": "1", "lag-in-frames": "12"}),
}
