"""Runs on nodes that a test adds: one whose object store is smaller than the clip, and one that comes late."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import cv2
import in_process
import numpy as np
import pytest
import reference
import small
from rich.console import Console
from stage import Nodes

from actors.core.choices import Device
from actors.core.errors import StoppedError
from jobs.cluster.connection import ClusterResources, connect
from jobs.cluster.placement import choose_device, wait_for_resources
from jobs.inputs.options import DeviceChoice


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


def test_the_device_is_decided_when_the_first_node_comes(nodes: Nodes) -> None:
    said = io.StringIO()
    console = Console(file=said)
    with connect(nodes.address, (), console) as cluster:
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
    assert choose_device(DeviceChoice.AUTO, there[0], started_here=False).device is Device.CPU
