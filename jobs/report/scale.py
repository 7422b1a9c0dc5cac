"""Numbers as people read them, and axes that end on round ones."""

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


def number(value: float) -> str:
    """Three significant digits, and never an exponent: 0.86, 7.64, 23.5, 766, 12,500."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"


def tick(value: float) -> str:
    """A round value without needless digits."""
    return f"{round(value, 9):,g}" if abs(value) < 1e5 else f"{value:,.0f}"


def seconds(value: float) -> str:
    """A duration: 0.34 s, 19.6 s, 3 min 20 s, 2 h 05 min."""
    if value < 59.95:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes: 512 B, 420 KiB, 368 MiB, 6.55 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1000 or unit == "GiB":
            break
        count /= 1024
    return f"{number(count)} {unit}"
