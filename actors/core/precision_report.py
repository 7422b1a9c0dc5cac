"""How far pixels in half precision lie from those in single precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from actors.core.pixels import ColourPlanes

# JPEG at quality 95 leaves about 40 dB, so nobody sees less than this; a few levels in single pixels are rounding, more
# would be a value that half precision cannot hold.
LEAST_PSNR = 50.0
MOST_LEVELS = 4


@dataclass(frozen=True, slots=True)
class PrecisionReport:
    """How far the pixels of the network's answers lie from those in fp32.

    Attributes:
        frames: how many output frames were compared.
        worst: the greatest difference of any value, in levels of 255.
        mean: the mean difference, in levels.
        psnr: peak signal-to-noise ratio in dB; infinite where all are equal.
    """

    frames: int
    worst: int
    mean: float
    psnr: float

    @classmethod
    def of(cls, found: ColourPlanes, exact: ColourPlanes) -> PrecisionReport:
        """The report on planes ``(n, 3, inner, inner)`` of the same frames, at least one."""
        differences = np.abs(found.astype(np.int16) - exact).astype(np.float64)
        error = float((differences**2).mean())
        psnr = 10 * np.log10(255**2 / error) if error else np.inf
        return cls(len(found), int(differences.max()), float(differences.mean()), float(psnr))

    @property
    def passes(self) -> bool:
        """Whether nobody will see the difference."""
        return self.worst <= MOST_LEVELS and self.psnr >= LEAST_PSNR
