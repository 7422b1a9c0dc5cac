"""A recording as the samples that go beside a stretch of video: resampled, trimmed or padded to its exact length."""

from __future__ import annotations

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from actors import storage
from actors.core.errors import InputError

# What players and AAC handle best; also makes the encoder's frames short enough to end with the picture.
RATE = 48_000


# Playlists and session descriptions are left out: they make FFmpeg open other files and addresses.
CONTAINERS = {"format_whitelist": "wav,w64,flac,mp3,mov,mp4,ogg,aiff,matroska,webm,aac,caf"}


def check_sound(path: str) -> float:
    """Length of a recording in seconds.

    Raises:
        InputError: it is missing, not a sound file, or empty.
    """
    seconds = len(read_sound(path)[0]) / RATE
    if seconds == 0:
        raise InputError(path, "holds no sound", "give a recording with a sound track")
    return seconds


def read_sound(path: str) -> NDArray[np.float32]:
    """Decodes a recording.

    Args:
        path: any container and codec that FFmpeg reads.

    Returns:
        ``(channels, n)`` float32 in [-1, 1] at `RATE`, one or two channels (more are mixed down to stereo).

    Raises:
        InputError: it is missing, or not a sound file.
    """
    if not storage.is_file(path):
        raise InputError(path, "there is no such recording", "check --audio")
    try:
        with (
            storage.open_input(path) as file,
            av.open(file, "r", metadata_errors="replace", options=CONTAINERS) as container,
        ):
            if not container.streams.audio:
                raise InputError(path, "has no sound track", "give a recording with a sound track")
            stream = container.streams.audio[0]
            layout = "mono" if stream.codec_context.channels == 1 else "stereo"
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=RATE)
            parts = [out.to_ndarray() for frame in container.decode(stream) for out in resampler.resample(frame)]
            parts += [out.to_ndarray() for out in resampler.resample(None)]
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(path, f"cannot be decoded as sound ({error})", "give a wav file") from error
    if not parts:
        return np.zeros((1, 0), np.float32)
    return np.concatenate(parts, axis=1).astype(np.float32)


def cut(samples: NDArray[np.float32], start: int, stop: int, fps: int) -> NDArray[np.float32]:
    """The samples ``(channels, n)`` that belong to the frames ``start <= i < stop``; silence where there are none."""
    first, last = round(start * RATE / fps), round(stop * RATE / fps)
    part = samples[:, first:last]
    return np.pad(part, ((0, 0), (0, last - first - part.shape[1])))
