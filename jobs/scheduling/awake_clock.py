"""Time that does not count while the driver is away."""

from __future__ import annotations

import time

# The loop comes round several times a second; whatever takes longer than this is the driver's own absence.
LONGEST_STEP = 10.0


class AwakeClock:
    """Seconds in which this process was at work.

    A driver that was stopped, or stuck on storage, finds answers waiting when it comes back: the time in between must
    not count against the workers who gave them.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked = time.perf_counter()

    def now(self) -> float:
        """The time so far; to be asked at least every `LONGEST_STEP` seconds."""
        looked = time.perf_counter()
        self._seconds += min(looked - self._looked, LONGEST_STEP)
        self._looked = looked
        return self._seconds
