"""The trials themselves, on the CPU with a small network: what they measure is there, and right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import small

from actors.network.runtime import ExportedNetwork
from jobs.doctor import device_trials, render_trials
from jobs.doctor.device_trials import slowest_nodes
from jobs.doctor.render_trials import most_memory
from jobs.doctor.steps import STEPS, Figures
from jobs.doctor.trial_process import TrialSpec
from jobs.doctor.trials import run_all


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> TrialSpec:
    """What trials on a small clip and network are told, once these are made."""
    folder = tmp_path_factory.mktemp("doctor")
    clip, model = small.write_dataset(folder / "walker").folder, small.write_face_model(folder / "model.onnx")
    made = TrialSpec(
        "material", ("clip and networks",), str(folder), str(folder), "cpu", str(clip), str(model), 0.01, 60.0, {}
    )
    assert run(made, folder)["clip and networks"]["backgrounds"] == small.BACKGROUNDS
    return made


def run(spec: TrialSpec, folder: Path) -> dict[str, Figures]:
    lines: list[str] = []
    scratch = folder / f"scratch-{spec.step}"
    scratch.mkdir()
    run_all(spec, scratch, lines.append)
    return {line.pop("trial"): line for line in map(json.loads, lines)}


def of_step(spec: TrialSpec, number: int, folder: Path, *trials: str) -> dict[str, Figures]:
    step = STEPS[number]
    told = {"step": step.name, "trials": trials or tuple(step.trials)}
    return run(TrialSpec(**{**{name: getattr(spec, name) for name in spec.__slots__}, **told}), folder)


def test_files_are_written_to_the_users_folder_and_to_memory(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_trials, "FILE_SECONDS", 0.02)
    found = of_step(spec, 0, tmp_path)
    assert found["disk"]["mbs"] > 0
    assert found["shared memory"]["files"] > 0


def test_a_session_is_compared_with_one_on_the_cpu(spec: TrialSpec, tmp_path: Path) -> None:
    found = of_step(spec, 1, tmp_path)
    assert (found["fp32"]["worst"], found["fp32"]["frames"], found["fp32"]["cpu_nodes"]) == (0, 8, [])
    # On the CPU nothing is missing without cuDNN.
    assert found["without cuDNN"]["error"] == ""


def test_half_precision_is_compared_with_single(spec: TrialSpec, tmp_path: Path) -> None:
    found = of_step(spec, 2, tmp_path)["fp16"]
    assert found["frames"] == 8
    assert found["worst"] <= 4


def test_each_option_has_its_time_and_its_distance(spec: TrialSpec, tmp_path: Path) -> None:
    found = of_step(spec, 3, tmp_path, "fp16, batch 1", "graph, batch 4")
    assert list(found) == ["fp16, batch 1", "graph, batch 4"]
    for one in found.values():
        assert one["ms"] > 0
        assert one["levels"] == 0


def test_the_network_without_options_is_run_once_for_all_that_are_compared_with_it(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def counted(*given: Any, **named: Any) -> ExportedNetwork:  # noqa: ANN401
        opened.append(given)
        return ExportedNetwork(*given, **named)

    monkeypatch.setattr(device_trials, "ExportedNetwork", counted)
    assert len(of_step(spec, 3, tmp_path, "heuristic search", "nhwc", "graph")) == 3
    assert len(opened) == 3 + 1


def test_a_trial_that_fails_leaves_the_others(spec: TrialSpec, tmp_path: Path) -> None:
    found = of_step(spec, 3, tmp_path, "no such options", "fp16, batch 1")
    assert "KeyError" in found["no such options"]["fault"]
    assert found["fp16, batch 1"]["ms"] > 0


def test_the_nodes_of_a_batch_have_their_times(spec: TrialSpec, tmp_path: Path) -> None:
    found = of_step(spec, 4, tmp_path)["fp16"]
    assert found["us"] > 0
    assert sum(found["by_operator"].values()) == pytest.approx(1, abs=0.01)
    assert 0 < len(found["slowest"]) <= 15


def test_a_profile_is_of_the_last_run_and_the_slowest_node_comes_first() -> None:
    def node(name: str, operator: str, took: int) -> dict[str, object]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": took, "args": {"op_name": operator}}

    events = [node("conv", "Conv", 900), {"cat": "Session", "name": "model_run", "dur": 5, "args": {}}]
    events += [node("conv", "Conv", 30), node("relu1", "Relu", 50), node("relu2", "Relu", 20)]
    found = slowest_nodes(events)
    assert found["us"] == 100
    assert found["by_operator"] == {"Relu": 0.7, "Conv": 0.3}
    assert found["slowest"] == [["relu1", "Relu", 50], ["conv", "Conv", 30], ["relu2", "Relu", 20]]


def test_one_worker_renders_with_and_without_threads(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_trials, "RANGE_FRAMES", 8)
    found = of_step(spec, 6, tmp_path, "0 threads", "2 threads")
    assert all(one["fps"] > 0 for one in found.values())


def test_memory_without_the_tool_is_not_guessed(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with most_memory(0.001) as seen:
        pass
    assert seen == []
    assert "nvidia-smi" in of_step(spec, 8, tmp_path, "memory")["memory"]["fault"]
