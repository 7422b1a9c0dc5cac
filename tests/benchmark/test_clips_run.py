"""Real batches of two rows beside one clip, as small as can be."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import benched
import pytest
from rich.console import Console

from actors.core.choices import Device
from jobs.benchmark.clip_rows import Rows
from jobs.benchmark.clips_run import ClipsRun
from jobs.benchmark.many_clips import Run, compare_clips
from jobs.benchmark.matrix import Regime
from jobs.benchmark.networks import make_network


@pytest.mark.cluster
@pytest.mark.slow
def test_a_batch_is_measured_beside_one_clip_and_compared_with_rows_alone(tmp_path: Path) -> None:
    material, _ = benched.material(tmp_path)
    light = make_network(Regime.LIGHT, None, material.kind, tmp_path, half=False)
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = Rows(material, light.path, Device.CPU, 2, folder)
    # Less is measured with the heavy network; the light one takes its place.
    run = ClipsRun(Regime.HEAVY, rows, 1, folder, 120, Console(file=io.StringIO()))
    trials = {trial.run: trial for trial in run.trials()}
    assert {name: trial.fault for name, trial in trials.items()} == {Run.ONE: "", Run.FEATURES: ""}
    assert {trial.frames for trial in trials.values()} == {100}
    assert all(0 < trial.rendering_s < trial.command_s for trial in trials.values())
    assert all(0 < trial.start_s < trial.command_s for trial in trials.values())
    figures = {(found.run, found.over): found for found in compare_clips(trials.values())}
    assert figures[Run.FEATURES, Run.ONE].goal == 0.95
    # What the commands wrote takes no room.
    assert not any(path.stat().st_size for path in folder.rglob("frame_*.jpg"))
    # Frames that are not those of the row alone are told.
    (batch,) = folder.glob("heavy-features-0/batch")
    assert run.wrong_frames(Run.FEATURES, batch) == "row 1 has other frames than a run of its own"
    broken = replace(rows, model=str(tmp_path / "none.onnx"))
    other = tmp_path / "again"
    other.mkdir()
    again = ClipsRun(Regime.HEAVY, broken, 1, other, 120, Console(file=io.StringIO()))
    faults = [trial.fault for trial in again.trials()]
    assert len(faults) == 3
    assert all("ended with 2: " in fault for fault in faults)
