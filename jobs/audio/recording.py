"""A recording, checked from its first sample to its last before anything depends on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from actors.core.errors import InputError
from actors.core.voice_activity import RATE, hop_powers
from jobs.audio.channel_choice import Levels
from jobs.audio.decoding import Findings, Piece, decoded, mixed_down, mono

# Samples are nominally in [-1, 1]. From 18 dB above on players clip nearly all. Numbers of 16 bits that were stored as
# floats can still be encoded; of noise at 3e5, which more channels may add up to, FFmpeg's AAC encoder makes no end.
_LOUD, _LOUDEST = 8.0, 5e4


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that can be decoded and muxed to its end.

    Attributes:
        path: of the recording.
        seconds: its length, more than 0.
        channels: the channels whose mean is used, ascending from 0; ``None`` for all.
        warnings: what the user should know, one line each.
        spliced: whether it is read otherwise than it stands there, see `jobs.audio.decoding.Findings`.
        powers: of that mean, see `actors.core.voice_activity.hop_powers`; ``None`` unless asked for.
    """

    path: str
    seconds: Fraction
    channels: tuple[int, ...] | None
    warnings: tuple[str, ...]
    spliced: bool
    powers: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)


def check_recording(path: str, *, with_powers: bool = False) -> Recording:
    """Decodes all of a recording, and finds all that would be found later.

    It is decoded once, and again for its powers where only some of its channels are used: until its end nobody knows.

    Args:
        path: see `jobs.audio.decoding.decoded`.
        with_powers: whether its powers are wanted.

    Raises:
        InputError: as `decoded`; it is empty, or its samples are no sound.
    """
    check = _Check(path)
    pieces = check.pieces()
    powers = hop_powers(mixed_down(pieces, RATE)) if with_powers else None
    deque(pieces, maxlen=0)
    recording = check.recording()
    if with_powers and recording.channels is not None:
        powers = hop_powers(mono(path, RATE, recording.channels))
    return replace(recording, powers=powers)


class _Check:
    """One pass over a recording."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._findings = Findings()
        self._count, self._rate, self._peak = 0, 1, 0.0
        self._levels: Levels | None = None

    def pieces(self) -> Iterator[Piece]:
        """The recording's sound, checked; `recording` is to be asked at its end."""
        for piece in _by_second(decoded(self._path, self._findings)):
            if self._levels is None:
                names = tuple(channel.name for channel in av.AudioLayout(piece.layout).channels)
                self._levels = Levels(names, piece.layout)
            highest = float(np.abs(piece.samples).max())
            # Not a number compares with nothing.
            if not highest < _LOUDEST:
                raise _no_sound(self._path, piece, self._count)
            self._peak, self._rate = max(self._peak, highest), piece.rate
            self._count += piece.samples.shape[1]
            self._levels.add(piece.samples)
            yield piece

    def recording(self) -> Recording:
        """What was found, without powers."""
        path, notes = self._path, self._findings.notes
        if self._levels is None or not self._count:
            raise InputError(path, "holds no sound", "give a recording with sound in it")
        if self._peak > _LOUD:
            notes.append(f"its samples reach {self._peak:.6g} where 1 is full scale: players clip it; scale it down")
        choice = self._levels.choice()
        if choice.warning:
            notes.append(choice.warning)
        warnings = tuple(f"{path}: {note}" for note in notes)
        return Recording(path, Fraction(self._count, self._rate), choice.channels, warnings, self._findings.spliced)


def _by_second(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same sound in pieces of about a second, none of them empty."""
    held: list[Piece] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += piece.samples.shape[1]
        if count >= piece.rate:
            yield _joined(held)
            held, count = [], 0
    if count:
        yield _joined(held)


def _joined(pieces: list[Piece]) -> Piece:
    samples = np.concatenate([piece.samples for piece in pieces], axis=1)
    return Piece(samples, pieces[0].rate, pieces[0].layout)


def _no_sound(path: str, piece: Piece, before: int) -> InputError:
    """Why these samples are none, and when."""
    bad = ~(np.abs(piece.samples) < _LOUDEST).all(axis=0)
    first = int(bad.argmax())
    value = float(np.abs(piece.samples[:, first]).max())
    found = f"as large as {value:.3g}" if np.isfinite(value) else "not finite numbers"
    where = f"after {(before + first) / piece.rate:.2f} s"
    return InputError(path, f"holds samples that are {found} ({where})", "export the recording again")
