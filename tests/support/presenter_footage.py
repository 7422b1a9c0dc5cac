"""Videos of the demo's presenter: she moves, goes away and comes back."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.demo import studio
from jobs.demo.presenter import Presenter

SIZE = (320, 180)


@cache
def presenter_frame(index: int) -> NDArray[np.uint8]:
    """The presenter on one of the demo's backgrounds, ``(180, 320, 3)`` uint8 BGR."""
    return _small(_presenter().frame(index))


@cache
def empty_studio() -> NDArray[np.uint8]:
    """The studio without her."""
    return _small(np.clip(studio.background(), 0, 255).astype(np.uint8))


def presenter_frames(places: Sequence[int | None]) -> list[NDArray[np.uint8]]:
    """One picture for each place: the demo's background of that number, or the studio without her."""
    return [(empty_studio() if place is None else presenter_frame(place)).copy() for place in places]


def write_footage(path: Path, pictures: Sequence[NDArray[np.uint8]], *, fps: int = 25, gop: int = 8) -> Path:
    """A video of some pictures, all of one size."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "12"})
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = gop
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


def beside_herself(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame of hers with her head once more, far away on the right."""
    two = picture.copy()
    two[20:68, 260:308] = cv2.resize(picture[30:150, 100:220], (48, 48), interpolation=cv2.INTER_AREA)
    return two


def hidden(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame of hers with nothing of the face to be seen but its colour."""
    blurred = picture.copy()
    part = blurred[30:150, 100:220]
    part[:] = cv2.blur(part, (61, 61))
    return blurred


@cache
def _presenter() -> Presenter:
    return Presenter()


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
