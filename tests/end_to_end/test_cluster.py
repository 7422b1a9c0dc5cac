"""Runs on clusters of other kinds: a submitted job, this machine alone, and an object store smaller than the clip."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import in_process
import numpy as np
import pytest
import ray
import reference
import small
from ray.cluster_utils import Cluster
from rich.console import Console
from small import Result, SmallClip
from stage import Nodes

from actors.core.errors import StoppedError
from jobs.cluster.address import Gcs
from jobs.cluster.connection import ClusterResources, _HeadServer, connect
from jobs.cluster.placement import CPU, choose_device, wait_for_resources
from jobs.inputs.options import DeviceChoice


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a user would submit: the code, without what tests and tools leave in a checkout."""
    folder = tmp_path_factory.mktemp("submit")
    for name in ("actors", "jobs"):
        shutil.copytree(small.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


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


def test_a_submitted_job_and_a_local_run_give_the_same_frames(
    cluster: Cluster, dashboard_port: int, code: Path, clip: SmallClip, model: Path, tmp_path: Path
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


def test_a_relative_out_inside_a_job_is_refused(
    cluster: Cluster, dashboard_port: int, code: Path, clip: SmallClip, model: Path
) -> None:
    result = submit(dashboard_port, code, "composite", clip.folder, "--model", model, "--out", "run")
    assert result.code == 1  # Ray's own; ours is in its message
    assert "exit code 2" in result.output
    assert "--out run: inside a submitted job" in result.output
    assert "absolute path" in result.output


def test_a_clip_larger_than_the_object_store(model: Path, nodes: Nodes, tmp_path: Path) -> None:
    """60 backgrounds that take 1 MB each against a store of 76 MiB, gone through forth and back."""
    count, rows, width, height = 60, 130, 960, 480
    folder = tmp_path / "clip"
    folder.mkdir()
    frames = [np.roll(small.picture(1, width, height), 9 * i, axis=1) for i in range(count)]
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i}.bmp"), frame)
    boxes = [small.square(i) for i in range(count)]
    features = small.feature_rows(rows)
    np.save(tmp_path / "features.npy", features)
    nodes.add(num_cpus=2, object_store_memory=76 << 20)
    flags = ["--rects", small.write_rects(tmp_path / "rects.json", boxes), "--features", tmp_path / "features.npy"]
    base = ["composite", folder, "--model", model, "--out", tmp_path / "run", *flags]
    result = in_process.command(*base, "--address", nodes.address)
    assert result.code == 0, result.output
    assert "blocks at a time" in result.output
    got = small.read_frames(tmp_path / "run")
    assert list(got) == list(range(rows))
    for start in range(0, rows, 10):
        (_, _, frame), *_ = reference.render(frames, boxes, features, model, start=start, stop=start + 1)
        assert np.array_equal(got[start], frame)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["plan"]["blocks"]["capacity"] < record["plan"]["blocks"]["count"]


def test_a_program_that_has_called_ray_init_keeps_its_ray(
    cluster: Cluster, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--frames", ":4", "--out", tmp_path / "run"]
    ray.init(cluster.address, log_to_driver=False)
    try:
        refused = in_process.command(*base, "--address", "192.0.2.1:6379")
        assert refused.code == 2
        assert "--address 192.0.2.1:6379: this program has called ray.init" in refused.output
        result = in_process.command(*base)
        assert result.code == 0, result.output
        assert ray.is_initialized()
        assert ray.nodes()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()
    assert len(small.contents(tmp_path / "run")) == 4


def test_the_device_is_decided_when_the_first_node_comes(nodes: Nodes) -> None:
    said = io.StringIO()
    console = Console(file=said)
    with connect(nodes.address, None, console) as cluster:
        with pytest.raises(StoppedError, match="no node that can render joined the cluster within 0 s"):
            wait_for_resources(cluster, DeviceChoice.AUTO, 0.0, console)
        there: list[ClusterResources] = []
        asking = threading.Thread(
            target=lambda: there.append(wait_for_resources(cluster, DeviceChoice.AUTO, 60.0, console)), daemon=True
        )
        asking.start()
        nodes.add()
        asking.join(60)
    assert "waiting for a node that can render" in said.getvalue()
    assert choose_device(DeviceChoice.AUTO, there[0], started_here=False).provider == CPU


def test_a_head_may_be_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is started anew; the time that this process slept itself does not count."""
    now, there = 0.0, False

    class Head(Gcs):
        def __init__(self) -> None:
            """Asks nobody."""

        def answers(self) -> bool:
            return there

    monkeypatch.setattr("time.monotonic", lambda: now)
    servers = _HeadServer("head:6379", Head())

    def after(seconds: float) -> StoppedError | None:
        nonlocal now
        now += seconds
        return servers.problem()

    assert [after(4.0) for _ in range(6)] == [None] * 6
    there = True
    assert after(4.0) is None
    there = False
    assert [after(3600.0), *(after(4.0) for _ in range(5))] == [None] * 6
    assert "the cluster's head at head:6379 has not answered" in str(after(4.0))
