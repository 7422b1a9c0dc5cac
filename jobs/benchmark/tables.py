"""A report for people: the same tables on the terminal and in Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from actors.files import storage
from jobs.benchmark.benchmark_file import Report
from jobs.benchmark.many_clips import Run, compare_clips, looped
from jobs.benchmark.matrix import Cell, Output, System
from jobs.benchmark.measurement import Measurement
from jobs.benchmark.memory import Memory
from jobs.benchmark.results import Spread, compare, group, rates, summarise
from jobs.console import say, show

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts; the first column is left-aligned, the others right-aligned."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """As Markdown."""
        lines = [self.head, ("---", *["---:"] * (len(self.head) - 1)), *self.rows]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def rich(self) -> Table:
        """For the terminal."""
        table = Table(title=self.title, title_justify="left")
        for i, name in enumerate(self.head):
            table.add_column(name, justify="right" if i else "left", no_wrap=i == 0)
        for row in self.rows:
            table.add_row(*row)
        return table


def number(value: float) -> str:
    """Three figures that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ranged(found: Spread) -> str:
    """A median with its spread, where there is one."""
    around = f" ({number(found.low)}-{number(found.high)})" if found.count > 1 else ""
    return f"{number(found.median)}{around}"


def mebibytes(*sizes: int) -> tuple[str, ...]:
    """Bytes as whole MiB."""
    return tuple(f"{size / MIB:,.0f}" for size in sizes)


def grids(report: Report) -> list[Grid]:
    """All tables for which there is something to show."""
    found = [_speed(report), _headline(report), _modes(report), _memory(report), _cold(report)]
    found += [_workers_batch(report), _long(report), _many_clips(report)]
    return [grid for grid in found if grid.rows]


def _by_system(title: str, corner: str, texts: dict[Cell, str]) -> Grid:
    """A row for each system, a column for each regime and format; what is of no format stands in all of them."""
    every = list(dict.fromkeys((cell.regime, cell.format) for cell in texts))
    columns = [column for column in every if column[1] is not Output.NONE] or every

    def row(system: System) -> tuple[str, ...]:
        own = [(Cell(*column, system), Cell(column[0], Output.NONE, system)) for column in columns]
        return (system.label, *(texts.get(cell) or texts.get(for_all, "") for cell, for_all in own))

    systems = {cell.system for cell in texts}
    return Grid(title, (corner, *map(" ".join, columns)), [row(system) for system in System if system in systems])


def _speed(report: Report) -> Grid:
    texts = {result.cell: ranged(result.fps) if result.fps else "no figure" for result in summarise(report.trials)}
    return _by_system("Frames per second", "median (lowest-highest)", texts)


def _headline(report: Report) -> Grid:
    texts = {}
    for one in compare(report.trials, report.device):
        goal = "" if one.goal is None else f" (goal {one.goal:g}: {'met' if one.met else 'missed'})"
        texts[Cell(one.cell.regime, one.cell.format, one.over)] = f"{one.ratio:.2f}{goal}"
    return _by_system("How many times as fast", "Mouthpiece over", texts)


def _memories(trials: list[Measurement]) -> list[Memory]:
    return [trial.answer.memory for trial in trials if trial.answer.memory]


def _memory(report: Report) -> Grid:
    rows = []
    for cell, trials in group(report.trials).items():
        run = " ".join((cell.regime, *(() if cell.system.silent else (cell.format,))))
        if memory := max(_memories(trials), key=lambda one: one.pss, default=None):
            sizes = mebibytes(memory.pss, memory.shared, memory.private)
            rows.append((cell.system.label, run, *sizes, str(memory.processes)))
    title = "Peak memory, MiB: all processes (PSS), shared memory in it, the largest process alone"
    return Grid(title, ("system", "run", "all", "shared", "largest", "processes"), rows)


def _cold(report: Report) -> Grid:
    """Medians of the parts of ours' start-up, over the trials that went well."""
    ours = group(trial for trial in report.trials if trial.task.cell.system is System.OURS and not trial.fault)
    starts = {f"{cell.regime} {cell.format}": [trial.answer for trial in some] for cell, some in ours.items()}
    rows = []
    for name in dict.fromkeys(name for some in starts.values() for answer in some for name in answer.cold):
        medians = (statistics.median(answer.cold.get(name, 0.0) for answer in some) for some in starts.values())
        rows.append((name.removesuffix("_s"), *(f"{seconds:.2f} s" for seconds in medians)))
    held = (max(answer.cache_bytes for answer in some) / MIB for some in starts.values())
    rows.append(("object store", *(f"{size:,.0f} MiB" for size in held)))
    return Grid("Start-up of Mouthpiece", ("", *starts), rows if starts else [])


def _workers_batch(report: Report) -> Grid:
    tried = [(trial.task.cell, trial.task.setting, trial.fps or 0) for trial in report.workers_batch]
    rate = {(cell, setting.workers, setting.batch): fps for cell, setting, fps in tried}
    batches = sorted({batch for *_, batch in rate})
    rows = []
    for cell, workers in dict.fromkeys((cell, workers) for cell, workers, _ in rate):
        rates = [rate.get((cell, workers, batch)) for batch in batches]
        name = f"{cell.system.label}, {cell.regime}, workers {workers}"
        rows.append((name, *(number(one) if one else "" for one in rates)))
    return Grid("Workers and batch", ("fps, jpg", *(f"batch {batch}" for batch in batches)), rows)


def _long(report: Report) -> Grid:
    rows = []
    for frames in sorted({trial.task.frames for trial in report.long_run}):
        some = [trial for trial in report.long_run if trial.task.frames == frames]
        seen = _memories(some) or [Memory()]
        sizes = mebibytes(max(memory.worker for memory in seen), max(memory.pss for memory in seen))
        found = rates(some)
        rows.append((f"{frames:,}", ranged(found) if found else "", *sizes))
    return Grid("Length of the run", ("frames", "fps", "largest worker, MiB", "all (PSS), MiB"), rows)


def _modes(report: Report) -> Grid:
    rows = []
    for cost in report.modes:
        total = f"{number(cost.total_ms)} ({number(cost.low_ms)}-{number(cost.high_ms)})"
        seam = f"{cost.seam:.2f} ({cost.seam_worst:.2f})"
        rows.append((cost.mode, number(cost.inference_ms), number(cost.composite_ms), total, seam))
    head = ("light network, jpg", "network", "composite", "all stages", "seam, median (worst)")
    return Grid("Blending: ms per frame of one worker, and how visible the edges are", head, rows)


def _many_clips(report: Report) -> Grid:
    rows = []
    for one in compare_clips(report.many_clips):
        met = "met" if one.met else "missed"
        if one.over is None or one.other is None or one.ratio is None:
            rows.append(
                (f"{one.regime}: ms between two clips", ranged(one.figure), "", f"(goal below {one.goal:g}: {met})")
            )
            continue
        unit = "s a clip" if one.over is Run.LOOP else "fps"
        goal = "" if one.goal is None else f" (goal {one.goal:g}: {met})"
        name = f"{one.regime}, {unit}: {one.run.label} over {one.over.label}"
        rows.append((name, ranged(one.figure), ranged(one.other), f"{one.ratio:.2f}{goal}"))
    count = max((trial.rows for trial in report.many_clips), default=0)
    title = f"{count} clips of 2 s in one command, jpg (the loop: {looped(count)} of them by `composite`)"
    return Grid(title, ("", "batch", "other", "times as fast"), rows)


def caption(report: Report) -> list[str]:
    """Where the figures come from, and what is wrong with them, one line each."""
    machine, clip = report.machine, report.clip
    software = [name for name in ("python", "ray", "onnxruntime-gpu", "onnxruntime") if name in machine.versions]
    named = ", ".join(f"{name} {machine.versions[name]}" for name in software)
    where = f"{machine.cores} cores of {machine.cpu}, {machine.memory_gib:.0f} GiB, {machine.gpu or 'no GPU'}"
    lines = [f"`{report.command}`, {report.date}, on {where}; device {report.device}; {named}."]
    lines[0] += f" It took {report.took_s / 60:.1f} minutes."
    if clip:
        lines.append("Clip: {name}, {backgrounds} backgrounds of {width}x{height}.".format(**clip))
    for regime, network in report.networks.items():
        mine = [trial.answer for trial in report.trials if trial.task.cell.regime is regime]
        often = min((answer.frames for answer in mine if answer.faces), default=0) / max(1, clip.get("backgrounds", 1))
        told = f" Mouthpiece ran its face encoder once per background; each was shown {often:.1f} times or more."
        lines.append(f"{regime}: {network['name']}, {network['precision']}.{told if often else ''}")
    lines += [f"No figure for {fault}." for fault in report.faults]
    if not report.complete:
        lines.append("Interrupted: not everything that was planned is in these tables.")
    if report.trials and not _memories(report.trials):
        lines.append("Memory is left out: this system does not tell proportional set sizes.")
    return lines


def markdown(report: Report) -> str:
    """The content of benchmark.md."""
    return "\n\n".join(["\n".join(caption(report)), *(grid.markdown() for grid in grids(report))]) + "\n"


def write_report(report: Report, out: Path) -> None:
    """Writes ``benchmark.json`` and ``benchmark.md`` into a folder; OSError where one cannot be written."""
    text = json.dumps(report.as_record(), indent=2, ensure_ascii=False)
    storage.write_atomic(str(out / "benchmark.json"), f"{text}\n".encode())
    storage.write_atomic(str(out / "benchmark.md"), markdown(report).encode())


def print_report(report: Report, console: Console) -> None:
    """Prints everything."""
    for grid in grids(report):
        show(console, grid.rich())
    for line in caption(report):
        say(console, line)
