"""The mel front end of the Wav2Lip encoders, as a stream: samples go in by chunks of any size, mel windows come out.

Every constant belongs to the networks' training and is part of the contract. All arithmetic is float64; rows are
calculated in blocks of one size, counted from the recording's start, so that they are the same to the last bit however
the sound was cut into chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

# Samples per second that the front end is defined for.
RATE = 16_000
BANDS = 80
# Mel rows of one window, an encoder's input.
WINDOW_ROWS = 16

_POINTS = 800
_HOP = 200
_ROWS_PER_SECOND = RATE // _HOP
_MARGIN = _POINTS // 2
_EMPHASIS = 0.97
_LOWEST_HERTZ, _HIGHEST_HERTZ = 55.0, 7600.0
_LEAST_MAGNITUDE = 1e-5
_REFERENCE_DB, _RANGE_DB, _LARGEST = 20.0, 100.0, 4.0

# The shortest sound that fills a window; a shorter one is taken as if silence followed.
SHORTEST = (WINDOW_ROWS - 1) * _HOP

_BLOCK = 128


def mel_bank() -> NDArray[np.float32]:
    """The bank of triangular filters that turns 401 magnitudes into 80 bands.

    Slaney's scale (Auditory Toolbox, 1998): linear up to 1000 Hz, where a mel is 200/3 Hz, and logarithmic above,
    where 27 mels are a factor of 6.4. The corners lie evenly on it from 55 Hz to 7600 Hz; each triangle has the area
    of 1 Hz.

    Returns:
        ``(80, 401)``, weights of at least 0.
    """
    linear, factor = 200 / 3, math.log(6.4) / 27
    knee = 1000 / linear

    def to_mel(hertz: float) -> float:
        return hertz / linear if hertz < 1000 else knee + math.log(hertz / 1000) / factor

    mels = np.linspace(to_mel(_LOWEST_HERTZ), to_mel(_HIGHEST_HERTZ), BANDS + 2)
    corners = np.where(mels < knee, mels * linear, 1000 * np.exp(factor * (mels - knee)))
    bins = np.arange(_POINTS // 2 + 1) * (RATE / _POINTS)
    low, middle, high = (corners[i : i + BANDS, None] for i in range(3))
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    # Rounded once before the scaling and once after it, as in the bank that the networks were trained with.
    peaked = np.maximum(triangles, 0).astype(np.float32)
    return np.asarray(peaked * (2 / (high - low)), np.float32)


class MelFrontEnd:
    """One recording on its way to mel rows.

    Row ``t`` describes the 50 ms around sample ``200 t``: 80 rows a second, ``samples // 200 + 1`` in all. The sound
    is pre-emphasised (``y[n] = x[n] - 0.97 x[n-1]``), surrounded by 400 zeros on each side, weighted by a periodic
    Hann window and transformed; magnitudes go through `mel_bank`, become decibels below 20 dB with a floor of
    1e-5, and -100..0 dB become -4..4.
    """

    def __init__(self) -> None:
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_POINTS) / _POINTS)
        # The bank as the magnitudes it weighs, band by band: one in forty of its weights is not 0.
        bank = mel_bank().astype(np.float64)
        bands, self._bins = np.nonzero(bank)
        self._weights = bank[bands, self._bins]
        self._bands = np.searchsorted(bands, np.arange(BANDS))
        # Emphasised samples from the first one that the next row needs.
        self._pending = np.zeros(_MARGIN)
        self._last = 0.0
        self._samples = 0
        self._rows = 0

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes the next samples and gives the rows that are finished by now.

        Args:
            samples: ``(n,)`` in [-1, 1] at `RATE`, n may be 0.

        Returns:
            ``(rows, 80)`` in [-4, 4], often none.
        """
        sound = samples.astype(np.float64)
        before = np.concatenate([[self._last], sound[:-1]]) if len(sound) else sound
        self._last = float(sound[-1]) if len(sound) else self._last
        self._samples += len(sound)
        self._pending = np.concatenate([self._pending, sound - _EMPHASIS * before])
        done = []
        while len(self._pending) >= (_BLOCK - 1) * _HOP + _POINTS:
            done.append(self._block())
        return np.concatenate([np.zeros((0, BANDS), np.float32), *done])

    def finish(self) -> NDArray[np.float32]:
        """The rows that are left once the sound has ended, ``(rows, 80)`` in [-4, 4]."""
        left = self._samples // _HOP + 1 - self._rows
        blocks = math.ceil(left / _BLOCK)
        needed = (blocks * _BLOCK - 1) * _HOP + _POINTS
        self._pending = np.concatenate([self._pending, np.zeros(needed - len(self._pending))])
        return np.concatenate([self._block() for _ in range(blocks)])[:left]

    def _block(self) -> NDArray[np.float32]:
        """The next rows, always as many: sums over an array of another shape may round differently."""
        frames = np.lib.stride_tricks.sliding_window_view(self._pending[: (_BLOCK - 1) * _HOP + _POINTS], _POINTS)
        magnitudes = np.abs(np.fft.rfft(frames[::_HOP] * self._window))
        energies = np.add.reduceat(magnitudes[:, self._bins] * self._weights, self._bands, axis=1)
        decibels = 20 * np.log10(np.maximum(energies, _LEAST_MAGNITUDE)) - _REFERENCE_DB
        self._pending = self._pending[_BLOCK * _HOP :]
        self._rows += _BLOCK
        scaled = 2 * _LARGEST * (decibels + _RANGE_DB) / _RANGE_DB - _LARGEST
        return np.clip(scaled, -_LARGEST, _LARGEST).astype(np.float32)


def mel_spectrogram(chunks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The mel rows of a whole recording, as they become ready.

    Args:
        chunks: one recording, ``(n,)`` each in [-1, 1] at `RATE`.

    Yields:
        ``(rows, 80)`` in [-4, 4], at least one row each.
    """
    front = MelFrontEnd()
    for chunk in chunks:
        rows = front.push(chunk)
        if len(rows):
            yield rows
    yield front.finish()


def window_count(rows: int, fps: int) -> int:
    """How many windows are encoded of a recording of ``rows`` mel rows, at least `WINDOW_ROWS`.

    SyncTalk_2D calculates this in floating point, which for some lengths gives one less than exact arithmetic would.
    """
    return int((rows - WINDOW_ROWS) / _ROWS_PER_SECOND * fps) + 2


def window_start(window: int, fps: int) -> int:
    """First mel row of a window, as long as the recording has rows enough behind it."""
    return _ROWS_PER_SECOND * window // fps


def mel_windows(chunks: Iterable[NDArray[np.float32]], fps: int) -> Iterator[NDArray[np.float32]]:
    """The encoder's input for a recording: one window of 16 mel rows, 200 ms of sound, for each video frame.

    Window ``k`` begins at row ``80 k // fps``; a window that would reach past the end holds the last 16 rows
    instead. A recording shorter than `SHORTEST` samples is followed by silence up to there.

    Args:
        chunks: one recording, ``(n,)`` each in [-1, 1] at `RATE`; how it is cut changes nothing.
        fps: video frames per second.

    Yields:
        ``(windows, 80, 16)`` float32 in [-4, 4], at least one window each; `window_count` in all.
    """
    # Rows from the number `first` on, until no window needs them any more.
    held, first, window = np.zeros((0, BANDS), np.float32), 0, 0
    for rows in mel_spectrogram(_lengthened(chunks)):
        held = np.concatenate([held, rows])
        begins = []
        while window_start(window, fps) + WINDOW_ROWS <= first + len(held):
            begins.append(window_start(window, fps) - first)
            window += 1
        if begins:
            yield _cut(held, begins)
        # The last 16 rows stay: windows at the end may all want them.
        done = max(0, min(window_start(window, fps) - first, len(held) - WINDOW_ROWS))
        held, first = held[done:], first + done
    missing = window_count(first + len(held), fps) - window
    if missing > 0:
        yield _cut(held, [len(held) - WINDOW_ROWS] * missing)


def _cut(rows: NDArray[np.float32], begins: list[int]) -> NDArray[np.float32]:
    return np.stack([rows[begin : begin + WINDOW_ROWS].T for begin in begins])


def _lengthened(chunks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    samples = 0
    for chunk in chunks:
        samples += len(chunk)
        yield chunk
    if samples < SHORTEST:
        yield np.zeros(SHORTEST - samples, np.float32)
