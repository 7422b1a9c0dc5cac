"""``tune`` on a real cluster: trials are renders, the outcome is kept, and `composite` goes by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import small
from encoders import write_encoder
from mixing import write_mixing
from small import Result, SmallClip

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of half a second, of few layouts."""
    monkeypatch.setattr("jobs.tune.search.CPU_BATCHES", (1, 2))
    monkeypatch.setattr("jobs.tune.tuning.TRIAL_SECONDS", 0.5)


def test_what_tuning_finds_is_used_until_told_otherwise(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scratch = tmp_path / "scratch"
    tuned = on_cluster("tune", clip.folder, "--model", model, "--device", "cpu", "--seconds", 1, "--scratch", scratch)
    assert tuned.code == 0, tuned.output
    assert not list(scratch.iterdir())
    [kept] = (tmp_path / "cache").rglob("*.json")
    profile = json.loads(kept.read_text())
    assert profile["fps"] > 0
    assert profile["trials"][0]["layout"] == {"workers": 2, "threads": 1, "batch": 1, "gpus": 0.0}
    assert str(kept) in tuned.output

    # Whatever it found: the file decides.
    profile["best"] = {"workers": 1, "threads": 1, "batch": 3, "gpus_per_worker": None}
    kept.write_text(json.dumps(profile))
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--frames", ":6", "--format", "none"]

    def plan(name: str, *flags: str) -> tuple[int, int]:
        result = on_cluster(*base, "--out", tmp_path / name, *flags)
        assert result.code == 0, result.output
        assert ("tuned: 1 workers x 1 threads, batch 3" in result.output) == (name == "tuned")
        found = json.loads((tmp_path / name / "run.json").read_text())["plan"]
        return found["workers"], found["batch"]

    assert plan("tuned") == (1, 3)
    assert plan("plain", "--no-tuned") == (2, 1)
    assert plan("told", "--workers", "2") == (2, 1)
    # A damaged profile is no reason not to render.
    kept.write_text("{")
    assert plan("damaged") == (2, 1)


def test_it_takes_a_recording_and_its_encoder_and_the_cpu_where_the_gpu_gives_no_cuda(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file, so that nothing can be kept: what was found is shown all the same.
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recording = small.write_tone(tmp_path / "voice.wav", 0.5)
    heard = ["--audio", recording, "--encoder", write_encoder(tmp_path / "ear.onnx")]
    tuned = on_cluster("tune", clip.folder, "--model", model, *heard, "--seconds", 60, "--scratch", tmp_path)
    assert tuned.code == 2, tuned.output
    assert "device: cpu (the cluster has 1 GPUs, but a CUDA session was asked for" in tuned.output
    assert "2 workers x 1 threads, batch 1: " in tuned.output
    assert "what it found cannot be kept" in tuned.output
    assert "XDG_CACHE_HOME" in tuned.output
    # What cannot be kept cannot be read either, which is no reason not to render.
    run = ("composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--frames", ":4", "--format", "none")
    assert on_cluster(*run).code == 0


def test_layouts_at_which_frames_depend_on_each_other_are_skipped(
    clip: SmallClip, tmp_path: Path, on_cluster: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mixing = write_mixing(tmp_path / "m.onnx", "quantised")
    tuned = on_cluster("tune", clip.folder, "--model", mixing, "--device", "cpu", "--scratch", tmp_path)
    assert tuned.code == 0, tuned.output
    assert "2 workers x 1 threads, batch 2: 0.0 fps (skipped: the model's answers change" in tuned.output
    assert "DynamicQuantizeLinear" in tuned.output
    [kept] = (tmp_path / "cache").rglob("*.json")
    assert json.loads(kept.read_text())["best"]["batch"] == 1


def test_a_scratch_folder_that_cannot_be_is_one_line(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    (tmp_path / "file").touch()
    tuned = on_cluster("tune", clip.folder, "--model", model, "--scratch", tmp_path / "file")
    assert tuned.code == 2
    assert f"--scratch {tmp_path / 'file'}: cannot be written" in tuned.output
    assert "Traceback" not in tuned.output
