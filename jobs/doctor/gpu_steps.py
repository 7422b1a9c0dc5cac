"""Runs the steps on a GPU one after the other, each within its limit, and tells each as soon as it is done."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from actors.core.choices import Device
from actors.core.errors import printable
from actors.files.node_facts import NVIDIA_FOLDERS, runtime_folder
from jobs.console import say, show
from jobs.doctor.steps import (
    ALL_SECONDS,
    BLOCKING,
    LEAST_SECONDS,
    MATERIAL,
    PLAIN,
    ROW,
    STEPS,
    WITHOUT_CUDNN,
    Figures,
    Step,
    Trials,
    Verdict,
)
from jobs.doctor.trial_process import TrialSpec, run_trials

LINES = "doctor.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step.

    Attributes:
        step: which.
        seconds: how long it took.
        trials: figures of its trials.
        fault: why some have none, or empty.
        verdict: what that means.
    """

    step: Step
    seconds: float
    trials: Trials
    fault: str
    verdict: Verdict

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        step = self.step
        told = {"expected": step.expected, "decides": step.decides}
        figures = {"seconds": round(self.seconds, 1), "trials": self.trials, "fault": self.fault}
        return {"step": step.number, "name": step.name, "verdict": self.verdict, **figures, **told}


@dataclass(frozen=True, slots=True)
class StepsPlan:
    """What to measure; see `jobs.doctor.rig.Rig`. ``out`` exists.

    Attributes:
        numbers: of the steps that are wanted.
        patience: how many times its time each step has, for tests on machines that others use.
    """

    out: Path
    clip: str | None
    model: str | None
    seconds: float
    numbers: Sequence[int]
    device: Device = Device.CUDA
    patience: float = 1.0


def run_steps(plan: StepsPlan, console: Console) -> list[Outcome]:
    """Runs the steps; each has a line of JSON on the console and in a file of the folder as soon as it is done."""
    outcomes: list[Outcome] = []
    until = time.perf_counter() + ALL_SECONDS * plan.patience
    wanted = [step for step in (*STEPS, ROW) if step.number in plan.numbers]
    with tempfile.TemporaryDirectory(prefix=".made-", dir=plan.out) as made, (plan.out / LINES).open("a") as file:
        spec = TrialSpec(
            step="",
            trials=(),
            made=made,
            out=str(plan.out),
            device=plan.device.value,
            clip=plan.clip,
            model=plan.model,
            seconds=plan.seconds,
            limit=0.0,
            earlier={},
        )
        for step in (MATERIAL, *wanted):
            limit = step.limit * plan.patience
            left = limit if step is ROW else min(limit, until - time.perf_counter())
            stopped = next((one for one in outcomes if one.verdict is Verdict.WRONG), None)
            if stopped is not None or left < LEAST_SECONDS:
                why = "no time is left" if stopped is None else f"step {stopped.step.name}: {stopped.verdict}"
                outcome = Outcome(step, 0.0, {}, why, Verdict.SKIPPED)
            else:
                earlier = {one.step.name: one.trials for one in outcomes}
                outcome = run_step(step, replace(spec, step=step.name, earlier=earlier), left, run_trials)
            outcomes.append(outcome)
            line = json.dumps(outcome.as_record())
            say(console, line)
            console.file.flush()
            file.write(f"{line}\n")
            file.flush()
    return outcomes


def run_step(
    step: Step,
    spec: TrialSpec,
    seconds: float,
    run: Callable[[TrialSpec, dict[str, str]], tuple[Trials, str]],
) -> Outcome:
    """Runs a step's trials, those of one environment in one process.

    The trial that a process died of is left out, and another process goes on with the next one.

    Args:
        step: which.
        spec: what its processes are told, but for their trials.
        seconds: that all of them may take.
        run: runs a process, as `run_trials` does.
    """
    began = time.perf_counter()
    done: dict[str, Figures] = {}
    faults: list[str] = []
    pending = list(step.trials)
    while pending and (left := seconds - (time.perf_counter() - began)) > 0:
        sort = step.trials[pending[0]]
        alike = tuple(name for name in pending if step.trials[name] == sort)
        earlier = {**spec.earlier, step.name: dict(done)}
        with environment_of(sort, Path(spec.made)) as variables:
            found, fault = run(replace(spec, trials=alike, limit=left, earlier=earlier), variables)
        done.update(found)
        lost = next((name for name in alike if name not in found), None)
        if lost is not None:
            done[lost] = {"fault": fault or "its process ended without a word of it"}
        faults += [fault] if fault else []
        pending = [name for name in pending if name not in done]
    faults += [f"{name}: {one['fault']}" for name, one in done.items() if "fault" in one and one["fault"] not in faults]
    faults += [f"{name}: no time was left" for name in pending]
    return Outcome(step, time.perf_counter() - began, done, "; ".join(faults), step.verdict(done))


@contextmanager
def environment_of(sort: str, scratch: Path) -> Iterator[dict[str, str]]:
    """Variables of a process of one sort; without cuDNN, of one that finds every other library."""
    if sort == PLAIN:
        yield {}
    elif sort == BLOCKING:
        yield {"CUDA_LAUNCH_BLOCKING": "1"}
    elif sort == WITHOUT_CUDNN:
        with tempfile.TemporaryDirectory(prefix="hidden-", dir=scratch) as folder:
            yield hidden_cudnn(Path(folder), runtime_folder())


def hidden_cudnn(folder: Path, site: Path | None) -> dict[str, str]:
    """Variables for a process in which ONNX Runtime stands where cuDNN is not.

    The runtime looks for NVIDIA's packages beside its own folder, which is a link here. An empty file stands in front
    of what the system would find, and the loader refuses it.

    Args:
        folder: an empty one.
        site: where ONNX Runtime's package lies.
    """
    if site is not None:
        (folder / "onnxruntime").symlink_to(site / "onnxruntime")
        cuda = NVIDIA_FOLDERS[0]
        if (site / cuda).is_dir():
            (folder / cuda).parent.mkdir(parents=True)
            (folder / cuda).symlink_to(site / cuda)
    (folder / "libcudnn.so.9").touch()
    before = {name: os.environ.get(name, "") for name in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    return {name: os.pathsep.join(filter(None, [str(folder), value])) for name, value in before.items()}


def print_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """A table of all steps."""
    table = Table(title="What the GPU gives", title_justify="left")
    for name in ("step", "s", "figures", "expected, not measured", "verdict"):
        table.add_column(name, overflow="fold")
    for one in outcomes:
        name, took = f"{one.step.number} {one.step.name}", f"{one.seconds:.0f}"
        figures = [f"{trial}: {in_short(found)}" for trial, found in one.trials.items()]
        told = printable("\n".join(figures) or one.fault).replace("\\n", "\n")
        table.add_row(name, took, told, one.step.expected, one.verdict)
    show(console, table)


def in_short(figures: Figures) -> str:
    """Figures of one trial on one line; lists and tables are in the file alone."""
    if "fault" in figures:
        return str(figures["fault"])
    parts = []
    for name, value in figures.items():
        if isinstance(value, float | int | str) and name != "seconds":
            parts.append(f"{name} {f'{value:.4g}' if isinstance(value, float) else value}")
    return ", ".join(parts)


def fails(outcomes: Sequence[Outcome]) -> bool:
    """Whether anything has no figure, or is wrong."""
    return any(one.verdict in {Verdict.NO_FIGURE, Verdict.WRONG} for one in outcomes)
