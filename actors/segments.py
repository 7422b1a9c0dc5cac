"""Video segments: each range of frames becomes a short H.264 file that joins to its neighbours without re-encoding."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

if TYPE_CHECKING:
    from fractions import Fraction

    from actors.core.pixels import Image

# Visually lossless; the speed that one core can keep beside a network.
CODEC_OPTIONS = {"crf": "18", "preset": "veryfast", "threads": "1", "bf": "3", "b-pyramid": "normal"}

# How many frames a decoder may have to hold back: B-frames that are themselves referred to need two.
REORDERED_FRAMES = 2

# Without accurate rounding the scaler darkens the picture by half a level.
CONVERSION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND


class SegmentEncoder:
    """Encodes frames of one range, first to last, into an MP4 in memory.

    H.264, yuv420p, BT.709 limited range and tagged so: players that ignore tags assume the same for 720p and above.
    Every segment starts with its own IDR frame and is coded with the same settings, so that packets of successive
    segments form one valid stream.
    """

    def __init__(self, width: int, height: int, fps: Fraction) -> None:
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        stream = self._container.add_stream("libx264", rate=fps, options=CODEC_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        stream.codec_context.color_trc = ColorTrc.BT709
        self._stream = stream
        self._frames = 0

    def add(self, image: Image) -> None:
        """Appends one frame, ``(height, width, 3)`` uint8 BGR."""
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=CONVERSION,
        )
        frame.pts = self._frames
        frame.time_base = 1 / self._stream.codec_context.framerate
        self._frames += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> bytes:
        """The whole segment; the encoder cannot be used afterwards."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()
