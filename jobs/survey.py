"""A recording looked at once, from its first sample to its last, before anything depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from actors.core.errors import InputError
from jobs.channels import Levels
from jobs.recording import decoded

# Samples are nominally in [-1, 1]. From 18 dB above on players clip nearly all; AAC cannot encode 1e8 and more.
_LOUD, _LOUDEST = 8.0, 1e6


@dataclass(frozen=True, slots=True)
class Survey:
    """A recording that can be heard, shown and muxed to its end.

    Attributes:
        path: of the recording.
        seconds: its length, more than 0.
        channels: the channels whose mean a network hears, ascending from 0; ``None`` for all.
        warnings: what the user should know, one line each.
    """

    path: str
    seconds: Fraction
    channels: tuple[int, ...] | None
    warnings: tuple[str, ...]


def survey(path: str) -> Survey:
    """Decodes all of a recording, and finds all that would be found later.

    Args:
        path: see `jobs.recording.decoded`.

    Raises:
        InputError: as `decoded`; it is empty, or its samples are no sound.
    """
    notes: list[str] = []
    count, rate, peak = 0, 1, 0.0
    levels: Levels | None = None
    for piece in decoded(path, notes):
        if levels is None:
            names = tuple(channel.name for channel in av.AudioLayout(piece.layout).channels)
            levels = Levels(names, piece.layout, piece.rate)
        if not piece.samples.size:
            continue
        highest = float(np.abs(piece.samples).max())
        # Not a number compares with nothing.
        if not highest < _LOUDEST:
            found = "not finite numbers" if not np.isfinite(piece.samples).all() else f"as large as {highest:.3g}"
            where = f"after {count / piece.rate:.2f} s"
            raise InputError(path, f"holds samples that are {found} ({where})", "export the recording again")
        peak, count, rate = max(peak, highest), count + piece.samples.shape[1], piece.rate
        levels.add(piece.samples)
    if levels is None or not count:
        raise InputError(path, "holds no sound", "give a recording with sound in it")
    if peak > _LOUD:
        notes.append(f"its samples reach {peak:.6g} where 1 is full scale: players clip it; scale it down")
    choice = levels.choice()
    if choice.warning:
        notes.append(choice.warning)
    return Survey(path, Fraction(count, rate), choice.channels, tuple(f"{path}: {note}" for note in notes))
