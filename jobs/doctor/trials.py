"""The trials of one process, by step: what it is started for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from actors.core.choices import Device
from actors.core.errors import error_text
from jobs.doctor import device_trials, render_trials
from jobs.doctor.rig import Rig
from jobs.doctor.steps import Figures
from jobs.doctor.trial_process import TrialSpec


def _number(name: str) -> int:
    return int(name.partition(" ")[0])


# By step and trial; of a step without names of trials all go one way.
TRIALS: dict[str, Callable[[Rig, str], Figures]] = {
    "material": lambda rig, _: rig.make(),
    "copies and files/copies": lambda rig, _: device_trials.copies(rig),
    "copies and files/disk": lambda rig, _: device_trials.disk(rig.out),
    "copies and files/shared memory": lambda *_: device_trials.disk(Path("/dev/shm")),  # noqa: S108 - emptied again
    "session/fp32": lambda rig, _: device_trials.session_against_cpu(rig),
    "session/without cuDNN": lambda rig, _: device_trials.session_error(rig),
    "half precision": lambda rig, _: device_trials.half_precision(rig),
    "options": device_trials.option,
    "nodes": lambda rig, _: device_trials.node_times(rig),
    "processes": lambda rig, name: render_trials.processes(rig, _number(name)),
    "compositor": lambda rig, name: render_trials.worker(rig, _number(name)),
    "composite": render_trials.run,
    "memory and driver/memory": lambda rig, _: render_trials.memory(rig),
    "memory and driver/driver": lambda rig, _: render_trials.driver(rig),
    "benchmark": lambda rig, _: render_trials.benchmark_row(rig),
}


def _rounded(value: object) -> object:
    """A figure as far as it means anything."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """``... SPEC``: runs the trials, each with a line of JSON on standard output as soon as it is done."""
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run_all(TrialSpec(**told), Path(sys.argv[1]).parent, _say)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_all(spec: TrialSpec, scratch: Path, say: Callable[[str], None]) -> None:
    """Runs the trials of a specification in this process; one that fails does not keep the others from running."""
    for number, name in enumerate(spec.trials):
        began = time.perf_counter()
        folder = scratch / str(number)
        folder.mkdir()
        rig = Rig(
            scratch=folder,
            made=Path(spec.made),
            out=Path(spec.out),
            device=Device(spec.device),
            clip=spec.clip,
            model=spec.model,
            seconds=spec.seconds,
            limit=spec.limit,
            earlier=spec.earlier,
        )
        try:
            run = TRIALS.get(f"{spec.step}/{name}") or TRIALS[spec.step]
            figures = {**run(rig, name), "seconds": time.perf_counter() - began}
            line = json.dumps({"trial": name} | {figure: _rounded(value) for figure, value in figures.items()})
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the trial's outcome
            line = json.dumps({"trial": name, "fault": f"{type(error).__name__}: {error_text(error, 400)}"})
        say(line)
