"""The files of a benchmark's batch: rows that differ, one clip of the same, commands as a user gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import benched
import cv2
import numpy as np
import pytest

from actors.core.choices import Device, Loop
from jobs.benchmark.clip_rows import Rows
from jobs.benchmark.many_clips import Run
from jobs.clip import read_clip


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    folder = tmp_path_factory.mktemp("rows")
    material, _ = benched.material(folder)
    files = folder / "files"
    files.mkdir()
    return Rows(material, str(folder / "m.onnx"), Device.CPU, 3, files)


def manifest(rows: Rows, run: Run) -> list[dict[str, str]]:
    command = rows.batch_command(run, Path("out"))
    words = command[command.index("batch") :]
    return [json.loads(line) for line in Path(words[1]).read_text(encoding="utf-8").splitlines()]


def flags(command: list[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(command) if name.startswith("--")}


def test_rows_with_features_share_the_avatar_and_make_up_the_one_clip(rows: Rows) -> None:
    found = manifest(rows, Run.FEATURES)
    assert [row["id"] for row in found] == ["row-0000", "row-0001", "row-0002"]
    assert {row["clip"] for row in found} == {rows.material.clip}
    each = [np.load(row["features"], allow_pickle=False) for row in found]
    assert {features.shape for features in each} == {(50, 512)}
    assert not any(np.array_equal(each[0], other) for other in each[1:])
    one = rows.one_command(Run.ONE, Path("out"))
    np.testing.assert_array_equal(np.load(flags(one)["--features"]), np.concatenate(each))
    assert one[one.index("composite") + 1] == rows.material.clip


def test_a_row_alone_is_given_what_its_batch_gives_it(rows: Rows) -> None:
    for run in (Run.FEATURES, Run.RECORDINGS, Run.CLIPS):
        row = manifest(rows, run)[2]
        batch, alone = rows.batch_command(run, Path("a")), rows.row_command(run, 2, Path("b"))
        assert alone[alone.index("composite") + 1] == row.pop("clip")
        del row["id"]
        given = {f"--{name}": value for name, value in row.items()}
        assert flags(alone) == {**flags(batch), **given, "--out": "b"}


def test_recordings_differ(rows: Rows) -> None:
    found = manifest(rows, Run.RECORDINGS)
    sounds = {Path(row["audio"]).read_bytes() for row in found}
    assert len(sounds) == 3
    assert all("features" not in row for row in found)
    assert "--encoder" in rows.batch_command(Run.RECORDINGS, Path("out"))
    other = replace(rows.material, kind=replace(rows.material.kind, name="other"))
    assert not replace(rows, material=other).recordings


def test_clips_of_their_own_hold_no_file_twice_and_are_together_the_long_one(rows: Rows) -> None:
    each = [Path(row["clip"]) for row in manifest(rows, Run.CLIPS)]
    command = rows.one_command(Run.ONE_LONG, Path("out"))
    long = Path(command[command.index("composite") + 1])
    files = [folder / f"{place}.jpg" for folder in each for place in range(50)]
    contents = [file.read_bytes() for file in files]
    assert len(set(contents)) == 150
    assert contents == [(long / f"{number}.jpg").read_bytes() for number in range(150)]
    first, again = (cv2.imread(str(file)) for file in (files[0], files[50]))
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first, again)
    clips = [read_clip(str(folder), boxes=None, box=None, kind=rows.material.kind) for folder in (*each, long)]
    assert [clip.backgrounds for clip in clips] == [50, 50, 50, 150]
    boxes = [box for clip in clips[:3] for box in clip.boxes or ()]
    assert boxes == list(clips[3].boxes or ())
    assert boxes[:20] == list(rows.material.boxes)
    # Each background is shown once.
    assert flags(command)["--loop"] == Loop.WRAP
