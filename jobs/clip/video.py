"""Backgrounds inside a video file: counted and described by demuxing, without decoding more than one frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from typing import IO

import av
import av.container
import av.error
from av.buffer import Buffer
from av.stream import Disposition
from av.video.stream import VideoStream

from actors import storage
from actors.backgrounds import CONTAINERS
from actors.core.clip import VideoFrames
from actors.core.errors import InputError
from jobs.clip.files import file_at, files_in, one_line, readable
from jobs.clip.truncation import missing_bytes

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
_REENCODE = "re-encode it, for instance: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4"
_COPY_AGAIN = "copy or download the whole file again"
# The identity of a display matrix, 16.16 fixed point with a last column of 2.30.
_UPRIGHT = struct.pack("=9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def video_files(folder: str) -> list[storage.Entry]:
    """The video files of a folder by their suffix, in name order."""
    return files_in(folder, SUFFIXES)


def read_video(path: str) -> VideoFrames:
    """Counts and describes the frames of the first video stream.

    Raises:
        InputError: not a video, truncated, turned by a display matrix, or without usable timestamps.
    """
    size = file_at(path).size
    with readable(path), storage.open_input(path) as file:
        if missing := missing_bytes(file, size):
            raise InputError(path, f"truncated: the last {missing} bytes are missing", _COPY_AGAIN)
        file.seek(0)
        with _opened(file, path) as (container, stream):
            width, height = _first_frame(container, stream, path)
        file.seek(0)
        with _opened(file, path) as (container, stream):
            shown, keyframes = _packet_times(container, stream, path)
            rate, time_base = stream.average_rate, stream.time_base
    _require_decodable(shown, keyframes, path)
    if time_base is None:
        raise InputError(path, "does not say how long its frames are shown", _REENCODE)
    fps = Fraction(rate.numerator, rate.denominator) if rate else None
    return VideoFrames(path, tuple(shown), time_base, tuple(keyframes), width, height, fps)


@contextmanager
def _opened(file: IO[bytes], path: str) -> Iterator[tuple[av.container.InputContainer, VideoStream]]:
    """The container and its first video stream; FFmpeg's errors inside the block become an `InputError`."""
    try:
        # Tags are free text in any encoding and nothing here depends on them.
        with av.open(file, "r", metadata_errors="replace", options=CONTAINERS) as container:
            if not container.streams.video:
                raise InputError(path, "holds no video", "name a video file")
            stream = container.streams.video[0]
            # Without a decoder the stream has none of its video attributes, whatever the type says.
            if getattr(stream, "codec_context", None) is None:
                raise InputError(path, "its codec is not known here", _REENCODE)
            if stream.disposition & Disposition.attached_pic:
                raise InputError(path, "its first picture stream is a cover, not a video", _REENCODE)
            yield container, stream
    except av.error.FFmpegError as error:
        reason = one_line(error) if error.strerror is None else error.strerror
        raise InputError(path, f"not a readable video ({reason})", f"{_COPY_AGAIN}, or {_REENCODE}") from error


def _first_frame(container: av.container.InputContainer, stream: VideoStream, path: str) -> tuple[int, int]:
    """Width and height in pixels of the first frame."""
    frame = next(container.decode(stream), None)
    if frame is None:
        raise InputError(path, "not one frame of it can be decoded", f"{_COPY_AGAIN}, or {_REENCODE}")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if isinstance(matrix, Buffer) and bytes(matrix) != _UPRIGHT:
        turned = f"turned by {frame.rotation} degrees" if frame.rotation else "mirrored or scaled"
        raise InputError(path, f"its frames are shown {turned}", f"so that the pixels stand upright, {_REENCODE}")
    return frame.width, frame.height


def _packet_times(
    container: av.container.InputContainer, stream: VideoStream, path: str
) -> tuple[list[int], list[int]]:
    """The timestamps of all shown frames and of all keyframes, both ascending."""
    stated = _stated_frames(container, stream)
    shown: list[int] = []
    keyframes: list[int] = []
    packets = 0
    for packet in container.demux(stream):
        # The demuxer ends with an empty packet that only tells decoders to flush.
        if packet.size == 0:
            continue
        packets += 1
        if packet.is_corrupt:
            raise InputError(path, f"damaged or truncated at frame {packets - 1}", f"{_COPY_AGAIN}, or {_REENCODE}")
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            raise InputError(path, f"frame {packets - 1} has no timestamp", _REENCODE)
        if packet.is_keyframe:
            keyframes.append(time)
        # An edit list may hide frames that others are still decoded from.
        if not packet.is_discard:
            shown.append(time)
    if packets < stated:
        raise InputError(path, f"truncated: {packets} of {stated} frames are there", _COPY_AGAIN)
    return sorted(shown), sorted(keyframes)


def _require_decodable(shown: Sequence[int], keyframes: Sequence[int], path: str) -> None:
    """Checks that every frame can be told by its timestamp and reached from a keyframe."""
    if not shown:
        raise InputError(path, "holds no frames", _REENCODE)
    twice = next((before for before, after in pairwise(shown) if before == after), None)
    if twice is not None:
        raise InputError(path, f"two frames have the same timestamp {twice}", _REENCODE)
    if not keyframes or keyframes[0] > shown[0]:
        raise InputError(path, "it starts with frames that cannot be decoded (no keyframe before them)", _REENCODE)


def _stated_frames(container: av.container.InputContainer, stream: VideoStream) -> int:
    """How many frames the container says it holds, 0 where it does not say."""
    # A QuickTime edit list may leave out frames that the sample count includes; the index is built after it.
    if "mp4" in container.format.name:
        return min(stream.frames, len(stream.index_entries))
    return stream.frames
