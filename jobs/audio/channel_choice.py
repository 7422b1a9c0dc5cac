"""The choice of a recording's channels that features are made of: the mean of all, unless that would lose the voice."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# A channel whose loudest second is so far below that of the loudest channel holds nothing: 40 dB.
_NOTHING = 1e-4

# The centre carries a film's voice unless it is so far below the loudest channel: 12 dB.
_CENTRE = 10 ** (-12 / 10)

# The mean may keep half of the centre's sound, as of two fronts that hold it too; below, the rest has covered it.
_KEPT = 0.47

# Channels oppose each other where all of them together have less energy than the loudest alone, by 1 dB.
_OPPOSED = 10 ** (-1 / 10)

# Channels are the same sound, whichever way up, from this correlation on.
_SAME = 0.9

# A second is lost where the mean is so far below its loudest channel (12 dB), and that one is no silence (-60 dB).
_LOST, _SILENCE = 10 ** (-12 / 10), 1e-6

# One channel holds nearly all where all others together have so much less energy (12 dB).
_REST = 10 ** (-12 / 10)

# From this share of the seconds with sound on it is said.
_LOST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """What is used of a recording.

    Attributes:
        channels: the channels whose mean is used, ascending from 0; ``None`` for all of them.
        warning: why not all of them, or what is lost in their mean; empty where there is nothing to say.
    """

    channels: tuple[int, ...] | None = None
    warning: str = ""


@dataclass(slots=True)
class Levels:
    """Energies of channels and of what they have in common, over a whole recording.

    Attributes:
        names: FFmpeg's name of each channel's place, ``NONE`` where it has none.
        layout: FFmpeg's name of all of them.
    """

    names: tuple[str, ...]
    layout: str
    _products: NDArray[np.float64] = field(init=False)
    _peaks: NDArray[np.float64] = field(init=False)
    _loud: int = field(init=False, default=0)
    _lost: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._products = np.zeros((len(self.names),) * 2)
        self._peaks = np.zeros(len(self.names))

    def add(self, samples: NDArray[np.float32]) -> None:
        """Takes the next samples, ``(channels, n)``, finite, about a second of them at a time."""
        if len(self.names) == 1:
            return
        sound = samples.astype(np.float64)
        products = sound @ sound.T
        powers = np.diag(products) / sound.shape[1]
        self._products += products
        self._peaks = np.maximum(self._peaks, powers)
        if powers.max() > _SILENCE:
            self._loud += 1
            self._lost += bool(products.mean() / sound.shape[1] < _LOST * powers.max())

    def choice(self) -> ChannelChoice:
        """What is to be used, by all that was added."""
        if len(self.names) == 1:
            return ChannelChoice()
        if self.layout.startswith("ambisonic"):
            return ChannelChoice((0,), f"is {self.layout}: its first channel, which has all directions alike, is used")
        powers = np.diag(self._products)
        if not powers.max():
            return ChannelChoice()
        return self._centre(powers) or self._without_centre(powers)

    def _centre(self, powers: NDArray[np.float64]) -> ChannelChoice | None:
        """The centre, where there is one and it is neither empty nor kept in the mean."""
        if len(powers) < 3 or "FC" not in self.names:
            return None
        centre = self.names.index("FC")
        if powers[centre] < _CENTRE * powers.max():
            return None
        kept = self._products[centre].mean() / powers[centre]
        if kept >= _KEPT:
            return None
        warning = f"its centre ({self.layout}) is used alone: the mean of all {len(powers)} channels would cover it"
        return ChannelChoice((centre,), warning)

    def _without_centre(self, powers: NDArray[np.float64]) -> ChannelChoice:
        filled = np.flatnonzero(self._peaks >= _NOTHING * self._peaks.max())
        alone = 2 * len(filled) <= len(powers)
        chosen = filled if alone else np.arange(len(powers))
        products = self._products[np.ix_(chosen, chosen)]
        loudest = int(powers.argmax())
        if products.sum() < _OPPOSED * powers[loudest]:
            return self._opposed(powers, filled, loudest, float(products.mean()))
        if alone:
            names = " and ".join(self._name(int(channel)) for channel in chosen)
            verb = "hold" if len(chosen) > 1 else "holds"
            return ChannelChoice(
                tuple(map(int, chosen)), f"only {names} of its {len(powers)} channels {verb} sound: no other is used"
            )
        if self._lost > _LOST_SHARE * self._loud:
            if powers.sum() < (1 + _REST) * powers[loudest]:
                fall = 10 * math.log10(powers[loudest] / products.mean())
                return ChannelChoice(
                    (loudest,),
                    f"{self._name(loudest)} holds nearly all of its sound and is used alone: the mean of all"
                    f" {len(powers)} channels would be {fall:.0f} dB quieter",
                )
            return ChannelChoice(
                None,
                f"in {self._lost} of {self._loud} seconds its channels cancel each other in their mean, which is used",
            )
        return ChannelChoice()

    def _opposed(
        self, powers: NDArray[np.float64], filled: NDArray[np.intp], loudest: int, mean: float
    ) -> ChannelChoice:
        """The loudest channel, where the others are the same sound; else there is only a warning."""
        likeness = self._products[loudest, filled] / np.sqrt(powers[loudest] * powers[filled])
        fall = "silent" if mean <= 0 else f"{10 * math.log10(powers[loudest] / mean):.0f} dB quieter"
        if np.abs(likeness).min() >= _SAME:
            return ChannelChoice(
                (loudest,),
                f"its channels oppose each other (one is another's negative): {self._name(loudest)}, the loudest, is"
                f" used, as their mean would be {fall}",
            )
        return ChannelChoice(None, f"its channels oppose each other in part: their mean, which is used, is {fall}")

    def _name(self, channel: int) -> str:
        named = self.names[channel]
        return f"channel {channel + 1}" + ("" if named == "NONE" else f" ({named})")
