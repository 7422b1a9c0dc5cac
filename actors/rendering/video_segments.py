"""Video segments: each range of frames becomes a short H.264 file that joins to its neighbours without re-encoding."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

# Visually lossless, by fixed quantisers: rate control and the decisions switched off here would each make x264 look at
# every frame at half size first. Chroma gets finer quantisers than luma, or the cheap search would coarsen it. One
# thread: other cores have segments of their own.
_DECISIONS = {"scenecut": 0, "b-adapt": 0, "weightp": 0, "chroma-qp-offset": -3}
CODEC_OPTIONS = {
    "preset": "superfast",
    "qp": "17",
    "threads": "1",
    "bf": "3",
    "b-pyramid": "normal",
    "chroma_sample_location": "center",
    "x264-params": ":".join(f"{name}={value}" for name, value in _DECISIONS.items()),
}

# How many frames a decoder may have to hold back: B-frames that are themselves referred to need two.
REORDERED_FRAMES = 2


class SegmentEncoder:
    """Encodes frames of one range, first to last, into an MP4 in memory.

    H.264, yuv420p, BT.709 limited range, chroma in the middle of its 2 x 2 pixels, and tagged so: players that ignore
    tags assume the same colours for 720p and above. Every segment starts with its own IDR frame and is coded with the
    same settings, so that packets of successive segments form one valid stream.
    """

    def __init__(self, width: int, height: int, fps: Fraction, aspect: Fraction = Fraction(1)) -> None:
        """Begins a segment.

        Args:
            width: even.
            height: even.
            fps: frames per second.
            aspect: width of a pixel over its height, which players show the frames by.
        """
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        stream = self._container.add_stream("libx264", rate=fps, options=CODEC_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if aspect != 1:
            stream.codec_context.sample_aspect_ratio = aspect
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        stream.codec_context.color_trc = ColorTrc.BT709
        self._stream = stream
        self._shape = (height * 3 // 2, width)
        self._frames = 0

    def add(self, planes: NDArray[np.uint8]) -> None:
        """Appends one frame.

        Args:
            planes: ``(3 H / 2, W)`` uint8, as `actors.core.yuv` makes them. They are coded as they are, and may be
                written over once this has returned.

        Raises:
            ValueError: they are of another size than the segment.
        """
        # PyAV would scale it.
        if planes.shape != self._shape:
            raise ValueError(f"planes of shape {planes.shape} in a segment of {self._shape}")
        # Around the array itself, where PyAV counts its rows right: it takes them for a multiple of six.
        wrap = av.VideoFrame.from_ndarray if len(planes) % 6 else av.VideoFrame.from_numpy_buffer
        frame = wrap(np.ascontiguousarray(planes), format="yuv420p")
        frame.color_range = ColorRange.MPEG
        frame.colorspace = Colorspace.ITU709
        frame.color_primaries = ColorPrimaries.BT709
        frame.color_trc = ColorTrc.BT709
        frame.pts = self._frames
        frame.time_base = 1 / self._stream.codec_context.framerate
        self._frames += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> bytes:
        """The whole segment; the encoder cannot be used afterwards."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()
