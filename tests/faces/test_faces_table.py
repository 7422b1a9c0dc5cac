"""The chosen face as files: long footage is written in parts and read as one."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from found_faces import followed, steady

from jobs.faces import faces_table
from jobs.faces.dubbing import DubbedFace
from jobs.faces.faces_table import boxes_json, read_times, write_faces_parquet

FRAMES = 40


@pytest.fixture(scope="module")
def dubbed() -> DubbedFace:
    """A face that is away for a while and for a moment."""
    return followed(steady([*range(11), *range(18, 25), *range(27, 40)], 10, 20, 30, step=1.5), FRAMES)


def written(dubbed: DubbedFace) -> bytes:
    target = io.BytesIO()
    write_faces_parquet(target, dubbed.path, dubbed.times)
    return target.getvalue()


@pytest.mark.parametrize("rows", [1, 7, 26, 40, 41])
def test_row_groups_hold_what_a_single_one_holds(
    dubbed: DubbedFace, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pq.read_table(io.BytesIO(written(dubbed)))
    monkeypatch.setattr(faces_table, "ROWS", rows)
    content = written(dubbed)
    assert pq.read_table(io.BytesIO(content)).equals(whole)
    assert pq.ParquetFile(io.BytesIO(content)).num_row_groups == -(-FRAMES // rows)


def test_every_frame_has_its_row(dubbed: DubbedFace) -> None:
    rows = pq.read_table(io.BytesIO(written(dubbed))).to_pylist()
    assert [row["frame"] for row in rows] == list(range(FRAMES))
    assert [row["face"] for row in rows] == [origin.value for origin in dubbed.path.origins]
    shapes = dubbed.path.shapes(slice(0, FRAMES))
    for row, points, mesh in zip(rows, shapes.points, shapes.mesh, strict=True):
        known = row["face"] != "none"
        assert row["points"] == (points.ravel().tolist() if known else None)
        assert row["mesh"] == (mesh.ravel().tolist() if known else None)


def test_times_are_read_back(dubbed: DubbedFace) -> None:
    content = written(dubbed)
    times = read_times(io.BytesIO(content))
    assert times is not None
    np.testing.assert_array_equal(times, dubbed.times)
    assert read_times(io.BytesIO(content[:-9])) is None


def test_boxes_are_one_list(dubbed: DubbedFace) -> None:
    boxes = json.loads(boxes_json(dubbed.path, 320, 180))
    assert len(boxes) == FRAMES
    assert boxes[0] == [10, 20, 40, 50]
    assert boxes[12] is None
    assert boxes_json(dubbed.path, 320, 180) == json.dumps(boxes).encode()
