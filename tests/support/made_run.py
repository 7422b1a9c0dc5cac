"""Runs made without rendering: a record, a table of timings and frame files, as a real run leaves them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actors.core.timings import SCHEMA, FrameTiming

BEGAN = 1_795_000_000.0
NODE = "517e310a295b83d551635f190ceb9e4bafcf33e4617a37dc746a83fe"
DIED: dict[str, Any] = {
    "worker": 0,
    "pid": 100,
    "reason": "ActorDiedError: The actor died unexpectedly before finishing this task. class_name: Compositor"
    " actor_id: 443c8a48e22e2a222c85927601000000 pid: 100 namespace: 7de0bcf9 ip: 127.0.0.1",
    "ranges": 1,
    "replaced": True,
}
# As version 1 of run.json had it.
DIED_1 = f"worker {DIED['worker']} (pid {DIED['pid']}): {DIED['reason']}"
STAGES = {"gather_ms": 1.0, "inference_ms": 20.0, "composite_ms": 3.0, "encode_ms": 40.0, "write_ms": 1.0}


def timing(frame: int, started_at: float, **changes: Any) -> FrameTiming:  # noqa: ANN401 - any column
    """One row; what is not said is that of a frame that one batch of one CPU worker made in 65 ms."""
    row: dict[str, Any] = {
        "frame": frame,
        "background": frame % 7,
        "face": "given",
        "range_id": f"{frame:09d}-{frame + 1:09d}",
        "batch_id": 0,
        "batch_size": 1,
        "worker": 0,
        "node": NODE,
        "pid": 100,
        "device": "cpu",
        "provider": "CPUExecutionProvider",
        "started_at": started_at,
        **STAGES,
        "video_ms": 0.0,
        "seam": 1.02,
        "seam_at": "inner",
        "bytes": 2048,
        "checksum": "ab",
        "segment": "",
        "segment_bytes": 0,
        "segment_checksum": "",
    }
    return FrameTiming(**{**row, **changes})


def one_range(first: int, count: int, started_at: float, **changes: Any) -> list[FrameTiming]:  # noqa: ANN401
    """A range whose frames follow on each other, each in a batch of its own."""
    name = f"{first:09d}-{first + count:09d}"
    rows: list[FrameTiming] = []
    for i in range(count):
        row = timing(first + i, started_at, **{"range_id": name, "batch_id": i, **changes})
        rows.append(row)
        started_at += milliseconds(row) / 1e3
    return rows


def milliseconds(row: FrameTiming) -> float:
    """All stages of a row together."""
    return float(sum(getattr(row, name) for name in (*STAGES, "video_ms")))


def with_a_death() -> list[FrameTiming]:
    """60 frames in 6 ranges: worker 0 renders two, dies, and is replaced by process 300; worker 1 renders three."""
    return [
        *one_range(0, 10, BEGAN + 1.0),
        *one_range(20, 10, BEGAN + 1.7),
        *one_range(10, 10, BEGAN + 1.0, worker=1, pid=200),
        *one_range(30, 10, BEGAN + 1.7, worker=1, pid=200),
        *one_range(40, 10, BEGAN + 2.4, worker=1, pid=200),
        *one_range(50, 10, BEGAN + 4.0, pid=300),
    ]


def record(frames: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """run.json of a run that came to its end."""
    ready = [(0, 100), (1, 200)]
    whole: dict[str, Any] = {
        "version": 2,
        "id": "08595e0eb88a44e489ca7d9ea0c428d7",
        "status": "complete",
        "started_at": BEGAN - 5.0,
        "options": {"clip": "/clips/walker", "model": "/models/mouth.onnx", "out": "/runs/a", "format": "jpg"}
        | {"quality": None, "video": False, "composite": True, "loop": None, "restart": True, "wait": 900.0},
        "frames": [0, frames],
        "model": {"path": "/models/mouth.onnx", "sha256": "7dcef4547d2a3afe", "image": "input"},
        "clip": {"id": "walker", "form": "dataset", "backgrounds": 7},
        "warnings": ["the clip's own video runs at 30 fps"],
        "versions": {"python": "3.11.7", "mouthpiece": "0.1.0"},
        "hardware": {"machine": "x86_64", "system": "Linux", "cores": 2},
        "identity": {"kind": "unet-328-ave", "format": "jpg"},
        "device": {"provider": "CPUExecutionProvider", "reason": "the cluster has no GPU"},
        "cluster": {"cpus": 2.0, "gpus": 0.0, "nodes": [NODE], "rendering": [NODE], "store": 7 << 30},
        "plan": {"blocks": {"frames": 7, "count": 1, "capacity": 21, "bytes": 21 << 20}, "background_bytes": 21 << 20}
        | {"ranges": 6, "workers": 2, "threads": 1, "batch": 1, "gpus": 0.0, "resources": {"num_cpus": 1}},
        "reason": "",
        "finished_at": BEGAN + 8.0,
        "totals": {"frames": frames, "rendered": frames, "failed": 0, "seconds": 12.0, "steady_s": 4.0}
        | {"fps_total": frames / 12.0, "fps_steady": frames / 4.0}
        | {
            "cold": {"import_s": 0.5, "read_s": 0.25, "ray_s": 3.0, "session_s": 0.125, "warm_s": 0.0625}
            | {"cache_s": 1.5, "wait_s": 2.25, "finish_s": 2.0}
        },
        "workers_ready": [
            {"worker": worker, "node": NODE, "host": "render-1", "pid": pid, "device": "cpu", "batch": 1, "threads": 1}
            | {"provider": "CPUExecutionProvider", "notes": []}
            for worker, pid in ready
        ],
        "failures": [],
        "deaths": [],
        "retried": [],
        "split": [],
        "blocks_lost": 0,
        "cache_bytes": 21 << 20,
    }
    return {**whole, **changes}


def opening(frames: int) -> dict[str, Any]:
    """run.json as it stands while a run goes on, and for ever after its driver was killed."""
    closing = ("reason", "finished_at", "totals", "workers_ready", "failures", "deaths", "retried", "split")
    gone = {*closing, "blocks_lost", "cache_bytes"}
    return {name: value for name, value in record(frames, status="running").items() if name not in gone}


def write_run(
    folder: Path, timings: Iterable[FrameTiming], said: Mapping[str, Any], *, pictures: bool = True, per_file: int = 50
) -> Path:
    """A run's folder: record, fragments of the table, and a grey JPEG for each frame."""
    rows = [asdict(row) for row in timings]
    (folder / "timings").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(said))
    for place in range(0, len(rows), per_file):
        part = rows[place : place + per_file]
        first, last = min(row["frame"] for row in part), max(row["frame"] for row in part)
        table = pa.Table.from_pylist(part, schema=SCHEMA)
        pq.write_table(table, folder / "timings" / f"{first:09d}-{last + 1:09d}.parquet")
    if pictures:
        (folder / "frames").mkdir()
        for row in rows:
            shade = np.full((90, 160, 3), row["frame"] * 4 % 256, np.uint8)
            cv2.imwrite(str(folder / "frames" / f"frame_{row['frame']:06d}.jpg"), shade)
    return folder
