"""The sound beside a stretch of video: a stream of samples, resampled, trimmed or padded to its exact length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
from numpy.typing import NDArray

from jobs.recording import decoded, frame_of, seconds

# What players and AAC handle best; also makes the encoder's frames short enough to end with the picture.
RATE = 48_000


def check_sound(path: str) -> float:
    """Length of a recording in seconds.

    Raises:
        InputError: it is missing, not a sound file, damaged, or empty.
    """
    return float(seconds(path))


def sound_chunks(path: str) -> Iterator[NDArray[np.float32]]:
    """Decodes a recording for a video.

    Args:
        path: see `jobs.recording.decoded`.

    Yields:
        ``(channels, n)`` float32 in [-1, 1] at `RATE`, one or two channels (more are mixed down to stereo), n at
        least 1.

    Raises:
        InputError: it is missing, not a sound file, or damaged.
    """
    resampler: av.AudioResampler | None = None
    for piece in decoded(path):
        if resampler is None:
            layout = "mono" if len(piece.samples) == 1 else "stereo"
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=RATE)
        frame = frame_of(piece.samples, piece.rate, piece.layout)
        yield from (np.asarray(out.to_ndarray(), np.float32) for out in resampler.resample(frame))
    if resampler is not None:
        yield from (np.asarray(out.to_ndarray(), np.float32) for out in resampler.resample(None))


def cut_chunks(chunks: Iterable[NDArray[np.float32]], start: int, stop: int, fps: int) -> Iterator[NDArray[np.float32]]:
    """The samples that belong to the frames ``start <= i < stop``; silence where there are none.

    Args:
        chunks: a whole recording, ``(channels, n)`` each at `RATE`.
        start: first frame.
        stop: end of the frames, ``start < stop``.
        fps: frames per second.

    Yields:
        ``(channels, n)``, n at least 1; one channel of silence where the recording is empty.
    """
    first, last = round(start * RATE / fps), round(stop * RATE / fps)
    position, channels = 0, 1
    for chunk in chunks:
        part = chunk[:, max(0, first - position) : max(0, last - position)]
        position, channels = position + chunk.shape[1], len(chunk)
        if part.shape[1]:
            yield part
        if position >= last:
            return
    for begin in range(max(first, position), last, RATE):
        yield np.zeros((channels, min(RATE, last - begin)), np.float32)
