"""Files about the chosen face: what another choice makes anew, and what the same one leaves as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from faces_folder import prepared
from found_faces import followed, steady, together

from actors.core.choices import FaceRule
from actors.core.clip import ImageFrames
from jobs.clip.footage import Footage
from jobs.faces.prepared_folder import PAGE, PreparedFolder
from jobs.faces.results import write_results

SIZE = (160, 90)
FACES = together(steady(range(10), 10, 20, 30), steady(range(10), 90, 20, 50))


@pytest.fixture
def folder(tmp_path: Path) -> PreparedFolder:
    made = prepared(tmp_path / "faces", followed(FACES, 10, size=SIZE), SIZE)
    made.conclude(made.searched(), {made.page: b"page"})
    return made


@pytest.fixture
def footage(folder: PreparedFolder) -> Footage:
    frames = ImageFrames((str(folder.path / "grey.png"),) * 10, *SIZE)
    return Footage("talk", "talk", frames, (), ())


def content(folder: PreparedFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(str(folder)).iterdir() if path.is_file()}


def test_the_same_choice_leaves_all_files_as_they_are(folder: PreparedFolder, footage: Footage) -> None:
    before, sheet = content(folder), Path(str(folder.sheet)).stat().st_mtime_ns
    write_results(folder, footage, followed(FACES, 10, size=SIZE))
    assert content(folder) == before
    assert Path(str(folder.sheet)).stat().st_mtime_ns == sheet


def test_another_face_leaves_no_page_about_the_former(folder: PreparedFolder, footage: Footage) -> None:
    before = content(folder)
    write_results(folder, footage, followed(FACES, 10, size=SIZE, choice=FaceRule.LEFT))
    after = content(folder)
    assert PAGE in before
    assert PAGE not in after
    assert all(after[name] != before[name] for name in ("faces.parquet", "face_boxes.json", "contact_sheet.jpg"))
    record = folder.searched()
    assert PAGE not in record.files
    assert record.rules is not None
    assert record.rules.face == "left"


def test_a_damaged_sheet_is_drawn_again(folder: PreparedFolder, footage: Footage) -> None:
    before = content(folder)
    Path(str(folder.sheet)).write_bytes(b"damaged")
    write_results(folder, footage, followed(FACES, 10, size=SIZE))
    assert content(folder) == before
