"""Axes that are marked at round values."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale from 0.

    Attributes:
        end: value at its end, above 0.
        ticks: where it is marked, ascending, within [0, end].
    """

    end: float
    ticks: tuple[float, ...]

    def percent(self, value: float) -> float:
        """Where a value lies, in percent of the axis, to a hundredth."""
        return round(min(max(value / self.end, 0.0), 1.0) * 100, 2)


def time_axis(length: float, most: int) -> Axis:
    """An axis that ends with the data, marked at round values."""
    step = round_step(length / most)
    return Axis(length, tuple(i * step for i in range(math.floor(length / step * (1 + 1e-9)) + 1)))


def value_axis(largest: float, most: int) -> Axis:
    """An axis that ends on a round value at or above the largest."""
    largest = largest if largest > 0 else 1.0
    step = round_step(largest / most)
    count = math.ceil(largest / step * (1 - 1e-9))
    return Axis(count * step, tuple(i * step for i in range(count + 1)))


def round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below ``least`` (above 0)."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


def tick(value: float) -> str:
    """A round value without needless digits."""
    return f"{round(value, 9):,g}" if abs(value) < 1e5 else f"{value:,.0f}"
