"""Faces are found in raw footage on a real cluster; what was found stays, and is searched again where it is damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import in_process
import pyarrow.parquet as pq
import pytest
import small
from presenter_footage import beside_herself, hidden, presenter_frames, write_footage
from ray.cluster_utils import Cluster
from small import Result

from actors.core.ranges import FrameRange

Command = Callable[..., Result]

# She is there, away for too long to be interpolated, there, hidden for a moment, and there.
PLACES = (*range(14), *[None] * 12, *range(14, 39))
HIDDEN = range(36, 39)
ORIGINS = [*["detected"] * 14, *["none"] * 12, *["detected"] * 10, *["interpolated"] * 3, *["detected"] * 12]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures = presenter_frames(PLACES)
    for i in HIDDEN:
        pictures[i] = hidden(pictures[i])
    return write_footage(tmp_path_factory.mktemp("footage") / "talk.mp4", pictures)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_footage_is_prepared(footage: Path, tmp_path: Path, on_cluster: Command) -> None:
    out = tmp_path / "clip"
    result = on_cluster("prepare", footage, "--out", out)
    assert result.code == 0, result.output
    # One who is gone from one frame to the next is gone by a cut.
    assert "36 of 51 frames show face 1, 2, 3 interpolated, 12 without it, 2 cuts" in result.output
    rows = pq.read_table(out / "faces.parquet").to_pylist()
    assert [row["face"] for row in rows] == ORIGINS
    assert [row["frame"] for row in rows] == list(range(51))
    assert rows[25]["seconds"] == 1.0
    boxes = json.loads((out / "face_boxes.json").read_text())
    assert [box is None for box in boxes] == [origin == "none" for origin in ORIGINS]
    assert all(0 <= x0 < x1 <= 320 and 0 <= y0 < y1 <= 180 for x0, y0, x1, y1 in filter(None, boxes))
    assert in_process.command("verify", out).code == 0
    before = content(out)
    assert f"page: {out / 'faces.html'}" in result.output
    assert before["contact_sheet.jpg"].startswith(b"\xff\xd8\xff")
    sheet = (out / "contact_sheet.jpg").stat().st_mtime_ns

    # The same command finds all of it there.
    again = on_cluster("prepare", footage, "--out", out)
    assert again.code == 0, again.output
    assert content(out) == before
    assert (out / "contact_sheet.jpg").stat().st_mtime_ns == sheet

    # The page follows from the folder alone.
    (out / "faces.html").unlink()
    assert in_process.command("verify", out).code == 1
    assert in_process.command("report", out).code == 0
    assert content(out) == before
    assert in_process.command("verify", out).code == 0

    # What is damaged is searched again, and only that.
    ranges = sorted((out / "detections").iterdir())
    assert len(ranges) > 1
    ranges[0].write_bytes(ranges[0].read_bytes()[:-40])
    stamps = {path: path.stat().st_mtime_ns for path in ranges[1:]}
    assert in_process.command("verify", out).code == 1
    mended = on_cluster("prepare", footage, "--out", out)
    assert mended.code == 0, mended.output
    assert content(out) == before
    assert {path: path.stat().st_mtime_ns for path in ranges[1:]} == stamps


def test_a_copy_makes_a_clip_by_itself(footage: Path, tmp_path: Path, on_cluster: Command) -> None:
    out = tmp_path / "clip"
    assert on_cluster("prepare", footage, "--out", out, "--copy").code == 0
    assert (out / "talk.mp4").read_bytes() == footage.read_bytes()
    other = write_footage(tmp_path / "other.mp4", presenter_frames(range(8)))
    refused = on_cluster("prepare", other, "--out", out, "--copy", "--restart")
    assert refused.code == 2
    assert "holds other footage (talk.mp4)" in refused.output


def test_a_search_that_was_killed_at_its_very_beginning_goes_on(
    footage: Path, tmp_path: Path, on_cluster: Command
) -> None:
    out = tmp_path / "clip"
    assert on_cluster("prepare", footage, "--out", out).code == 0
    shutil.rmtree(out / "detections")
    assert on_cluster("prepare", footage, "--out", out).code == 0
    assert in_process.command("verify", out).code == 0


def test_a_face_on_the_first_of_two_frames_is_found(tmp_path: Path, on_cluster: Command) -> None:
    footage = write_footage(tmp_path / "two.mp4", presenter_frames([3, None]))
    result = on_cluster("prepare", footage, "--out", tmp_path / "clip")
    assert result.code == 0, result.output
    assert "1 of 2 frames show face 1, 1 without it" in result.output


def test_a_small_face_beside_a_large_one_is_on_all_frames(tmp_path: Path, on_cluster: Command) -> None:
    footage = write_footage(tmp_path / "two.mp4", [*map(beside_herself, presenter_frames(range(40)))])
    out = tmp_path / "clip"
    result = on_cluster("prepare", footage, "--out", out, "--face", "right")
    assert result.code == 0, result.output
    assert "all frames are searched more closely" in result.output
    assert "40 of 40 frames show face 2, 2 faces in all" in result.output
    assert min(row["left"] for row in pq.read_table(out / "faces.parquet").to_pylist()) > 230
    again = on_cluster("prepare", footage, "--out", out)
    assert "40 of 40 frames show face 1" in again.output


def test_other_footage_goes_into_another_folder(footage: Path, tmp_path: Path, on_cluster: Command) -> None:
    out = tmp_path / "clip"
    other = write_footage(tmp_path / "other.mp4", presenter_frames(range(8)))
    assert on_cluster("prepare", other, "--out", out).code == 0
    refused = on_cluster("prepare", footage, "--out", out)
    assert refused.code == 2
    assert "holds the faces of other footage (other.mp4)" in refused.output
    assert on_cluster("prepare", footage, "--out", out, "--restart").code == 0


def test_footage_without_a_face_is_refused(tmp_path: Path, on_cluster: Command) -> None:
    empty = write_footage(tmp_path / "empty.mp4", presenter_frames([None] * 9))
    refused = on_cluster("prepare", empty, "--out", tmp_path / "clip")
    assert refused.code == 2
    assert "no face was found on 9 frames; the best score is 0." in refused.output
    shutil.rmtree(tmp_path / "clip")


def test_a_search_that_was_killed_goes_on(tmp_path: Path, cluster: Cluster, on_cluster: Command) -> None:
    footage = write_footage(tmp_path / "long.mp4", presenter_frames([i % 20 for i in range(700)]), gop=64)
    out = tmp_path / "clip"
    command = [sys.executable, "-m", "jobs", "prepare", footage, "--out", out, "--address", cluster.address]
    with subprocess.Popen([*map(str, command)], cwd=small.ROOT, stdout=subprocess.DEVNULL) as search:
        while not (kept := sorted((out / "detections").glob("0*.parquet"))):
            assert search.poll() is None
            time.sleep(0.02)
        search.kill()
    kept = sorted((out / "detections").glob("0*.parquet"))
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    searched = sum(FrameRange.parse(path.stem).stop - FrameRange.parse(path.stem).start for path in kept)
    assert 0 < searched < 700
    result = on_cluster("prepare", footage, "--out", out)
    assert result.code == 0, result.output
    assert f"{searched} of 700 frames searched, {700 - searched} to go" in result.output
    assert "700 of 700 frames show face 1" in result.output
    assert {path: path.stat().st_mtime_ns for path in kept} == stamps
    assert in_process.command("verify", out).code == 0
