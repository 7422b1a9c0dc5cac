"""Steps in processes of their own: one that dies or hangs takes nothing else with it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from jobs.doctor import gpu_steps
from jobs.doctor.gpu_steps import (
    StepsPlan,
    environment_of,
    fails,
    hidden_cudnn,
    in_short,
    print_outcomes,
    run_step,
    run_steps,
)
from jobs.doctor.steps import BLOCKING, PLAIN, STEPS, WITHOUT_CUDNN, Figures, Step, Trials, Verdict
from jobs.doctor.trial_process import TrialSpec, parse_lines


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return TrialSpec("parts", (), str(tmp_path), str(tmp_path), "cpu", None, None, 0.01, 0.0, {})


def a_step(*trials: str, limit: float = 60.0) -> Step:
    return Step(0, "parts", limit, dict.fromkeys(trials, PLAIN), "", "", lambda _: True)


class Processes:
    """Runs no process: those that would die do after the trials before, the others give their name."""

    def __init__(self, *deadly: str) -> None:
        self.deadly = deadly
        self.began: list[tuple[str, ...]] = []
        self.environments: list[dict[str, str]] = []

    def run(self, spec: TrialSpec, environment: dict[str, str]) -> tuple[Trials, str]:
        self.began.append(spec.trials)
        self.environments.append(environment)
        done: dict[str, Figures] = {}
        for name in spec.trials:
            if name in self.deadly:
                return done, f"ended with -11 at {name}"
            done[name] = {"name": name}
        return done, ""


def test_the_trial_that_a_process_dies_of_is_left_out_and_the_rest_goes_on(spec: TrialSpec) -> None:
    processes = Processes("b", "d")
    outcome = run_step(a_step("a", "b", "c", "d"), spec, 60.0, processes.run)
    assert processes.began == [("a", "b", "c", "d"), ("c", "d")]
    assert outcome.trials["a"] == {"name": "a"}
    assert outcome.trials["c"] == {"name": "c"}
    assert "fault" in outcome.trials["b"]
    assert "ended with -11 at d" in outcome.fault
    assert outcome.verdict is Verdict.NO_FIGURE


def test_without_time_nothing_more_is_begun(spec: TrialSpec) -> None:
    processes = Processes()
    outcome = run_step(a_step("a", "b"), spec, 0.0, processes.run)
    assert processes.began == []
    assert outcome.fault == "a: no time was left; b: no time was left"


def test_trials_of_different_environments_have_processes_of_their_own(spec: TrialSpec) -> None:
    processes = Processes()
    step = Step(1, "parts", 9.0, {"a": PLAIN, "b": WITHOUT_CUDNN, "c": PLAIN, "d": BLOCKING}, "", "", lambda _: True)
    run_step(step, spec, 60.0, processes.run)
    assert processes.began == [("a", "c"), ("b",), ("d",)]
    assert [sorted(one) for one in processes.environments] == [
        [],
        ["LD_LIBRARY_PATH", "PYTHONPATH"],
        ["CUDA_LAUNCH_BLOCKING"],
    ]


def test_what_is_no_line_of_a_trial_was_said_by_others() -> None:
    said = 'hello\n{"trial": "a", "ms": 1.5}\n[1]\n{"other": 1}\n{"trial": "b", "fault": "no"}\n{"trial"'
    assert parse_lines(said) == [("a", {"ms": 1.5}), ("b", {"fault": "no"})]


def test_cudnn_alone_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, hidden = tmp_path / "site", tmp_path / "hidden"
    for folder in ("onnxruntime", "nvidia/cu13/lib", "nvidia/cudnn/lib"):
        (site / folder).mkdir(parents=True)
    hidden.mkdir()
    monkeypatch.setenv("LD_LIBRARY_PATH", "/before")
    variables = hidden_cudnn(hidden, site)
    assert variables["LD_LIBRARY_PATH"] == f"{hidden}:/before"
    assert variables["PYTHONPATH"].split(":")[0] == str(hidden)
    assert (hidden / "nvidia" / "cu13" / "lib").is_dir()
    assert not (hidden / "nvidia" / "cudnn").exists()
    # The loader refuses the empty file that it meets first.
    load = "import ctypes; ctypes.CDLL('libcudnn.so.9')"
    done = subprocess.run([sys.executable, "-c", load], env=variables, capture_output=True, text=True, check=False)
    assert "file too short" in done.stderr


def test_the_hidden_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with environment_of(WITHOUT_CUDNN, tmp_path) as variables:
        folder = Path(variables["LD_LIBRARY_PATH"].split(":")[0])
        assert (folder / "onnxruntime" / "__init__.py").is_file()
    assert list(tmp_path.iterdir()) == []


def test_without_material_every_step_is_skipped_and_has_its_line(tmp_path: Path) -> None:
    said = io.StringIO()
    plan = StepsPlan(tmp_path, None, str(tmp_path / "missing.onnx"), 0.01, tuple(range(10)))
    outcomes = run_steps(plan, Console(file=said, width=200))
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [line["step"] for line in lines] == [-1, *range(10)]
    assert lines[0]["verdict"] == "wrong"
    assert "missing.onnx" in lines[0]["fault"]
    assert {line["verdict"] for line in lines[1:]} == {"skipped"}
    assert all(line["expected"] and line["decides"] for line in lines[1:])
    assert (tmp_path / gpu_steps.LINES).read_text() == said.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == [gpu_steps.LINES]
    assert fails(outcomes)


def test_a_table_has_every_step(spec: TrialSpec) -> None:
    said = io.StringIO()
    outcomes = [run_step(step, spec, 60.0, Processes("4 processes").run) for step in (STEPS[5], STEPS[6])]
    print_outcomes(outcomes, Console(file=said, width=180))
    assert "5 processes" in said.getvalue()
    assert "6 compositor" in said.getvalue()
    assert "ended with -11" in said.getvalue()


def test_a_trial_in_short_has_its_numbers() -> None:
    assert in_short({"ms": 0.123456, "seconds": 4.0, "slowest": [1], "frames": 8}) == "ms 0.1235, frames 8"
    assert in_short({"fault": "it died"}) == "it died"
