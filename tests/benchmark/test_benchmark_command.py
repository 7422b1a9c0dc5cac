"""A real benchmark, as small as can be: the bare network, one baseline and ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import small

from jobs.benchmark.memory import supported
from jobs.benchmark.modes import MODES


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
    assert figures["ours"]["frames_checked"] == figures["plain_loop"]["frames_checked"] == 24
    assert figures["ours"]["worst_level"] == figures["plain_loop"]["worst_level"] == 0
    assert {(line["over"], line["goal"]) for line in record["headline"]} == {("bare", None), ("plain_loop", 1.2)}
    assert {(trial["system"], trial["batch"]) for trial in record["sweep"]} == {("bare", 1), ("bare", 2), ("bare", 4)}
    assert record["cold_start"][0]["ray_s"] > 0
    assert record["object_store"][0]["bytes"] > 20 * small.WIDTH * small.HEIGHT * 3
    # Every mode of blending costs something more than the paste, and leaves less of an edge.
    modes = {cost["mode"]: cost for cost in record["modes"]}
    assert list(modes) == list(MODES)
    assert all(cost["low_ms"] <= cost["total_ms"] <= cost["high_ms"] for cost in modes.values())
    assert all(0 < cost["inference_ms"] + cost["composite_ms"] < cost["total_ms"] for cost in modes.values())
    assert all(1 < modes[name]["seam"] < modes["hard"]["seam"] for name in modes if name != "hard")
    if supported():
        (ours,) = [memory for memory in record["memory"] if memory["system"] == "ours"]
        assert ours["pss"] > ours["private"] > 0
    # A trial that was too short was run again with another length, and only the last counts.
    table = pd.read_parquet(out / "benchmark.parquet")
    assert sorted(table["system"]) == ["bare", "ours", "plain_loop"]
    bare = table[table["system"] == "bare"]
    assert not bare.duplicated(["workers", "threads", "batch"]).any()
    assert figures["bare"]["fps"]["median"] == bare["fps"].max()
    assert table["fps"].notna().all()
    texts = [(out / name).read_text() for name in ("benchmark.json", "benchmark.md")]
    for text in texts:
        assert str(tmp_path) not in text
        assert str(small.ROOT) not in text
    assert "| Mouthpiece |" in texts[1]
    assert "| feather, colour-match |" in texts[1]
    assert "Mouthpiece" in result.output
    # What the systems wrote is gone.
    assert {path.name for path in out.iterdir()} == {"benchmark.json", "benchmark.md", "benchmark.parquet"}


def test_of_the_bare_heavy_network_the_better_of_two_settings_counts(
    tmp_path: Path, clip: small.SmallClip, model: Path
) -> None:
    out = tmp_path / "out"
    result = small.command(
        *("benchmark", "--out", out, "--clip", clip.folder, "--model", model, "--regime", "heavy"),
        *("--repeats", 1, "--seconds", 0.1, "--system", "bare"),
    )
    assert result.code == 0, result.output
    (figure,) = json.loads((out / "benchmark.json").read_text())["results"]
    bare = pd.read_parquet(out / "benchmark.parquet")
    assert list(bare["system"]) == ["bare", "bare"]
    assert not bare.duplicated(["workers", "threads", "batch"]).any()
    assert figure["fps"]["median"] == bare["fps"].max()


def test_a_clip_without_features_is_refused_in_one_line(tmp_path: Path, clip: small.SmallClip) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in (clip.folder / "full_body_img").iterdir():
        (bare / path.name).write_bytes(path.read_bytes())
    result = small.command("benchmark", "--out", tmp_path / "out", "--clip", bare, "--rect", "20,15,90,90")
    assert result.code == 2
    assert "has no aud_ave.npy; put the clip's features there" in result.output
    assert "Traceback" not in result.output


def test_what_nobody_can_do_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    nobody = small.command("benchmark", "--out", tmp_path / "out", "--system", "single", "--format", "video")
    assert nobody.code == 2
    assert "--system: none of these writes such a --format" in nobody.output
    if shutil.which("nvidia-smi") is None:
        result = small.command("benchmark", "--out", tmp_path / "out", "--device", "cuda")
        assert result.code == 2
        assert "--device cuda: NVIDIA's driver finds no GPU here" in result.output
    assert not (tmp_path / "out").exists()
