"""Batches that tests render: manifests of small rows, and what is found in a batch's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import small
from numpy.typing import NDArray


def write_manifest(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A manifest with a JSON object for each row."""
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    return path


def write_features(path: Path, rows: int, seed: int) -> Path:
    """Features of a recording of its own."""
    np.save(path, features_of(rows, seed))
    return path


def features_of(rows: int, seed: int) -> NDArray[np.float32]:
    """Those of one seed."""
    return np.random.default_rng(seed).gamma(0.4, 1.0, (rows, 512)).astype(np.float32)


def table_of(batch: Path) -> list[dict[str, Any]]:
    """The rows of a batch's table, which says the same in both of its forms."""
    rows: list[dict[str, Any]] = pq.read_table(batch / "clips.parquet").to_pylist()
    lines = [json.loads(line) for line in (batch / "clips.jsonl").read_text().splitlines()]
    names = ("id", "state", "frames", "failed_frames", "error", "folder")
    assert [[row[name] for name in names] for row in rows] == [[row[name] for name in names] for row in lines]
    return rows


def states_of(batch: Path) -> dict[str, str]:
    """The state of each clip."""
    return {row["id"]: row["state"] for row in table_of(batch)}


def frames_of(batch: Path) -> dict[str, dict[str, bytes]]:
    """The frame files of each clip that has a run folder."""
    runs = sorted(record.parent for record in batch.glob("*/run.json"))
    return {run.name: small.contents(run) for run in runs}


def strays(batch: Path) -> list[str]:
    """Files that processes leave for a moment, or half-written."""
    return sorted(str(path.relative_to(batch)) for path in batch.rglob(".*"))
