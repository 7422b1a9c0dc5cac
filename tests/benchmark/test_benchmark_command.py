"""A real benchmark, as small as can be: the bare network, one baseline and ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import in_process
import pytest
import small

from jobs.benchmark.memory import supported
from jobs.benchmark.modes import MODES


@pytest.mark.cluster
def test_a_small_benchmark_measures_and_compares(tmp_path: Path, clip: small.SmallClip) -> None:
    out = tmp_path / "results"
    systems = [word for system in ("bare", "plain_loop", "ours") for word in ("--system", system)]
    result = small.command(
        *("benchmark", "--out", out, "--clip", clip.folder, "--regime", "light", "--format", "jpg"),
        *("--repeats", 1, "--seconds", 0.2, *systems),
    )
    assert result.code == 0, result.output
    record = json.loads((out / "benchmark.json").read_text())
    assert record["complete"] is True
    assert record["command"].startswith("python -m jobs benchmark --out OUT --clip CLIP --regime light --format jpg")
    assert record["clip"] == {"name": "walker", "backgrounds": 20, "width": 192, "height": 160}
    figures = {result["system"]: result for result in record["results"]}
    assert set(figures) == {"bare", "plain_loop", "ours"}
    assert all(figure["fps"]["median"] > 0 for figure in figures.values())
    # A trial that was too short was run again with another length, and only the last counts.
    assert sorted(trial["system"] for trial in record["trials"]) == ["bare", "ours", "plain_loop"]
    trials = {trial["system"]: trial for trial in record["trials"]}
    assert trials["ours"]["frames_checked"] == trials["plain_loop"]["frames_checked"] == 24
    assert trials["ours"]["worst_level"] == trials["plain_loop"]["worst_level"] == 0
    assert all(figure["fps"]["median"] == trials[system]["fps"] for system, figure in figures.items())
    assert {(line["over"], line["goal"]) for line in record["headline"]} == {("bare", None), ("plain_loop", 1.2)}
    assert {(trial["system"], trial["batch"]) for trial in record["sweep"]} == {("bare", 1), ("bare", 2), ("bare", 4)}
    assert trials["ours"]["cold"]["ray_s"] > 0
    assert trials["ours"]["cache_bytes"] > 20 * small.WIDTH * small.HEIGHT * 3
    # Every mode of blending costs something more than the paste, and leaves less of an edge.
    modes = {cost["mode"]: cost for cost in record["modes"]}
    assert list(modes) == list(MODES)
    assert all(cost["low_ms"] <= cost["total_ms"] <= cost["high_ms"] for cost in modes.values())
    assert all(0 < cost["inference_ms"] + cost["composite_ms"] < cost["total_ms"] for cost in modes.values())
    assert all(1 < modes[name]["seam"] < modes["hard"]["seam"] for name in modes if name != "hard")
    if supported():
        seen = trials["ours"]["memory"]
        assert seen["pss"] > seen["private"] > 0
    texts = [(out / name).read_text() for name in ("benchmark.json", "benchmark.md")]
    for text in texts:
        assert str(tmp_path) not in text
        assert str(small.ROOT) not in text
    assert "| Mouthpiece |" in texts[1]
    assert "| feather, colour-match |" in texts[1]
    assert "Mouthpiece" in result.output
    # What the systems wrote is gone.
    assert {path.name for path in out.iterdir()} == {"benchmark.json", "benchmark.md"}


@pytest.mark.slow
@pytest.mark.cluster
def test_many_clips_in_one_command_are_measured_and_compared(tmp_path: Path, clip: small.SmallClip) -> None:
    out = tmp_path / "results"
    result = small.command(
        *("benchmark", "--out", out, "--clip", clip.folder, "--many-clips", "--rows", 2, "--regime", "light"),
        *("--repeats", 1),
    )
    assert result.code == 0, result.output
    record = json.loads((out / "benchmark.json").read_text())
    assert record["complete"] is True
    assert record["trials"] == []
    trials = {trial["run"]: trial for trial in record["clips_trials"]}
    assert set(trials) == {"one", "features", "recordings", "loop", "clips", "one_long"}
    assert {run: trial["frames"] for run, trial in trials.items()} == dict.fromkeys(trials, 100) | {"loop": 50}
    assert all(0 < trial["rendering_s"] < trial["command_s"] for trial in trials.values())
    assert all(0 < trials[run]["start_s"] < trials[run]["command_s"] for run in ("one", "clips", "one_long"))
    figures = {(row["run"], row["over"]): row for row in record["many_clips"]}
    assert figures["features", "loop"]["ratio"] > 0
    assert set(figures) >= {("features", "one"), ("recordings", "one"), ("clips", "one_long")}
    text = (out / "benchmark.md").read_text()
    assert "**2 clips of 2 s in one command, jpg (the loop: 1 of them by `composite`)**" in text
    assert str(tmp_path) not in text


@pytest.mark.full_network
def test_of_the_bare_heavy_network_the_better_of_two_settings_counts(tmp_path: Path, clip: small.SmallClip) -> None:
    out = tmp_path / "out"
    # Fixed to its batch, so that few settings are tried: each is a process.
    model = small.write_model(tmp_path / "m.onnx", 1)
    result = in_process.command(
        *("benchmark", "--out", out, "--clip", clip.folder, "--model", model, "--regime", "heavy"),
        *("--repeats", 1, "--seconds", 0.1, "--system", "bare"),
    )
    assert result.code == 0, result.output
    record = json.loads((out / "benchmark.json").read_text())
    (figure,), trials = record["results"], record["trials"]
    assert [trial["system"] for trial in trials] == ["bare", "bare"]
    assert len({(trial["workers"], trial["threads"], trial["batch"]) for trial in trials}) == 2
    assert figure["fps"]["median"] == max(trial["fps"] for trial in trials)


def test_a_clip_without_features_is_refused_in_one_line(tmp_path: Path, clip: small.SmallClip) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in (clip.folder / "full_body_img").iterdir():
        (bare / path.name).write_bytes(path.read_bytes())
    result = in_process.command("benchmark", "--out", tmp_path / "out", "--clip", bare, "--rect", "20,15,90,90")
    assert result.code == 2
    assert "has no aud_ave.npy; put the clip's features there" in result.output
    assert "Traceback" not in result.output


def test_what_nobody_can_do_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    nobody = in_process.command("benchmark", "--out", tmp_path / "out", "--system", "single", "--format", "video")
    assert nobody.code == 2
    assert "--system: none of these writes such a --format" in nobody.output
    if shutil.which("nvidia-smi") is None:
        result = in_process.command("benchmark", "--out", tmp_path / "out", "--device", "cuda")
        assert result.code == 2
        assert "--device cuda: NVIDIA's driver finds no GPU here" in result.output
    assert not (tmp_path / "out").exists()
