"""Runs that are submitted as jobs of Ray's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import small
from clusters import free_port, two_nodes
from small import Result, SmallClip


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a user would submit: the code, without what tests and tools leave in a checkout."""
    folder = tmp_path_factory.mktemp("submit")
    for name in ("actors", "jobs"):
        shutil.copytree(small.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def dashboard_port() -> Iterator[int]:
    """Of a cluster that takes jobs."""
    port = free_port()
    with two_nodes(include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=port):
        yield port


def submit(port: int, code: Path, *arguments: object) -> Result:
    """``ray job submit``, as a user does it; again while the head's agent is still starting."""
    ray = Path(sys.executable).with_name("ray")
    address = f"http://127.0.0.1:{port}"
    entry = [sys.executable, "-m", "jobs", *map(str, arguments)]
    while True:
        done = subprocess.run(
            [str(ray), "job", "submit", "--address", address, "--working-dir", str(code), "--", *entry],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        said = done.stdout + done.stderr
        if "No available agent to submit job" not in said:
            return Result(done.returncode, said)


@pytest.mark.cluster
def test_a_submitted_job_and_a_local_run_give_the_same_frames(
    dashboard_port: int, code: Path, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--frames", ":12", "--video"]
    submitted = submit(dashboard_port, code, *base, "--out", tmp_path / "submitted")
    assert submitted.code == 0, submitted.output
    local = small.command(*base, "--out", tmp_path / "local")
    assert local.code == 0, local.output
    assert len(small.contents(tmp_path / "local")) == 12
    assert small.contents(tmp_path / "submitted") == small.contents(tmp_path / "local")
    assert (tmp_path / "submitted" / "video.mp4").stat().st_size > 10_000
    record = json.loads((tmp_path / "submitted" / "run.json").read_text())
    assert len(record["cluster"]["nodes"]) == 2


@pytest.mark.cluster
def test_a_relative_out_inside_a_job_is_refused(dashboard_port: int, code: Path, clip: SmallClip, model: Path) -> None:
    result = submit(dashboard_port, code, "composite", clip.folder, "--model", model, "--out", "run")
    assert result.code == 1  # Ray's own; ours is in its message
    assert "exit code 2" in result.output
    assert "--out run: inside a submitted job" in result.output
    assert "absolute path" in result.output


@pytest.mark.cluster
def test_a_submitted_batch_gives_the_frames_of_a_local_run(
    dashboard_port: int, code: Path, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    rows = [{"id": "one", "clip": str(clip.folder)}, {"id": "two", "clip": str(clip.folder), "format": "jpg"}]
    rows += [{"id": "bad", "clip": "nowhere"}]
    manifest = tmp_path / "clips.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--model", model, "--device", "cpu", "--frames", ":12"]
    submitted = submit(dashboard_port, code, "batch", manifest, *given, "--out", tmp_path / "batch")
    assert submitted.code == 1, submitted.output
    assert "failed: bad: " in submitted.output
    local = small.command("composite", clip.folder, *given, "--out", tmp_path / "local")
    assert local.code == 0, local.output
    assert small.contents(tmp_path / "batch" / "one") == small.contents(tmp_path / "local")
    assert len(small.contents(tmp_path / "batch" / "two")) == 12
