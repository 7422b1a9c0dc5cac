"""A process of its own for some trials: what crashes or hangs there takes nothing else with it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import actors
from jobs.benchmark.subprocesses import run_process
from jobs.doctor.steps import Figures, Trials

# Where this program lies is in front for its own two names alone, as in the installed command.
CHILD = (
    "import sys; root = sys.argv.pop(1); sys.path.insert(0, root); import actors, jobs; sys.path.remove(root);"
    " from jobs.doctor.trials import main; main()"
)


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """What a process is told.

    Attributes:
        step: name of the step.
        trials: names of its trials, in order.
        made: see `jobs.doctor.rig.Rig`, as all below.
        out: folder that results and frames are written to.
    """

    step: str
    trials: tuple[str, ...]
    made: str
    out: str
    device: str
    clip: str | None
    model: str | None
    seconds: float
    limit: float
    earlier: Mapping[str, Trials]


def run_trials(spec: TrialSpec, environment: Mapping[str, str]) -> tuple[Trials, str]:
    """Runs trials in a process of their own.

    Args:
        spec: which, and with what.
        environment: variables that the process has beside those of this one.

    Returns:
        Figures of those that came to an end, and why the process did not, or empty.
    """
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=spec.out) as folder:
        told = Path(folder, "spec.json")
        told.write_text(json.dumps(asdict(spec)), encoding="utf-8")
        words = [f"{name}={value}" for name, value in environment.items()]
        root = str(Path(actors.__file__).parents[1])
        command = ["env", *words, sys.executable, "-P", "-c", CHILD, root, str(told)]
        ended = run_process(command, Path(folder), spec.limit)
        return dict(parse_lines(ended.said)), ended.fault


def parse_lines(said: str) -> list[tuple[str, Figures]]:
    """Names and figures of the trials in a process's output; what is no such line was said by somebody else."""
    found = []
    for line in said.splitlines():
        try:
            trial = json.loads(line)
            found.append((str(trial.pop("trial")), trial))
        except (ValueError, AttributeError, KeyError, TypeError):
            continue
    return found
