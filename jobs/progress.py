"""Progress while a run goes on: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS = 5.0


class Meter(Protocol):
    """Shows how far a run is."""

    def update(self, done: int, note: str) -> None:
        """Frames accounted for so far, and what is going on."""


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._began = progress, task, 0.0

    def update(self, done: int, note: str) -> None:
        now = time.monotonic()
        self._began = self._began or (now if done else 0.0)
        fps = done / (now - self._began) if self._began and now > self._began else 0.0
        self._progress.update(self._task, completed=done, fps=fps, note=note)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._began = self._last = time.monotonic()
        self._first_done = 0.0

    def update(self, done: int, note: str) -> None:
        now = time.monotonic()
        self._first_done = self._first_done or (now if done else 0.0)
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        elapsed = now - self._first_done if self._first_done else 0.0
        fps = done / elapsed if elapsed else 0.0
        left = f", {(self._total - done) / fps:.0f} s left" if fps else ""
        self._console.print(
            f"{done}/{self._total} frames, {fps:.1f} fps{left}, {note}", highlight=False, soft_wrap=True
        )


@contextmanager
def meter(console: Console, total: int) -> Iterator[Meter]:
    """A meter for ``total`` frames, fit for the console."""
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, progress.add_task("", total=total, fps=0.0, note=""))
