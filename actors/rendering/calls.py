"""Calls of one worker that overlap: their order, and what each of them costs of the worker's time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock


@dataclass(slots=True)
class Call:
    """One of them.

    Attributes:
        order: its place among all calls; a smaller one goes first.
        seconds: its part of the worker's time, once it has ended.
    """

    order: int
    seconds: float = 0.0


class Calls:
    """The calls of one worker.

    Time in which several are in progress belongs to each of them in equal parts, so that the parts of all calls add up
    to the time in which the worker was at work, and a call that is alone has all of its time.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = Lock()
        self._orders = itertools.count()
        self._running = 0
        # What one that had been in progress all along would have got by the last change.
        self._part = 0.0
        self._changed = clock()

    @contextmanager
    def one(self) -> Iterator[Call]:
        """A call, from here to the end of the block."""
        with self._lock:
            began = self._advance()
            call = Call(next(self._orders))
            self._running += 1
        try:
            yield call
        finally:
            with self._lock:
                call.seconds = self._advance() - began
                self._running -= 1

    def _advance(self) -> float:
        now = self._clock()
        self._part += (now - self._changed) / max(1, self._running)
        self._changed = now
        return self._part
