"""``tune`` on a GPU that stands in: what is tried, what is kept, and that ``composite`` goes by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import small
from card import Command

from jobs.tune import search, tuning
from jobs.tune.search import DIMENSIONS


def test_the_best_layout_is_found_kept_and_used(
    clip: small.SmallClip,
    model: Path,
    tmp_path: Path,
    card: Callable[..., Command],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every run takes as long, whatever its batch; larger batches than 8 have no room, and one option is not taken.
    command = card(seconds_per_run=0.1, memory_above_batch=8, refuses=["cudnn_conv_algo_search"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(search, "BATCHES", (4, 8))
    monkeypatch.setattr(tuning, "DIMENSIONS", [one for one in DIMENSIONS if one.name in {"batch", "heuristic search"}])
    monkeypatch.setattr(tuning, "TRIAL_SECONDS", 0.6)
    base = (clip.folder, "--model", model, "--device", "cuda")
    result = command("tune", *base)
    assert result.code == 0, result.output
    lines = result.output.splitlines()
    first, second, third = (f"1 workers x 1 threads, batch {batch}, 1 of a GPU each" for batch in (16, 4, 8))
    assert any(line.startswith(f"{first}: 0.0 fps (") for line in lines)
    assert [line.rpartition(",")[0] for line in lines if "best so far" in line] == [f"batch: best so far: {third}"]
    # The worker renders all the same, but that tells nothing of the option.
    left_out = f"{third}, heuristic search: 0.0 fps (skipped: the session goes without heuristic search: "
    assert any(line.startswith(left_out) for line in lines)
    assert any(line.startswith(f"heuristic search: nothing better than {third}, ") for line in lines)
    assert any(line.startswith(f"{third}: ") and line.endswith(f"above {second}") for line in lines)
    (kept,) = (tmp_path / "cache" / "mouthpiece" / "tuned").iterdir()
    assert json.loads(kept.read_text())["key"]["gpu_memory"] == 24576 << 20
    done = command("composite", *base, "--out", tmp_path / "run", "--frames", ":8", "--format", "none")
    assert done.code == 0, done.output
    assert f"tuned: {third}" in done.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["batch"] == 8
