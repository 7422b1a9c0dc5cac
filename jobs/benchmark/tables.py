"""A report for people: the same tables on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from jobs.benchmark.benchmark_file import Report, long_runs
from jobs.benchmark.matrix import Output, Regime, System
from jobs.benchmark.results import Comparison, Result, Spread, cold_starts, compare, group, summarise
from jobs.console import say, show

MIB = 1 << 20
Column = tuple[Regime, Output]
Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts; the first column is left-aligned, the others right-aligned."""

    title: str
    head: tuple[str, ...]
    rows: Rows

    def markdown(self) -> str:
        """For README."""
        lines = [self.head, tuple("---" if i == 0 else "---:" for i in range(len(self.head))), *self.rows]
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
    if found.count == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)}-{number(found.high)})"


def grids(report: Report) -> list[Grid]:
    """All tables for which there is something to show."""
    results = summarise(report.trials)
    comparisons = compare(report.trials, report.device)
    found = [_speed(results), _headline(comparisons), _modes(report), _memory(report), _cold(report)]
    found += [_sweep(report), _long(report)]
    return [grid for grid in found if grid.rows]


def _columns(results: list[Result]) -> list[Column]:
    """Regimes and formats in which somebody writes something; the formats that nobody writes only if all are so."""
    every = dict.fromkeys((result.regime, result.format) for result in results)
    return [column for column in every if column[1] is not Output.NONE] or list(every)


def _by_system(columns: list[Column], systems: list[System], cell: Callable[[System, Column], str]) -> Rows:
    return tuple((system.label, *(cell(system, column) for column in columns)) for system in systems)


def _speed(results: list[Result]) -> Grid:
    columns = _columns(results)
    table = {(result.system, result.regime, result.format): result for result in results}

    def cell(system: System, column: Column) -> str:
        regime, output = column
        result = table.get((system, regime, Output.NONE if system.silent else output))
        if result is None:
            return ""
        return ranged(result.fps) if result.fps else "no figure"

    systems = [system for system in System if any(result.system is system for result in results)]
    head = ("median (lowest-highest)", *(" ".join(column) for column in columns))
    return Grid("Frames per second", head, _by_system(columns, systems, cell))


def _headline(comparisons: list[Comparison]) -> Grid:
    columns = list(dict.fromkeys((found.regime, found.format) for found in comparisons))
    table = {(found.over, found.regime, found.format): found for found in comparisons}

    def cell(system: System, column: Column) -> str:
        found = table.get((system, *column))
        if found is None:
            return ""
        goal = "" if found.goal is None else f" (goal {found.goal:g}: {'met' if found.met else 'missed'})"
        return f"{found.ratio.ratio:.2f}{goal}"

    systems = [system for system in System if any(found.over is system for found in comparisons)]
    head = ("Mouthpiece over", *(" ".join(column) for column in columns))
    return Grid("How many times as fast", head, _by_system(columns, systems, cell))


def _memory(report: Report) -> Grid:
    rows = tuple(
        (
            cell.system.label,
            " ".join(part for part in (cell.regime, cell.output) if part != Output.NONE),
            *(f"{value / MIB:,.0f}" for value in (memory.pss, memory.shared, memory.private)),
            str(len(memory.processes)),
        )
        for cell, memory in report.memory.items()
    )
    title = "Peak memory, MiB: all processes (PSS), shared memory in it, the largest process alone"
    return Grid(title, ("system", "run", "all", "shared", "largest", "processes"), rows)


def _cold(report: Report) -> Grid:
    starts = cold_starts(report.trials)
    stores = {
        (regime, output): max(trial.cache_bytes for trial in some)
        for (regime, output, system), some in group(report.trials).items()
        if system is System.OURS
    }
    parts = [name for name in (starts[0] if starts else {}) if name not in {"regime", "format"}]
    rows = [(name.removesuffix("_s"), *(f"{start[name]:.2f} s" for start in starts)) for name in parts]
    if starts:
        held = (stores[start["regime"], start["format"]] for start in starts)
        rows.append(("object store", *(f"{size / MIB:,.0f} MiB" for size in held)))
    return Grid(
        "Start-up of Mouthpiece", ("", *(f"{start['regime']} {start['format']}" for start in starts)), tuple(rows)
    )


def _sweep(report: Report) -> Grid:
    batches = sorted({trial.batch for trial in report.workers_batch})
    table = {(trial.system, trial.regime, trial.workers, trial.batch): trial for trial in report.workers_batch}
    rows = []
    for system, regime, workers in dict.fromkeys(key[:3] for key in table):
        found = [table.get((system, regime, workers, batch)) for batch in batches]
        rates = [number(trial.fps) if trial and trial.fps else "" for trial in found]
        rows.append((f"{system.label}, {regime}, workers {workers}", *rates))
    head = ("fps_steady, jpg", *(f"batch {batch}" for batch in batches))
    return Grid("Workers and batch", head, tuple(rows))


def _long(report: Report) -> Grid:
    rows = tuple(
        (
            f"{run['frames']:,}",
            ranged(Spread(**run["fps"])) if run["fps"] else "",
            f"{run['worker_private'] / MIB:,.0f}",
            f"{run['pss'] / MIB:,.0f}",
        )
        for run in long_runs(report.long_run)
    )
    return Grid("Length of the run", ("frames", "fps_steady", "largest worker, MiB", "all (PSS), MiB"), rows)


def _modes(report: Report) -> Grid:
    rows = tuple(
        (
            cost.mode,
            number(cost.inference_ms),
            number(cost.composite_ms),
            f"{number(cost.total_ms)} ({number(cost.low_ms)}-{number(cost.high_ms)})",
            f"{cost.seam:.2f} ({cost.seam_worst:.2f})",
        )
        for cost in report.modes
    )
    head = ("light network, jpg", "network", "composite", "all stages", "seam, median (worst)")
    return Grid("Blending: ms per frame of one worker, and how visible the edges are", head, rows)


def caption(report: Report) -> list[str]:
    """Where the figures come from, and what is wrong with them, one line each."""
    machine, clip = report.machine, report.clip
    software = {name: machine.versions.get(name) for name in ("python", "ray", "onnxruntime-gpu", "onnxruntime")}
    named = ", ".join(f"{name} {version}" for name, version in software.items() if version)
    lines = [f"`{report.command}`, {report.date}, on {machine.line}; device {report.device}; {named}."]
    lines[0] += f" It took {report.took_s / 60:.1f} minutes."
    if clip:
        size = f"{clip['width']}x{clip['height']}"
        lines.append(f"Clip: {clip['name']}, {clip['backgrounds']} backgrounds of {size}.")
    for regime, network in report.networks.items():
        ahead = [trial.frames for trial in report.trials if trial.faces and trial.regime is regime]
        often = min(ahead, default=0) / max(1, clip.get("backgrounds", 1))
        told = f" Mouthpiece ran its face encoder once per background; each was shown {often:.1f} times or more."
        lines.append(f"{regime}: {network['name']}, {network['precision']}.{told if ahead else ''}")
    lines += [f"No figure for {fault}." for fault in report.faults]
    if not report.complete:
        lines.append("Interrupted: not everything that was planned is in these tables.")
    if not report.memory:
        lines.append("Memory is left out: this system does not tell proportional set sizes.")
    return lines


def markdown(report: Report) -> str:
    """The content of benchmark.md."""
    return "\n\n".join(["\n".join(caption(report)), *(grid.markdown() for grid in grids(report))]) + "\n"


def print_report(report: Report, console: Console) -> None:
    """Prints everything."""
    for grid in grids(report):
        show(console, grid.rich())
    for line in caption(report):
        say(console, line)
