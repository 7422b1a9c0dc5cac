"""Colours of the network's pixels brought to those of the frame.

Between the inner region's edge and the mask's pixels are input of the network and part of its answer, so that both
versions are at hand. What is fitted there, a gain and an offset for each channel, is applied to the whole answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image

# Output frames before and after a frame whose fits count for it, with their weights: those of a binomial filter.
WEIGHTS = {-2: 1, -1: 4, 0: 6, 1: 4, 2: 1}
REACH = max(WEIGHTS)

# A margin shows little of all the colours there are: no fit may stretch them further than this.
LEAST_GAIN, MOST_GAIN = 0.8, 1.25

# Variance of noise, in levels squared, that is taken for granted: where a margin has hardly any contrast, the gain
# stays near 1 and the offset alone is fitted.
NOISE = 16.0

# Pixels that are off by more than so many times the median, and a few levels, show something else than the frame does,
# such as an edge that has moved.
OUTLYING = 3.0
LEVELS = 2.0


@dataclass(frozen=True, slots=True)
class ColourFit:
    """For B, G and R: ``frame = gain * painted + offset``, in levels."""

    gain: tuple[float, float, float]
    offset: tuple[float, float, float]


def has_margin(kind: ModelKind) -> bool:
    """Whether there are pixels that are both input of the network and part of its answer."""
    return kind.mask[2] * kind.mask[3] < kind.inner * kind.inner


def fit_colours(crop: Image, mouth: Image, kind: ModelKind) -> ColourFit:
    """Fits the colours of the margin, of every second of its pixels.

    For each channel, a line of least squares goes through the pixels whose difference is not far from the median
    difference, and the one that counts through those that are not far from this line. Slopes are drawn toward 1 by
    `NOISE` in both variance and covariance, and kept within `LEAST_GAIN` and `MOST_GAIN`. All sums are of whole
    numbers below 2^53, so the fit is the same everywhere.

    Args:
        crop: ``(kind.crop, kind.crop, 3)`` uint8, the frame's own pixels.
        mouth: ``(kind.inner, kind.inner, 3)`` uint8, what the network made of its inner region.
        kind: gives the inner region and the mask; it must leave a margin.
    """
    inner = slice(kind.border, kind.border + kind.inner)
    wanted, painted = (_margin(picture, kind) for picture in (crop[inner, inner], mouth))
    away = wanted - painted
    gain, offset = _lines(painted, wanted, _near(np.abs(away - _median(away))))
    away = wanted - (gain[:, None] * painted + offset[:, None])
    gain, offset = _lines(painted, wanted, _near(np.abs(away)))
    (b, g, r), (b0, g0, r0) = gain.tolist(), offset.tolist()
    return ColourFit((b, g, r), (b0, g0, r0))


def _margin(picture: Image, kind: ModelKind) -> NDArray[np.float64]:
    """Every second pixel of the inner region outside of the mask, by channel, ``(3, n)``: neighbours say the same."""
    x, y, width, height = kind.mask
    beside = picture[y : y + height]
    parts = picture[:y], picture[y + height :], beside[:, :x], beside[:, x + width :]
    return np.ascontiguousarray(np.concatenate([part.reshape(-1, 3) for part in parts])[::2].T, np.float64)


def _near(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for pixels that are not far off, 0 for the others, by how far each of them is."""
    return (away <= OUTLYING * _median(away) + LEVELS).astype(np.float64)


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower median of each channel, ``(3, 1)``."""
    middle = (values.shape[1] - 1) // 2
    return np.partition(values, middle, axis=1)[:, middle : middle + 1]


def _lines(
    painted: NDArray[np.float64], wanted: NDArray[np.float64], kept: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gains and offsets of the channels, from the pixels for which ``kept`` is 1 and not 0."""
    some = painted * kept
    count, x, y = kept.sum(1), some.sum(1), (wanted * kept).sum(1)
    squares, products = (np.einsum("cn,cn->c", some, values) for values in (painted, wanted))
    variance, covariance = squares / count - (x / count) ** 2, products / count - (x / count) * (y / count)
    gain = np.clip((covariance + NOISE) / (variance + NOISE), LEAST_GAIN, MOST_GAIN)
    return gain, (y - gain * x) / count


def smoothed(fits: Mapping[int, ColourFit], frame: int) -> ColourFit:
    """A frame's fit with those of its neighbours: their mean by `WEIGHTS`.

    Args:
        fits: by output frame; its own is there, those of neighbours that do not exist or are faulty are not.
        frame: the output frame.
    """
    near = [(weight, fits[frame + step]) for step, weight in WEIGHTS.items() if frame + step in fits]
    whole = sum(weight for weight, _ in near)

    def mean(values: list[tuple[float, float, float]]) -> tuple[float, float, float]:
        b, g, r = (
            sum(weight * value[channel] for (weight, _), value in zip(near, values, strict=True)) / whole
            for channel in range(3)
        )
        return b, g, r

    return ColourFit(mean([fit.gain for _, fit in near]), mean([fit.offset for _, fit in near]))


def matched(mouth: Image, fit: ColourFit) -> Image:
    """``mouth`` ``(h, w, 3)`` uint8 in the frame's colours: rounded to the nearest level, within 0 and 255."""
    levels = np.arange(256)[:, None] * np.array(fit.gain) + np.array(fit.offset)
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(mouth, table[:, None, :]), np.uint8)
