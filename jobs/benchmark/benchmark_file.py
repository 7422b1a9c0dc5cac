"""Everything a benchmark found out, and how it is laid out in benchmark.json; the keys are in the package's text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from jobs.benchmark.machine import Machine
from jobs.benchmark.matrix import BenchmarkDevice, Cell, Regime, System
from jobs.benchmark.measurement import Answer, Measurement
from jobs.benchmark.memory import Memory
from jobs.benchmark.modes import ModeCost
from jobs.benchmark.results import cold_starts, compare, comparison_record, group, spread, summarise
from jobs.benchmark.settings import Setting

# Format of benchmark.json; raised when a key changes its meaning.
VERSION = 2


@dataclass(slots=True)
class Report:
    """What is known so far.

    Attributes:
        date: UTC date, ISO 8601.
        command: the command without paths.
        machine: where.
        device: on what.
        seconds: how long each trial was meant to render.
        clip: name, backgrounds, width and height.
        networks: name, kind, batch and precision by regime.
        sweep: trials by which settings were found.
        settings: what each system of each regime took part with.
        trials: the counted trials.
        memory: the largest seen by system, regime and format.
        workers_batch: trials of the sweep over workers and batch.
        long_run: trials of short and long runs.
        modes: what ways to lay a patch on its frame cost.
        modes_fault: why that is not known, or empty.
        complete: whether all that was planned was done.
        took_s: how long the benchmark has taken so far, seconds.
    """

    date: str
    command: str
    machine: Machine
    device: BenchmarkDevice
    seconds: float
    clip: dict[str, Any] = field(default_factory=dict)
    networks: dict[Regime, dict[str, Any]] = field(default_factory=dict)
    sweep: list[Measurement] = field(default_factory=list)
    settings: dict[tuple[Regime, System], Setting] = field(default_factory=dict)
    trials: list[Measurement] = field(default_factory=list)
    memory: dict[Cell, Memory] = field(default_factory=dict)
    workers_batch: list[Measurement] = field(default_factory=list)
    long_run: list[Measurement] = field(default_factory=list)
    modes: list[ModeCost] = field(default_factory=list)
    modes_fault: str = ""
    complete: bool = False
    took_s: float = 0.0

    def remember(self, cell: Cell, answer: Answer) -> None:
        """Keeps what a system held, if it is more than it held before."""
        before = self.memory.get(cell)
        if answer.memory is not None and (before is None or answer.memory.pss > before.pss):
            self.memory[cell] = answer.memory

    @property
    def faults(self) -> list[str]:
        """What has no figure, one line each."""
        failed = [
            f"{result.system} ({result.regime}, {result.format}): {result.fault}"
            for result in summarise(self.trials)
            if result.fault
        ]
        further = [
            f"{trial.system} ({trial.regime}, workers {trial.workers}, batch {trial.batch}, {trial.frames} frames):"
            f" {trial.fault}"
            for trial in (*self.workers_batch, *self.long_run)
            if trial.fault
        ]
        modes = [f"modes of blending: {self.modes_fault}"] if self.modes_fault else []
        return list(dict.fromkeys([*failed, *further, *modes]))

    def as_record(self) -> dict[str, Any]:
        """The content of benchmark.json."""
        return {
            "version": VERSION,
            "complete": self.complete,
            "date": self.date,
            "took_s": self.took_s,
            "command": self.command,
            "machine": self.machine.as_record(),
            "clip": self.clip,
            "networks": dict(self.networks),
            "device": self.device,
            "seconds": self.seconds,
            "sweep": [_swept(trial) for trial in self.sweep],
            "settings": [
                {"regime": regime, "system": system, **asdict(setting)}
                for (regime, system), setting in self.settings.items()
            ],
            "results": [asdict(result) for result in summarise(self.trials)],
            "headline": [comparison_record(comparison) for comparison in compare(self.trials, self.device)],
            "memory": [
                {"regime": cell.regime, "format": cell.output, "system": cell.system, **asdict(memory)}
                for cell, memory in self.memory.items()
            ],
            "object_store": [
                {"regime": regime, "format": output, "bytes": max(trial.cache_bytes for trial in some)}
                for (regime, output, system), some in group(self.trials).items()
                if system is System.OURS
            ],
            "cold_start": cold_starts(self.trials),
            "workers_batch": [_swept(trial) for trial in self.workers_batch],
            "long_run": long_runs(self.long_run),
            "modes": [asdict(cost) for cost in self.modes],
            "trials": [asdict(trial) for trial in self.trials],
        }


def _swept(trial: Measurement) -> dict[str, Any]:
    kept = ("regime", "system", "format", "workers", "threads", "batch", "precision", "frames", "fps", "fault")
    return {name: getattr(trial, name) for name in kept}


def long_runs(trials: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Rate and memory by length of the run, over the repeats; no rate, as for systems, where one of them failed."""
    lengths: dict[int, list[Measurement]] = {}
    for trial in trials:
        lengths.setdefault(trial.frames, []).append(trial)
    return [
        {
            "frames": frames,
            "fps": _rate(some),
            "worker_private": max(trial.worker_private for trial in some),
            "pss": max(trial.pss for trial in some),
            "fault": next((trial.fault for trial in some if trial.fault), ""),
        }
        for frames, some in sorted(lengths.items())
    ]


def _rate(trials: Sequence[Measurement]) -> dict[str, Any] | None:
    rates = [trial.fps for trial in trials if trial.fps is not None]
    return asdict(spread(rates)) if len(rates) == len(trials) else None


def to_table(trials: Iterable[Measurement]) -> pa.Table:
    """Trials as an Arrow table: one row each, parts of the cold start as columns of their own."""
    rows = []
    for trial in trials:
        row = asdict(trial)
        row |= {f"cold_{name}": seconds for name, seconds in row.pop("cold").items()}
        rows.append({name: str(value) if isinstance(value, str) else value for name, value in row.items()})
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})
