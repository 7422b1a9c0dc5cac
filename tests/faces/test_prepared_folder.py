from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_faces import made_up
from presenter_footage import write_footage

from actors.core.choices import Covered, FaceRule
from actors.core.errors import InputError, StoppedError
from actors.core.ranges import FrameRange, divide
from actors.files import storage
from jobs.clip.footage import read_footage
from jobs.faces.choice import FaceChoice, FacePoint
from jobs.faces.dubbing import FaceRules
from jobs.faces.prepared_folder import FacesRecord, FootageRecord, PreparedFolder, RulesRecord, unsearched

FOOTAGE = FootageRecord(name="v.mp4", digest="0" * 32, frames=6, width=320, height=180, fps="30000/1001")


@pytest.fixture
def folder(tmp_path: Path) -> PreparedFolder:
    prepared = PreparedFolder.at(str(tmp_path / "faces"))
    prepared.begin(FacesRecord(footage=FOOTAGE, finder="f" * 64))
    return prepared


def test_a_record_is_read_as_it_was_written(folder: PreparedFolder) -> None:
    record = folder.record()
    assert record == FacesRecord(footage=FOOTAGE, finder="f" * 64)
    assert str(record.footage.rate) == "30000/1001"


def test_a_folder_without_a_record_has_none(tmp_path: Path) -> None:
    empty = PreparedFolder.at(str(tmp_path))
    assert empty.record() is None
    assert empty.ranges() == ()
    with pytest.raises(InputError, match="holds no prepared faces"):
        empty.searched()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"finder": "xyz"},
        {"footage": {**FOOTAGE.model_dump(), "frames": 0}},
        {"footage": {**FOOTAGE.model_dump(), "frames": 10**12}},
        {"footage": {**FOOTAGE.model_dump(), "fps": "25/0"}},
        {"rules": {"face": "middle", "gap": 0.2, "covered": "render"}},
        {"rules": {"face": "1,2,3,4", "gap": 0.2, "covered": "render"}},
        {"rules": {"face": "left", "gap": -1, "covered": "render"}},
        {"rules": {"face": "left", "gap": 0.2, "covered": "hide"}},
        {"rules": {}},
        {"files": {"faces.parquet": 3}},
        {"files": []},
    ],
)
def test_a_record_that_cannot_be_is_refused(folder: PreparedFolder, change: dict[str, Any]) -> None:
    path = Path(str(folder.record_file))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="is no record of prepared faces") as caught:
        folder.record()
    assert caught.value.subject == str(path)


@pytest.mark.parametrize("choice", [*FaceRule, 1, 12, FacePoint(0, 7), FacePoint(100, 200, 5)])
@pytest.mark.parametrize("covered", Covered)
def test_rules_are_read_as_they_were_written(choice: FaceChoice, covered: Covered) -> None:
    rules = FaceRules(choice, 0.25, covered)
    assert RulesRecord.model_validate_json(RulesRecord.of(rules).model_dump_json()).rules == rules


def test_a_file_is_held_that_is_as_the_record_says(folder: PreparedFolder) -> None:
    folder.conclude(folder.searched(), {folder.sheet: b"picture"})
    record = folder.searched()
    assert folder.holds(record, folder.sheet)
    assert not folder.holds(record, folder.table)
    Path(str(folder.sheet)).write_bytes(b"changed")
    assert not folder.holds(record, folder.sheet)
    Path(str(folder.sheet)).unlink()
    assert not folder.holds(record, folder.sheet)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": 1}'])
def test_a_record_that_is_none_is_refused(folder: PreparedFolder, content: str) -> None:
    Path(str(folder.record_file)).write_text(content)
    with pytest.raises(InputError):
        folder.record()


def test_a_folder_that_cannot_be_written_stops_the_command(folder: PreparedFolder) -> None:
    detections = Path(str(folder.detections))
    detections.rmdir()
    detections.write_text("in the way")
    with pytest.raises(StoppedError, match="cannot be written"), folder.writing():
        folder.keep(made_up([1]))


def test_what_was_found_is_kept_by_ranges(folder: PreparedFolder) -> None:
    folder.keep(made_up([1, 1, 0], first=3))
    folder.keep(made_up([0, 2, 1]))
    assert folder.ranges() == (FrameRange(0, 3), FrameRange(3, 6))
    parts = dict(folder.parts())
    assert list(parts) == [FrameRange(0, 3), FrameRange(3, 6)]
    assert [part.first for part in parts.values() if part] == [0, 3]


def test_damaged_overlapping_and_foreign_ranges_are_told(folder: PreparedFolder) -> None:
    folder.keep(made_up([0, 2, 1]))
    folder.keep(made_up([1], first=2))
    folder.keep(made_up([1, 1], first=3))
    folder.keep(made_up([1, 1], first=5))
    (Path(str(folder.detections)) / "000000003-000000005.parquet").write_bytes(b"PAR1")
    parts = list(folder.parts())
    assert [part.first for _, part in parts if part] == [0]
    assert [span for span, part in parts if not part] == [FrameRange(2, 3), FrameRange(3, 5), FrameRange(5, 7)]


def test_forgetting_leaves_what_is_not_ours(folder: PreparedFolder) -> None:
    folder.keep(made_up([0, 2, 1]))
    folder.conclude(folder.searched(), {folder.table: b"table", folder.boxes: b"[]"})
    root = Path(str(folder))
    (root / "v.mp4").write_bytes(b"footage")
    (root / "detections" / "notes.txt").write_text("mine")
    folder.forget()
    assert sorted(path.name for path in root.rglob("*")) == ["detections", "faces.json", "notes.txt", "v.mp4"]


def test_what_killed_processes_leave_is_swept(folder: PreparedFolder) -> None:
    folder.keep(made_up([0, 2, 1]))
    before = sorted(Path(str(folder)).rglob("*"))
    for path in (folder.table, folder.detections / "000000000-000000003.parquet"):
        name = f".{storage.name_of(str(path))}.123-0a1b2c3d.partial"
        Path(storage.join(storage.parent_of(str(path)), name)).write_bytes(b"half")
    folder.sweep()
    assert sorted(Path(str(folder)).rglob("*")) == before


def test_files_are_recorded_with_their_checksums(folder: PreparedFolder) -> None:
    folder.conclude(folder.searched(), {folder.table: b"table"})
    folder.conclude(folder.searched(), {folder.boxes: b"[]"})
    files = folder.searched().files
    assert sorted(files) == ["face_boxes.json", "faces.parquet"]
    assert files["faces.parquet"].bytes == 5


def test_footage_is_known_by_its_frames(tmp_path: Path) -> None:
    pictures = [np.full((180, 320, 3), level, np.uint8) for level in (50, 200)]
    one, same, other = (
        read_footage(str(write_footage(tmp_path / name, frames)))
        for name, frames in (("a.mp4", pictures), ("b.mp4", pictures), ("c.mp4", pictures[::-1]))
    )
    records = [FootageRecord.of(footage) for footage in (one, same, other)]
    assert [record.name for record in records] == ["a.mp4", "b.mp4", "c.mp4"]
    assert records[0].digest == records[1].digest != records[2].digest
    assert (records[0].frames, records[0].width, records[0].height, records[0].fps) == (2, 320, 180, "25")


@given(kept=st.sets(st.integers(0, 9)).map(sorted), size=st.integers(1, 4))
def test_frames_that_no_range_holds_are_missing(kept: list[int], size: int) -> None:
    missing = unsearched(divide(kept, size), 10)
    assert [frame for gap in missing for frame in gap] == sorted(set(range(10)) - set(kept))
    assert all(before.stop < after.start for before, after in pairwise(missing))
