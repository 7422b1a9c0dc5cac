"""Everything a benchmark found out, and how it is laid out in benchmark.json; the keys are in the package's text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from actors.core.choices import Device
from jobs.benchmark.machine import Machine
from jobs.benchmark.many_clips import ClipsTrial, compare_clips
from jobs.benchmark.matrix import Regime
from jobs.benchmark.measurement import Measurement
from jobs.benchmark.modes import ModeCost
from jobs.benchmark.results import compare, summarise

# Format of benchmark.json; raised when a key changes its meaning.
VERSION = 3


@dataclass(slots=True)
class Report:
    """What is known so far: keys of benchmark.json; ``modes_fault`` says why there are no modes, if so."""

    date: str
    command: str
    machine: Machine
    device: Device
    seconds: float
    clip: dict[str, Any] = field(default_factory=dict)
    networks: dict[Regime, dict[str, Any]] = field(default_factory=dict)
    sweep: list[Measurement] = field(default_factory=list)
    trials: list[Measurement] = field(default_factory=list)
    workers_batch: list[Measurement] = field(default_factory=list)
    long_run: list[Measurement] = field(default_factory=list)
    modes: list[ModeCost] = field(default_factory=list)
    modes_fault: str = ""
    many_clips: list[ClipsTrial] = field(default_factory=list)
    complete: bool = False
    took_s: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What has no figure, one line each."""
        found = [(result.cell, str(result.cell.format), result.fault) for result in summarise(self.trials)]
        for trial in (*self.workers_batch, *self.long_run):
            one = trial.task.setting
            what = f"workers {one.workers}, batch {one.batch}, {trial.task.frames} frames"
            found.append((trial.task.cell, what, trial.fault))
        lines = [f"{cell.system} ({cell.regime}, {what}): {fault}" for cell, what, fault in found if fault]
        lines += [f"{one.run.label} ({one.regime}): {one.fault}" for one in self.many_clips if one.fault]
        return list(dict.fromkeys(lines + [f"modes of blending: {self.modes_fault}"] * bool(self.modes_fault)))

    def as_record(self) -> dict[str, Any]:
        """The content of benchmark.json."""
        results = [asdict(one) for one in summarise(self.trials)]
        headline = [asdict(one) for one in compare(self.trials, self.device)]
        trials = ("trials", "sweep", "workers_batch", "long_run")
        return {
            "version": VERSION,
            **{name: getattr(self, name) for name in ("complete", "date", "took_s", "command", "clip", "networks")},
            "device": self.device,
            "seconds": self.seconds,
            "machine": asdict(self.machine),
            "results": [one.pop("cell") | one for one in results],
            "headline": [one.pop("cell") | one for one in headline],
            "modes": [asdict(cost) for cost in self.modes],
            "many_clips": [asdict(one) for one in compare_clips(self.many_clips)],
            "clips_trials": [asdict(trial) for trial in self.many_clips],
            **{name: [trial.as_record() for trial in getattr(self, name)] for name in trials},
        }
