"""The sound beside a stretch of video: a stream of samples, resampled, trimmed or padded to its exact length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from jobs.audio.decoding import decoded, frame_of, mean_of_channels
from jobs.audio.recording import Recording

# What players and AAC handle best; also makes the encoder's frames short enough to end with the picture.
RATE = 48_000


def sound_chunks(recording: Recording) -> Iterator[NDArray[np.float32]]:
    """Decodes a recording for a video.

    One and two channels stay what they are. More are mixed down to stereo as players do, the centre 3 dB down on both
    sides; where nothing says how to, what is heard of them becomes one channel.

    Args:
        recording: what was found of it.

    Yields:
        ``(channels, n)`` float32, nominally in [-1, 1], at `RATE`, one or two channels, n at least 1.

    Raises:
        InputError: it is missing, not a sound file, or damaged.
    """
    resampler: av.AudioResampler | None = None
    form = _Form("mono", "mono", None)
    for piece in decoded(recording.path):
        if resampler is None:
            form = _form(piece.layout, len(piece.samples), recording.channels)
            resampler = av.AudioResampler(format="fltp", layout=form.shown, rate=RATE)
        samples = piece.samples if form.taken is None else mean_of_channels(piece.samples, form.taken)[None]
        frame = frame_of(samples, piece.rate, form.given)
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


@dataclass(frozen=True, slots=True)
class _Form:
    """FFmpeg's names of the channels that it is given and of those that are shown.

    ``taken``: channels whose mean is given in place of all, from 0.
    """

    given: str
    shown: str
    taken: tuple[int, ...] | None


def _form(layout: str, channels: int, chosen: tuple[int, ...] | None) -> _Form:
    """How a recording's channels become one or two."""
    if channels <= 2:
        # Whatever places they are said to have: of two that are no pair of front ones FFmpeg can mix few.
        name = "mono" if channels == 1 else "stereo"
        return _Form(name, name, None)
    unnamed = layout == f"{channels} channels"
    # What has no names is taken for film sound, as players do, but for numbers of channels that film sound has not.
    if _mixes(layout, channels) and not (unnamed and (chosen is not None or channels == 3 or channels > 8)):
        return _Form(layout, "stereo", None)
    return _Form("mono", "mono", tuple(range(channels)) if chosen is None else chosen)


def _mixes(layout: str, channels: int) -> bool:
    """Whether FFmpeg mixes these channels down to stereo; of unusual places it does not know how."""
    try:
        silence = frame_of(np.zeros((channels, 1), np.float32), RATE, layout)
        av.AudioResampler(format="fltp", layout="stereo", rate=RATE).resample(silence)
    except av.error.FFmpegError:
        return False
    return True
