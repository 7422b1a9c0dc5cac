"""Backgrounds in a video file: counted and described by demuxing, decoded only where that is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import IO

import av
import av.container
import av.error
from av.stream import Disposition
from av.video.stream import VideoStream

from actors.core.clip import VideoFrames
from actors.core.errors import InputError, error_text
from actors.core.picture_metadata import HDR_NUMBERS
from actors.files import storage
from actors.files.media_tracks import default_track, others_start
from actors.rendering.video_frames import CONTAINERS
from jobs.clip.demuxing import COPY_AGAIN, decoded_frames, decoded_order, list_packets
from jobs.clip.ffmpeg_commands import TONE_MAP, conversion, reencoded
from jobs.clip.files import as_input_errors, file_at, files_in
from jobs.clip.truncation import missing_bytes
from jobs.clip.unread_containers import HEAD_BYTES, foreign, refusal
from jobs.clip.video_metadata import require_readable, stream_picture

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".3gp", ".3g2")


def video_files(folder: str) -> list[storage.Entry]:
    """The video files of a folder by their suffix, in name order."""
    return files_in(folder, SUFFIXES)


def read_video(path: str) -> VideoFrames:
    """Counts and describes the frames of the video track that players show.

    Where the container does not say when frames are shown, they are decoded once: their order is the decoder's.

    Raises:
        InputError: not a video, truncated, shown otherwise than it is stored, or without usable timestamps.
    """
    size = file_at(path).size
    with as_input_errors(path), storage.open_input(path) as file:
        if kind := foreign(file.read(HEAD_BYTES)):
            raise refusal(path, kind)
        if missing := missing_bytes(file, size):
            raise InputError(path, f"truncated: the last {missing} bytes are missing", COPY_AGAIN)
        file.seek(0)
        with _opened(file, path) as (container, stream):
            first = _first_frame(container, stream, path)
            picture = stream_picture(stream, first)
            require_readable(path, picture)
            reorders = stream.codec_context.has_b_frames or first.interlaced_frame
        file.seek(0)
        with _opened(file, path) as (container, stream):
            table = list_packets(container, stream, path)
            rate, time_base, started = stream.average_rate, stream.time_base, others_start(container, stream)
            knows_order = table.says_order(reorders=reorders)
            reordered = stream.codec_context.codec.reorder
        if knows_order:
            table = table.by_time()
        elif reordered:
            file.seek(0)
            with _opened(file, path) as (container, stream):
                table = table.as_decoded(*decoded_order(container, stream, path))
    table.require_decodable(path)
    if time_base is None:
        raise InputError(path, "does not say how long its frames are shown", reencoded(path))
    times = table.times
    return VideoFrames(
        path=path,
        timestamps=times,
        places=table.frames,
        time_base=time_base,
        packets=table.packets(),
        width=first.width,
        height=first.height,
        fps=Fraction(rate.numerator, rate.denominator) if rate else None,
        delay=Fraction(0) if started is None else max(Fraction(0), times[0] * time_base - started),
        picture=picture,
    )


def check_video(video: VideoFrames) -> None:
    """Decodes a whole video, as loaders will, to see that all of its frames are there, of one size and not HDR.

    Raises:
        InputError: the first frame that is not.
    """
    path, numbers = video.path, {place: number for number, place in enumerate(video.places)}
    size = (video.width, video.height)
    with as_input_errors(path), storage.open_input(path) as file, _opened(file, path) as (container, stream):
        for place, frame in decoded_frames(container, stream, path):
            number = numbers.pop(place, None)
            if number is None:
                continue
            if (frame.width, frame.height) != size:
                raise InputError(
                    path,
                    f"frame {number} is {frame.width}x{frame.height}, the first is {size[0]}x{size[1]}",
                    f"make all of one size: {conversion(path)}",
                )
            if hdr := HDR_NUMBERS.get(int(frame.color_trc)):
                raise InputError(
                    path,
                    f"from frame {number} on it is {hdr}, which is not rendered",
                    f"tone-map that part, or cut it off: ffmpeg's filters for it are {TONE_MAP}",
                )
    if numbers:
        raise InputError(path, f"frame {min(numbers.values())} does not decode", reencoded(path))


@contextmanager
def _opened(file: IO[bytes], path: str) -> Iterator[tuple[av.container.InputContainer, VideoStream]]:
    """The container and its first video stream; FFmpeg's errors inside the block become an `InputError`."""
    try:
        # Tags are free text in any encoding and nothing here depends on them.
        with av.open(file, "r", metadata_errors="replace", options=CONTAINERS) as container:
            if not container.streams.video:
                raise InputError(path, "holds no video", "name a video file")
            stream = default_track(container.streams.video)
            # Without a decoder the stream has none of its video attributes, whatever the type says.
            if getattr(stream, "codec_context", None) is None:
                raise InputError(path, "its codec is not known here", reencoded(path))
            if stream.disposition & Disposition.attached_pic:
                raise InputError(path, "its only picture is a cover, not a video", reencoded(path))
            yield container, stream
    except av.error.FFmpegError as error:
        reason = error_text(error) if error.strerror is None else error.strerror
        raise InputError(path, f"not a readable video ({reason})", f"{COPY_AGAIN}, or {reencoded(path)}") from error


def _first_frame(container: av.container.InputContainer, stream: VideoStream, path: str) -> av.VideoFrame:
    frame = next(container.decode(stream), None)
    if frame is None:
        raise InputError(path, "not one frame of it can be decoded", f"{COPY_AGAIN}, or {reencoded(path)}")
    return frame
