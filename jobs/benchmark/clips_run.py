"""Many clips in one command beside one clip of as many frames and a loop of commands, interleaved, frames compared."""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from actors.files.run_folder import RunFolder
from jobs.benchmark.clip_rows import Rows
from jobs.benchmark.emptied_folder import emptied
from jobs.benchmark.many_clips import ClipsTrial, Run, looped, runs_of
from jobs.benchmark.matrix import Regime
from jobs.benchmark.subprocesses import run_process
from jobs.benchmark.worked_time import Span, gaps_ms, read_spans, rendering_seconds
from jobs.console import say

# A frame may take so long before a command counts as hung.
MOST_SECONDS_A_FRAME = 1.0


@dataclass
class ClipsRun:
    """Measures the batches of one network.

    Attributes:
        regime: which network.
        rows: what is rendered.
        repeats: of each run.
        scratch: an existing folder for what the commands write.
        limit: seconds that a command of no frames may take.
        console: each trial is told there.
    """

    regime: Regime
    rows: Rows
    repeats: int
    scratch: Path
    limit: float
    console: Console
    # Frame files that `composite` gave for single rows: names, and digests of their contents.
    _alone: dict[tuple[Run, int], dict[str, str]] = field(default_factory=dict)
    # Seconds that each of its commands took to start, and Ray with it: a batch starts in the same way.
    _starts: list[float] = field(default_factory=list)

    def trials(self) -> Iterator[ClipsTrial]:
        """Every trial, when it is done; what is run rotates, so that nothing always comes first."""
        runs = runs_of(self.regime, recordings=self.rows.recordings)
        for run in runs:
            if run.is_batch:
                yield from self._reference(run)
        for repeat in range(self.repeats):
            start = len(runs) * repeat // self.repeats
            for run in (*runs[start:], *runs[:start]):
                with emptied(self.scratch / f"{self.regime}-{run}-{repeat}") as out:
                    out.mkdir()
                    trial = self._trial(run, repeat, out)
                outcome = trial.fault or f"{trial.frames} frames, {trial.rendering_s:.2f} of {trial.command_s:.2f} s"
                say(self.console, f"{self.regime}, {run.label}, repeat {repeat + 1} of {self.repeats}: {outcome}")
                yield trial

    def _reference(self, run: Run) -> Iterator[ClipsTrial]:
        """Has the last row of a batch rendered alone; gives a trial only where that failed."""
        row = self.rows.count - 1
        with emptied(self.scratch / f"{self.regime}-{run}-alone") as out:
            out.mkdir()
            fault = self._alone_fault(run, row, out)
        if fault:
            yield ClipsTrial(self.regime, run, 0, self.rows.count, fault=f"row {row} alone {fault}")

    def _alone_fault(self, run: Run, row: int, out: Path) -> str:
        """Renders a row alone and keeps its frames; why that failed, or empty."""
        folder = out / self.rows.id(row)
        fault = self._start(self.rows.row_command(run, row, folder), out, self.rows.frames)
        if not fault:
            self._starts.append(start_seconds(folder))
            found = frame_files(folder)
            wanted = self._alone.setdefault((run, row), found)
            fault = "gave other frames than before" if found != wanted else ""
        return fault

    def _trial(self, run: Run, repeat: int, out: Path) -> ClipsTrial:
        count, frames = self.rows.count, self.rows.count * self.rows.frames
        trial = ClipsTrial(self.regime, run, repeat, count, frames)
        if run is Run.LOOP:
            return self._loop(trial, out)
        if run.is_batch:
            folders = {self.rows.id(row): out / "batch" / self.rows.id(row) for row in range(count)}
            command = self.rows.batch_command(run, out / "batch")
        else:
            folders = {"one": out / "one"}
            command = self.rows.one_command(run, out / "one")
        began = time.perf_counter()
        fault = self._start(command, out, frames)
        taken = time.perf_counter() - began
        if fault:
            return replace(trial, command_s=taken, fault=fault)
        try:
            spans = [span for clip, folder in folders.items() for span in read_spans(clip, folder)]
            self._starts += [] if run.is_batch else [start_seconds(out / "one")]
            fault = self.wrong_frames(run, out / "batch") if run.is_batch else ""
        except (OSError, ValueError, KeyError, TypeError) as error:
            return replace(trial, command_s=taken, fault=f"left nothing that can be read ({type(error).__name__})")
        fault = fault or missing(spans, frames)
        return replace(timed(trial, spans), command_s=taken, start_s=statistics.median(self._starts), fault=fault)

    def _loop(self, trial: ClipsTrial, out: Path) -> ClipsTrial:
        """Renders the first rows, each by a command of its own."""
        rows = looped(self.rows.count)
        seconds, spent = 0.0, 0.0
        for row in range(rows):
            began = time.perf_counter()
            fault = self._alone_fault(Run.FEATURES, row, out)
            spent += time.perf_counter() - began
            if fault:
                return replace(trial, rows=rows, fault=f"row {row} {fault}")
            seconds += rendering_seconds(read_spans(str(row), out / self.rows.id(row)))
        return replace(trial, rows=rows, frames=rows * self.rows.frames, rendering_s=seconds, command_s=spent)

    def wrong_frames(self, run: Run, batch: Path) -> str:
        """Compares the frames of every row that was rendered alone, byte for byte; what differs, or empty."""
        for (what, row), wanted in self._alone.items():
            if what is run and frame_files(batch / self.rows.id(row)) != wanted:
                return f"row {row} has other frames than a run of its own"
        return ""

    def _start(self, command: list[str], folder: Path, frames: int) -> str:
        return run_process(command, folder, self.limit + frames * MOST_SECONDS_A_FRAME).fault


def timed(trial: ClipsTrial, spans: list[Span]) -> ClipsTrial:
    """The trial with what the spans of all clips say; at least one span."""
    gaps = gaps_ms(spans)
    return replace(trial, rendering_s=rendering_seconds(spans), gap_ms=statistics.median(gaps) if gaps else None)


def missing(spans: list[Span], frames: int) -> str:
    """Says how many frames are missing, or nothing."""
    there = sum(span.frames for span in spans)
    return "" if there == frames else f"rendered {there} of {frames} frames"


def frame_files(run: Path) -> dict[str, str]:
    """Digests of a run's frame files by their names."""
    frames = Path(str(RunFolder.at(run).frames))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in frames.iterdir()}


def start_seconds(run: Path) -> float:
    """How long a run's command took to start, and Ray with it."""
    cold = json.loads(Path(str(RunFolder.at(run).record)).read_text(encoding="utf-8"))["totals"]["cold"]
    return float(cold["import_s"]) + float(cold["ray_s"])
