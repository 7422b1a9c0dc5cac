"""A recording looked at once, from its first sample to its last, before anything depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from actors.core.errors import InputError
from jobs.audio.channel_choice import Levels
from jobs.audio.decoding import Findings, Piece, decoded

# Samples are nominally in [-1, 1]. From 18 dB above on players clip nearly all. Numbers of 16 bits that were stored as
# floats can still be encoded; of noise at 3e5, which more channels may add up to, FFmpeg's AAC encoder makes no end.
_LOUD, _LOUDEST = 8.0, 5e4


@dataclass(frozen=True, slots=True)
class Survey:
    """A recording that can be heard, shown and muxed to its end.

    Attributes:
        path: of the recording.
        seconds: its length, more than 0.
        channels: the channels whose mean a network hears, ascending from 0; ``None`` for all.
        warnings: what the user should know, one line each.
        spliced: whether it is read otherwise than it stands there, see `jobs.audio.decoding.Findings`.
    """

    path: str
    seconds: Fraction
    channels: tuple[int, ...] | None
    warnings: tuple[str, ...]
    spliced: bool


def survey(path: str) -> Survey:
    """Decodes all of a recording, and finds all that would be found later.

    Args:
        path: see `jobs.audio.decoding.decoded`.

    Raises:
        InputError: as `decoded`; it is empty, or its samples are no sound.
    """
    findings = Findings()
    notes = findings.notes
    count, rate, peak = 0, 1, 0.0
    levels: Levels | None = None
    for piece in _by_second(decoded(path, findings)):
        if levels is None:
            names = tuple(channel.name for channel in av.AudioLayout(piece.layout).channels)
            levels = Levels(names, piece.layout)
        highest = float(np.abs(piece.samples).max())
        # Not a number compares with nothing.
        if not highest < _LOUDEST:
            raise _no_sound(path, piece, count)
        peak, count, rate = max(peak, highest), count + piece.samples.shape[1], piece.rate
        levels.add(piece.samples)
    if levels is None or not count:
        raise InputError(path, "holds no sound", "give a recording with sound in it")
    if peak > _LOUD:
        notes.append(f"its samples reach {peak:.6g} where 1 is full scale: players clip it; scale it down")
    choice = levels.choice()
    if choice.warning:
        notes.append(choice.warning)
    warnings = tuple(f"{path}: {note}" for note in notes)
    return Survey(path, Fraction(count, rate), choice.channels, warnings, findings.spliced)


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
