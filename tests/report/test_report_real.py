"""Reports of runs that were really rendered, on the suite's cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import small
from small import Result, SmallClip

from jobs.report.write import write_report


def text_of(run: Path) -> str:
    page = Path(write_report(str(run))).read_text(encoding="utf-8")
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).replace("&#39;", "'").split())


def test_a_run_with_failed_frames(
    tmp_path: Path, clip: SmallClip, model: Path, on_cluster: Callable[..., Result]
) -> None:
    features = small.feature_rows()
    features[17, 0] = small.POISON
    np.save(tmp_path / "poison.npy", features)
    run = tmp_path / "run"
    given = ("--features", tmp_path / "poison.npy", "--out", run, "--device", "cpu", "--workers", 2)
    assert on_cluster("composite", clip.folder, "--model", model, *given).code == 1
    result = small.command("report", run)
    assert (result.code, result.output) == (0, f"report: {run}/report.html\n")
    said = json.loads((run / "run.json").read_text())
    table = pd.read_parquet(run / "timings")
    text = text_of(run)
    assert "frames failed" in text
    assert "44 of 45" in text
    assert "frame 17 failed: the model returned NaN" in text
    # The figures of the page are those of the record, which another module worked out.
    for stage in said["stages"]:
        if stage["stage"] != "waiting":
            figures = f"{stage['mean_ms']:,.2f} {stage['p50_ms']:,.2f} {stage['p99_ms']:,.2f}"
            assert f"{stage['stage']} {stage['share']:.0%} {figures}" in text
    for worker in said["workers"]:
        # The suite's cluster has two nodes: which one is said where both rendered.
        assert re.search(rf"worker {worker['worker']}(, node \w+)? {worker['frames']} frame", text)
    stages = [name for name in table.columns if name.endswith("_ms")]
    slowest = table.iloc[int(table[stages].sum(axis=1).to_numpy().argmax())]
    assert f"most in {slowest['frame']} {slowest['worker']} " in text
    assert (run / "report.html").read_text(encoding="utf-8").count('src="data:image/jpeg') == 8


def test_a_run_of_a_video_alone(
    tmp_path: Path, clip: SmallClip, model: Path, on_cluster: Callable[..., Result]
) -> None:
    run = tmp_path / "run"
    given = ("--out", run, "--format", "none", "--video", "--frames", "20:45", "--device", "cpu", "--workers", 1)
    assert on_cluster("composite", clip.folder, "--model", model, *given).code == 0
    text = text_of(run)
    assert "25 of 25" in text
    assert "output video no frame files" in text
    assert re.findall(r"frame (\d+)(?= frame|  Who| Who)", text)[0] == "20"
    assert (run / "report.html").read_text(encoding="utf-8").count('src="data:image/jpeg') == 8
    # A report is no part of the run: it stays whole.
    assert small.command("verify", run).code == 0
