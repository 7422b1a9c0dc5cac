"""Of long footage little is held: what its frames take beyond a constant is counted in bytes."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from made_up_faces import made_up

from actors.core.choices import Covered, FaceRule
from actors.core.faces import KEY_POINTS, MESH_POINTS, FoundFaces
from jobs.faces import faces_table
from jobs.faces.dubbing import FaceRules, follow_faces
from jobs.faces.faces_table import boxes_json, write_faces_parquet
from jobs.faces.prepared_folder import FacesRecord, FootageRecord
from jobs.faces.seen_faces import SeenFaces, Shapes
from jobs.faces.smaller_faces import seen_closely_alone
from jobs.faces.windows import WINDOW
from jobs.report.faces_page import render_faces_page

SIZE = (1280, 720)
RANGE = 256

# A thumbnail has 144 bytes, and with two faces all other numbers of a frame some 250. Two meshes alone would be 1056.
MOST_BYTES = 512


def two_faces(frames: int) -> Iterator[FoundFaces]:
    """One shot with two faces that stand still, by ranges."""
    boxes = np.tile(np.array([[500, 200, 700, 450], [100, 200, 280, 420]], np.float32), (RANGE, 1))
    for first in range(0, frames, RANGE):
        found = made_up([2] * RANGE, first)
        thumbnails = np.broadcast_to(np.arange(144, dtype=np.uint8).reshape(9, 16), found.thumbnails.shape)
        yield replace(found, boxes=boxes, extents=boxes, thumbnails=thumbnails)


def no_shapes(rows: np.ndarray) -> Shapes:
    count = len(rows)
    return Shapes(np.zeros((count, KEY_POINTS, 2), np.float32), np.zeros((count, len(MESH_POINTS), 2), np.float32))


def most_held(frames: int, nowhere: IO[bytes]) -> int:
    """Bytes at most while faces of so many frames are followed and written."""
    tracemalloc.start()
    try:
        seen = SeenFaces.of(two_faces(frames), no_shapes)
        seen = seen.without(seen_closely_alone(seen))
        rules = FaceRules(FaceRule.LARGEST, 0.2, Covered.RENDER)
        dubbed = follow_faces(seen, np.arange(frames) / 25, SIZE, rules, "talk.mp4")
        write_faces_parquet(nowhere, dubbed.path, dubbed.times)
        boxes_json(dubbed.path, *SIZE)
        footage = FootageRecord(name="talk.mp4", digest="0" * 32, frames=frames, width=SIZE[0], height=SIZE[1])
        render_faces_page(FacesRecord(footage=footage, finder="f" * 64), dubbed, None)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_frame_takes_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces_table, "ROWS", WINDOW)
    with Path(os.devnull).open("wb") as nowhere:
        # What is loaded and made once must not count.
        most_held(RANGE, nowhere)
        short, long = most_held(WINDOW, nowhere), most_held(3 * WINDOW, nowhere)
    assert (long - short) / (2 * WINDOW) < MOST_BYTES
