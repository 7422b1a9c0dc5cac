"""Progress while a batch goes on: a table on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from actors.core.errors import printable
from jobs.console import say
from jobs.number_format import number, seconds
from jobs.progress_meter import LINE_SECONDS
from jobs.run.clip_table import ClipStatus

# Frames per second are those of so many seconds, taken so often.
PACE_SECONDS = 30.0
SAMPLE_SECONDS = 0.5

# A terminal is drawn anew so often, with so many of the open clips.
DRAW_SECONDS = 0.25
MOST_OPEN = 8
LONGEST_NAME = 24

# An open clip: its id, the frames that are accounted for, and all that are asked for.
OpenFrames: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class BatchView:
    """How far a batch is.

    Attributes:
        total: clips.
        counts: clips by state; open ones wait.
        frames: output frames that are there.
        fps: frames per second of late; 0 where that is not known.
        left: seconds until the end; ``None`` where that is not known.
        open: the clips that are being rendered.
        workers_ready: workers that can render.
        workers: workers that are wanted.
        note: what is going on; may be empty.
    """

    total: int
    counts: Mapping[ClipStatus, int]
    frames: int
    fps: float
    left: float | None
    open: Sequence[OpenFrames]
    workers_ready: int
    workers: int
    note: str

    @property
    def ended(self) -> int:
        """Clips that are done, or will not be by this command."""
        return sum(count for state, count in self.counts.items() if state is not ClipStatus.WAITING)


class Pace:
    """Frames per second over the last `PACE_SECONDS`; frames that were there before the first call do not count."""

    def __init__(self) -> None:
        self._seen = deque[tuple[float, int]]()

    def fps(self, now: float, frames: int) -> float:
        """Takes down how many frames there are.

        Args:
            now: seconds, ascending from call to call.
            frames: so far.
        """
        if not self._seen or now - self._seen[-1][0] >= SAMPLE_SECONDS:
            self._seen.append((now, frames))
        # One sample that is old enough stays.
        while len(self._seen) > 1 and now - self._seen[1][0] >= PACE_SECONDS:
            self._seen.popleft()
        began, first = self._seen[0]
        return max(0.0, (frames - first) / (now - began)) if now > began else 0.0


class Lengths:
    """How many frames a clip has on average, by those that have been open."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._clips = 0
        self._frames = 0

    def mean(self, clips: Sequence[OpenFrames]) -> float | None:
        """Takes down which clips are open; ``None`` until one has been."""
        self._frames += sum(total for name, _, total in clips if name not in self._open)
        self._clips += sum(name not in self._open for name, _, _ in clips)
        self._open = {name for name, _, _ in clips}
        return self._frames / self._clips if self._clips else None


def seconds_left(waiting: int, clips: Sequence[OpenFrames], length: float | None, fps: float) -> float | None:
    """How long the rest takes at a pace.

    Args:
        waiting: clips that have not ended, the open ones among them.
        clips: that are open.
        length: frames of a clip that is not open yet, as far as known.
        fps: frames per second.
    """
    closed = max(0, waiting - len(clips))
    if fps <= 0 or (length is None and closed):
        return None
    return (sum(total - done for _, done, total in clips) + closed * (length or 0)) / fps


def status_line(view: BatchView) -> str:
    """How far a batch is, in one line."""
    some = [f"{name} {done}/{total}" for name, done, total in view.open[:MOST_OPEN]]
    more = len(view.open) - len(some)
    opened = ", ".join([*some, *([f"{more} more"] if more else [])])
    return ", ".join(filter(None, [*_facts(view), f"open: {opened}" if opened else "", view.note]))


def drawn(view: BatchView) -> RenderableType:
    """How far a batch is, for a terminal: a line and a bar for all clips, and for each that is open."""
    bars = Table.grid(padding=(0, 1), expand=True)
    bars.add_column(no_wrap=True)
    bars.add_column(ratio=1)
    bars.add_column(justify="right", no_wrap=True)
    bars.add_row(Text("all clips", "bold"), _bar(view.ended, view.total), f"{view.ended}/{view.total}")
    for name, done, total in view.open[:MOST_OPEN]:
        shown = printable(name)
        bars.add_row(
            Text(shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"),
            _bar(done, total),
            f"{done}/{total}",
        )
    more = len(view.open) - MOST_OPEN
    lines = [Text(f"{more} more are open", "dim")] if more > 0 else []
    note = [Text(printable(view.note), "dim", no_wrap=True, overflow="ellipsis")] if view.note else []
    return Group(Text(", ".join(_facts(view)), no_wrap=True, overflow="ellipsis"), bars, *lines, *note)


def _bar(done: int, total: int) -> ProgressBar:
    return ProgressBar(total=max(total, 1), completed=done)


def _facts(view: BatchView) -> list[str]:
    """What is said of the whole, most wanted first."""
    failed, stopped = view.counts.get(ClipStatus.FAILED, 0), view.counts.get(ClipStatus.STOPPED, 0)
    return [
        f"clips {view.ended:,}/{view.total:,}",
        *([f"{failed:,} failed"] if failed else []),
        *([f"{stopped:,} stopped"] if stopped else []),
        f"{view.frames:,} frames",
        *([f"{number(view.fps)} fps"] if view.fps else []),
        *([f"{seconds(view.left)} left"] if view.left is not None else []),
        f"{view.workers_ready}/{view.workers} workers",
    ]


class BatchProgress:
    """Tells the person how far a batch is, within its ``with`` block.

    Args:
        console: where.
        total: clips.
        clock: seconds, ascending.
    """

    def __init__(self, console: Console, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._total = total
        self._clock = clock
        self._pace, self._lengths = Pace(), Lengths()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._view: BatchView | None = None
        # A terminal has the first at once, a log after a while.
        self._shown = float("-inf") if self._live else clock()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            if self._view:
                self._live.update(drawn(self._view), refresh=True)
            self._live.stop()

    def update(
        self,
        counts: Counter[ClipStatus],
        done_frames: int,
        open: Sequence[OpenFrames],  # noqa: A002 - the word for it
        workers_ready: int,
        workers: int,
        note: str,
    ) -> None:
        """Says how far the batch is, if it is time to; see `BatchView`."""
        now = self._clock()
        fps, length = self._pace.fps(now, done_frames), self._lengths.mean(open)
        left = seconds_left(counts[ClipStatus.WAITING], open, length, fps)
        self._view = BatchView(self._total, counts, done_frames, fps, left, open, workers_ready, workers, note)
        if now - self._shown < (DRAW_SECONDS if self._live else LINE_SECONDS):
            return
        self._shown = now
        if self._live:
            self._live.update(drawn(self._view), refresh=True)
        else:
            say(self._console, status_line(self._view))

    def failed(self, name: str, error: str) -> None:
        """Says at once that a clip has failed, and why."""
        say(self._console, f"failed: {name}: {error}", style="red")
