"""How many examples Hypothesis tries: all in `make test-long`, fewer of each test in `make test` and `make check`."""

from __future__ import annotations

from hypothesis import settings

# What a test tries that asks for no number of its own.
ALL, MANY, FEW = 100, 60, 20


def examples(count: int) -> int:
    """Of a test that tries ``count`` in `make test-long`, those of the profile that is loaded."""
    return max(1, count * settings().max_examples // ALL)
