"""Recordings that tests make, in any container and with any codec that PyAV writes."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def write(
    path: Path,
    samples: NDArray[np.float32],
    rate: int,
    codec: str,
    layout: str | None = None,
    *,
    picture: int | None = None,
    at: int = 0,
    hole: tuple[float, float] = (0.0, 0.0),
    options: dict[str, str] | None = None,
) -> Path:
    """``(channels, n)`` float32 by PyAV.

    Args:
        path: to be written; the suffix says which container.
        samples: what to encode.
        rate: their rate.
        codec: FFmpeg's name of the encoder.
        layout: of the channels.
        picture: frame number, at 25 fps, at which a second of black picture begins beside it.
        at: sample number of the first sample.
        hole: from which second on packets come how many seconds later than they should.
        options: of the container.
    """
    layout = layout or {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w", options=options) as container:
        # Both streams come first: most containers write their header with the first packet.
        shown: Any = container.add_stream("libx264", rate=25) if picture is not None else None
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        if codec in {"aac", "libmp3lame"}:
            stream.bit_rate = 192_000
        if shown is not None and picture is not None:
            shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
            black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            for number in range(25):
                black.pts, black.time_base = picture + number, Fraction(1, 25)
                container.mux(shown.encode(black))
            container.mux(shown.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T).reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        converter = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate)
        parts = [*converter.resample(frame), *converter.resample(None)]
        packets = [*chain.from_iterable(map(stream.encode, parts)), *stream.encode(None)]
        for packet in packets:
            if packet.pts is not None and packet.pts * packet.time_base >= hole[0]:
                packet.pts = packet.dts = packet.pts + round(hole[1] / packet.time_base)
            container.mux(packet)
    return path
