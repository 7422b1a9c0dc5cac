"""Joining video segments and a recording into one MP4, without encoding a picture twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from actors.files import storage
from actors.files.storage import AnyPath
from actors.rendering.video_segments import REORDERED_FRAMES
from jobs.audio.soundtrack import RATE

Picture: TypeAlias = "Packet[av.VideoStream]"

AUDIO_BIT_RATE = 192_000


def join(target: Path, segments: Iterable[AnyPath], sound: Iterable[NDArray[np.float32]] | None, fps: int) -> None:
    """Writes the finished video: an MP4 with its index in front, so that it plays while it is being fetched.

    Args:
        target: local file to write; the caller gives it its final name once it is whole.
        segments: paths of the segments in order; each begins with a key frame and has the same coding settings.
        sound: ``(channels, n)`` float32 each in [-1, 1] at `jobs.audio.soundtrack.RATE`, together as long as the
            picture; or ``None``.
        fps: frame rate of the picture.

    Raises:
        OSError: a segment cannot be read, or the target not written.
        ValueError: there are no segments, or they were coded with differing settings.
    """
    paths = list(segments)
    if not paths:
        raise ValueError("there is nothing to join")
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as video:
        with storage.open_input(paths[0]) as file, av.open(file, "r") as first:
            picture = video.add_stream_from_template(first.streams.video[0])
        packets = _pictures(paths, picture, fps)
        if sound is None:
            for packet in packets:
                video.mux(packet)
        else:
            _interleave(video, packets, iter(sound))


def _pictures(paths: list[AnyPath], stream: av.VideoStream, fps: int) -> Iterator[Picture]:
    """The segments' packets in decoding order, each segment moved to where the one before it ends."""
    decoded = 0
    for path in paths:
        with storage.open_input(path) as file, av.open(file, "r") as segment:
            source = segment.streams.video[0]
            if source.time_base is None:
                raise ValueError(f"{path} has no time base")
            # Decoders read all packets by the first segment's parameters; by others they would show them broken.
            if source.codec_context.extradata != stream.codec_context.extradata:
                raise ValueError(f"{path} is coded with other settings than the first segment: begin with --restart")
            tick = 1 / (fps * source.time_base)
            offset = round(decoded * tick)
            for packet in segment.demux(source):
                if packet.pts is None:
                    continue
                # A segment's own decoding times start as early as its own reordering needs; counting on through all
                # segments, with the deepest reordering there can be, keeps them ascending across a seam.
                packet.pts += offset
                packet.dts = round((decoded - REORDERED_FRAMES) * tick)
                packet.stream = stream
                decoded += 1
                yield packet


def _interleave(video: OutputContainer, pictures: Iterator[Picture], sound: Iterator[NDArray[np.float32]]) -> None:
    """Writes picture and sound in step, so that a player never has to look far ahead for either."""
    first = next(sound)
    layout = "mono" if len(first) == 1 else "stereo"
    voice = video.add_stream("aac", rate=RATE, layout=layout)
    voice.bit_rate = AUDIO_BIT_RATE
    written = 0
    chunks = chain([first], sound)
    for packet in pictures:
        video.mux(packet)
        until = float(packet.dts * packet.time_base) * RATE if packet.dts is not None else 0
        while written < until and (chunk := next(chunks, None)) is not None:
            video.mux(voice.encode(_samples(chunk, written, layout)))
            written += chunk.shape[1]
    for chunk in chunks:
        video.mux(voice.encode(_samples(chunk, written, layout)))
        written += chunk.shape[1]
    video.mux(voice.encode(None))


def _samples(chunk: NDArray[np.float32], start: int, layout: str) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk), "fltp", layout)
    frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
    return frame
