"""A run whose clip, model and output are in an object store: the frames of a local run, whatever happens on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3_server
import small
from s3_server import BUCKET, Fault, Store
from small import ROOT, SmallClip

from actors.files import storage

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clip: SmallClip, model: Path) -> Iterator[Store]:
    """A store that holds the clip and the model."""
    with (
        s3_server.serving(tmp_path_factory.mktemp("s3") / "server.log") as store,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in store.environment.items():
            patch.setenv(name, value)
        # By its address: this process may know the bucket from another server.
        query = f"?scheme=http&region=us-east-1&endpoint_override={store.endpoint.removeprefix('http://')}"
        for path in [model, *sorted(clip.folder.rglob("*"))]:
            if path.is_file():
                name = path.name if path == model else path.relative_to(clip.folder.parent).as_posix()
                storage.place_file(path, f"s3://{BUCKET}/{name}{query}")
        yield store


def composite(clip: object, model: object, out: object) -> list[object]:
    how = ["--frames", ":24", "--video", "--device", "cpu", "--workers", "1"]
    return ["composite", clip, "--model", model, "--out", out, *how]


def test_a_killed_run_in_a_store_goes_on_and_gives_the_frames_of_a_local_one(
    server: Store, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    local = small.command(*composite(clip.folder, model, tmp_path / "run"))
    assert local.code == 0, local.output
    out = f"s3://{BUCKET}/run"
    arguments = composite(f"s3://{BUCKET}/{clip.folder.name}", f"s3://{BUCKET}/{model.name}", out)
    server.faults[:] = [
        Fault("PUT .*/run/frames/.*0.png", "busy", times=2),
        Fault("PUT .*/run/frames/.*1.png", "cut"),
        Fault("PUT .*/run/frames/.*000020.png", "slow", seconds=20),
    ]
    command = [sys.executable, "-m", "jobs", *map(str, arguments)]
    driver = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    while driver.poll() is None and not any("PUT" in it and "/run/timings/0" in it for it, _ in list(server.requests)):
        time.sleep(0.05)
    assert driver.poll() is None
    driver.kill()
    driver.wait(timeout=60)
    assert [fault.times for fault in server.faults[:2]] == [0, 0]
    server.faults.clear()
    server.requests.clear()
    resumed = small.command(*arguments)
    assert resumed.code == 0, resumed.output
    again = [it for it, _ in server.requests if it.startswith("PUT") and "/run/frames/frame" in it]
    assert 0 < len(again) < 24
    query = f"?scheme=http&region=us-east-1&endpoint_override={server.endpoint.removeprefix('http://')}"
    found = {each.name: storage.read_bytes(each.path) for each in storage.children(f"{out}/frames{query}")}
    assert found == small.contents(tmp_path / "run")
    assert small.command("verify", out).code == 0


def test_a_bucket_that_is_not_there_is_one_line(server: Store, clip: SmallClip, model: Path) -> None:
    refused = small.command(*composite(clip.folder, model, "s3://no-such-bucket/run"))
    assert refused.code == 2
    assert refused.output.startswith("error: --out s3://no-such-bucket/run: cannot be written (Bucket")
    assert len(refused.output.splitlines()) == 1


def test_missing_credentials_are_one_line(server: Store, clip: SmallClip, tmp_path: Path) -> None:
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nowhere"}
    model = f"s3://{BUCKET}/light.onnx"
    refused = small.command("composite", clip.folder, "--model", model, "--out", tmp_path / "x", environment=nothing)
    assert refused.code == 2
    assert refused.output.startswith(f"error: {model}: cannot be read (")
    assert len(refused.output.splitlines()) == 1
