"""A real benchmark on a GPU that stands in, as small as can be."""

from __future__ import annotations

import json
from pathlib import Path

import cuda_stand_in
import in_process
import pytest
import small

from jobs.benchmark import settings


@pytest.mark.slow
@pytest.mark.cluster
def test_a_row_on_a_gpu(tmp_path: Path, clip: small.SmallClip, monkeypatch: pytest.MonkeyPatch) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    for name, value in cuda_stand_in.environment(tmp_path, log=str(log)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps({"CPU": 2, "GPU": 1}))
    # Each setting is a process, or with ours several.
    monkeypatch.setattr(settings, "CUDA_BATCHES", (2,))
    monkeypatch.setattr(settings, "CUDA_SESSIONS", (1,))
    monkeypatch.setattr(settings, "CUDA_LAYOUTS", ())
    systems = [word for system in ("bare", "batch", "ours") for word in ("--system", system)]
    result = in_process.command(
        *("benchmark", "--out", out, "--clip", clip.folder, "--model", small.write_model(tmp_path / "m.onnx")),
        *("--device", "cuda", "--regime", "heavy", "--format", "jpg", "--repeats", 1, "--seconds", 0.1, *systems),
    )
    assert result.code == 0, result.output
    record = json.loads((out / "benchmark.json").read_text())
    assert record["machine"]["gpu"] == "NVIDIA Stand-in, driver 580.65.06"
    figures = {figure["system"]: figure["fps"] for figure in record["results"]}
    assert set(figures) == {"bare", "batch", "ours"}
    assert all(fps and fps["median"] > 0 for fps in figures.values())
    assert ("bare", 0.9) in {(line["over"], line["goal"]) for line in record["headline"]}
    # Both precisions of the bare network, and ours at its own layout and at that of the bare network.
    tried = [(trial["system"], trial["precision"], trial["told"]) for trial in record["sweep"]]
    assert {("bare", "fp32", False), ("bare", "fp16", False)} <= set(tried)
    ours = [trial for trial in record["sweep"] if trial["system"] == "ours"]
    assert [trial["told"] for trial in ours] == [False, True]
    (counted,) = (trial for trial in record["trials"] if trial["system"] == "ours")
    assert counted["told"] == max(ours, key=lambda trial: trial["fps"])["told"]
    # Where each of them starts its sessions, nobody has TF32.
    started = cuda_stand_in.sessions(log)
    assert len(started) > 6
    assert {session["environment"].get("NVIDIA_TF32_OVERRIDE") for session in started} == {"0"}
