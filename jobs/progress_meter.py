"""Progress while a run goes on: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from jobs.console import say

LINE_SECONDS = 5.0


class Meter(Protocol):
    """Shows how far a run is."""

    def update(self, done: int, note: str) -> None:
        """Frames accounted for so far, and what is going on."""


class _Rate:
    """Frames per second since the first report of finished frames, those first ones not counted."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._first = 0

    def fps(self, done: int) -> float:
        now = time.monotonic()
        if self._began is None:
            if done:
                self._began, self._first = now, done
            return 0.0
        return (done - self._first) / max(now - self._began, 1e-9)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._rate = progress, task, _Rate()

    def update(self, done: int, note: str) -> None:
        self._progress.update(self._task, completed=done, fps=self._rate.fps(done), note=note)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._rate = console, total, _Rate()
        self._last = time.monotonic()

    def update(self, done: int, note: str) -> None:
        now = time.monotonic()
        fps = self._rate.fps(done)
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        left = f", {(self._total - done) / fps:.0f} s left" if fps else ""
        say(self._console, f"{done}/{self._total} frames, {fps:.1f} fps{left}, {note}")


@contextmanager
def meter(console: Console, total: int, doing: str = "rendering") -> Iterator[Meter]:
    """A meter for ``total`` frames, fit for the console; ``doing`` says what is done to them."""
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, progress.add_task("", total=total, fps=0.0, note=""))
