"""What a driver takes while clips come and go: its memory, and the processor time of its own thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psutil

# Memory is settled once so many clips are done; what is held more at the end grows with their number.
SETTLED = 100


@dataclass(slots=True)
class DriverUse:
    """Fed once in a while by the driver's own thread.

    Attributes:
        seconds: since the first look.
        thread_s: processor time of that thread since the first look.
        process_s: of all of the process's threads.
        clips: done so far.
        settled: bytes that the process held when `SETTLED` clips were done; 0 before.
        most: the most it has held at any look.
    """

    seconds: float = 0.0
    thread_s: float = 0.0
    process_s: float = 0.0
    clips: int = 0
    settled: int = 0
    most: int = 0
    _began: tuple[float, float, float] | None = None
    _process: psutil.Process = field(default_factory=psutil.Process)

    def look(self, clips: int) -> None:
        """Counts from the first call on.

        Args:
            clips: how many are done.
        """
        now = time.perf_counter(), time.thread_time(), time.process_time()
        if self._began is None:
            self._began = now
        self.seconds, self.thread_s, self.process_s = (at - began for at, began in zip(now, self._began, strict=True))
        self.clips = clips
        held = self._process.memory_info().rss
        self.most = max(self.most, held)
        if clips >= SETTLED and not self.settled:
            self.settled = held

    @property
    def clip_ms(self) -> float:
        """Milliseconds of the own thread per clip; at least one is done."""
        return self.thread_s * 1e3 / self.clips

    @property
    def others_ms(self) -> float:
        """The same of the process's other threads."""
        return (self.process_s - self.thread_s) * 1e3 / self.clips

    @property
    def grown(self) -> int:
        """Bytes held more at any time since `SETTLED` clips were done; 0 where so many never were."""
        return self.most - self.settled if self.settled else 0
