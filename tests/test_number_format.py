"""Numbers, durations and sizes read well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.number_format import number, seconds, size


@pytest.mark.parametrize(
    ("formatted", "value", "text"),
    [
        (number, 0.0, "0"),
        (number, 0.8596, "0.860"),
        (number, 7.639, "7.64"),
        (number, 23.53, "23.5"),
        (number, 766.1, "766"),
        (number, 12500.4, "12,500"),
        (seconds, 0.339, "0.34 s"),
        (seconds, 9.999, "10.0 s"),
        (seconds, 19.64, "19.6 s"),
        (seconds, 59.99, "1 min 00 s"),
        (seconds, 203.4, "3 min 23 s"),
        (seconds, 3599.9, "1 h 00 min"),
        (seconds, 7530.0, "2 h 05 min"),
        (size, 512, "512 B"),
        (size, 430_080, "420 KiB"),
        (size, 385_944_000, "368 MiB"),
        (size, 7 << 30, "7.00 GiB"),
        (size, 9 << 50, "9,437,184 GiB"),
    ],
)
def test_numbers_read_well(formatted: Callable[[float], str], value: float, text: str) -> None:
    assert formatted(value) == text
