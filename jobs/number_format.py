"""Numbers as people read them."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Three significant digits, and never an exponent: 0.86, 7.64, 23.5, 766, 12,500."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"


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
