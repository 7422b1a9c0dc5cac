"""The page about faces: its drawings against what they draw, its words, and that it is a matter of its folder alone."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import in_process
import numpy as np
import pytest
from faces_folder import prepared
from found_faces import Face, followed, steady, together
from hypothesis import given
from hypothesis import strategies as st
from made_run import BEGAN, one_range, record, write_run
from page_reader import Reader

from actors.core.choices import Covered, FaceRule
from actors.core.errors import InputError
from actors.core.faces import FaceOrigin
from jobs.faces.choice import FaceChoice, FacePoint
from jobs.faces.prepared_folder import PreparedFolder
from jobs.report.face_drawings import MOST_COLUMNS, columns, draw_origins, draw_parts, draw_track, draw_values
from jobs.report.faces_page import MOST_LINES
from jobs.report.scale import Axis
from jobs.report.write import remake_faces_page, write_faces_page

FRAMES = 60

# The first is away for long, for a moment, covered, and back after a cut; the second is beside her for a while.
FACES = together(
    steady([*range(12), *range(24, 30), *range(33, 45)], 60, 20, 50),
    steady(range(50, 60), 40, 10, 70),
    steady(range(5, 16), 5, 30, 20),
)
PRESENCE = [0.1 if 34 <= frame < 42 and box[0] == 60 else 1.0 for frame, box in FACES]


@pytest.fixture
def folder(tmp_path: Path) -> PreparedFolder:
    dubbed = followed(FACES, FRAMES, size=(160, 90), cuts=[45], presence=PRESENCE)
    return prepared(tmp_path / "faces", dubbed, (160, 90))


def page_of(folder: PreparedFolder) -> Reader:
    return Reader(Path(remake_faces_page(folder)).read_text(encoding="utf-8"))


def test_the_page_says_who_is_there_and_who_is_not(folder: PreparedFolder) -> None:
    page = page_of(folder)
    for promised in (
        "talk.mp4 ! 17 frames without the face",
        "60 frames, 160x90, 25 fps, 2.40 s",
        "face detected 40 66.7% of 60 frames",
        "interpolated 3 5.0% of 60 frames",
        "without the face 17 28.3% of 60 frames",
        "faces 3 dubbed: 1, 2",
        "cuts 1 2 shots",
        "face 1 dubbed shot 1: frames 0 to 44 0.00 s to 1.80 s on 50% of all frames",
        "face 3 shot 1: frames 5 to 15",
        "the largest --face; decided for each shot",
        "0.2 s --face-gap",
        "rendered nevertheless --covered",
        "1 0 to 44 0.00 s 1.80 s 1 the largest",
        "2 45 to 59 1.80 s 0.60 s 2 the largest",
        "12 to 23 0.48 s 0.48 s another face is there",
        "45 to 49 1.80 s 0.20 s nobody is found, best score 1.00",
        "30 to 32 1.20 s 0.12 s",
        "34 to 41 1.36 s 0.32 s",
        "12 0.48 s face 1 goes dubbed",
        "16 0.64 s face 3 goes",
        "24 0.96 s face 1 comes dubbed",
        "45 1.80 s face 1 goes dubbed, cut",
    ):
        assert promised in page.text, (promised, page.text)
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [picture["alt"] for picture in pictures] == [
        *("face 1, frame 0", "face 3, frame 5", "face 2, frame 50"),
        *("without the face, frame 17", "interpolated, frame 31", "without the face, frame 47"),
    ]
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)


def test_the_page_is_a_matter_of_the_folder_alone(folder: PreparedFolder) -> None:
    dubbed = followed(FACES, FRAMES, size=(160, 90), cuts=[45], presence=PRESENCE)
    path = Path(write_faces_page(folder, dubbed))
    first, record = path.read_bytes(), folder.searched()
    assert folder.holds(record, folder.page)
    assert Path(remake_faces_page(folder)).read_bytes() == first
    assert folder.searched() == record
    page = Reader(first.decode())
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "form", "a"}
    assert b"url(" not in first
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


@pytest.mark.parametrize(
    ("choice", "covered", "words"),
    [
        (FaceRule.LEFT, Covered.RENDER, ["the leftmost --face; decided", "1.80 s 3 the leftmost"]),
        (3, Covered.RENDER, ["number 3 --face; other shots", "3 named: --face 3", "the largest: the face that was"]),
        (FacePoint(70, 30, 2), Covered.RENDER, ["at 70,30 on frame 2", "1 named: --face-at 70,30,2"]),
        (
            FaceRule.LARGEST,
            Covered.PASSTHROUGH,
            ["counts as no face", "Counts as no face. frames from for 34 to 41", "34 to 41 1.36 s 0.32 s the mouth"],
        ),
    ],
)
def test_the_rules_in_force_are_told(choice: FaceChoice, covered: Covered, words: list[str], tmp_path: Path) -> None:
    dubbed = followed(FACES, FRAMES, size=(160, 90), cuts=[45], presence=PRESENCE, choice=choice, covered=covered)
    page = page_of(prepared(tmp_path / "faces", dubbed, (160, 90)))
    for promised in words:
        assert promised in page.text, (promised, page.text)


def test_a_page_without_a_sheet_says_so(folder: PreparedFolder) -> None:
    Path(str(folder.sheet)).write_bytes(b"damaged")
    page = page_of(folder)
    assert "contact_sheet.jpg is missing or damaged, so there are no pictures" in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_what_the_footage_is_called_is_text(tmp_path: Path) -> None:
    evil = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*191 }}\x1b[31m\u202e"
    dubbed = followed(FACES, FRAMES, size=(160, 90))
    page = page_of(prepared(tmp_path / "faces", dubbed, (160, 90), name=evil))
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*191 }}" in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert not {"\x1b", "\u202e"} & set(page.text)


def test_long_tables_say_how_much_they_leave_out(tmp_path: Path) -> None:
    # Away on every second second.
    faces: list[Face] = [
        face for i in range(MOST_LINES + 30) for face in steady(range(20 * i, 20 * i + 10), 60, 20, 50)
    ]
    dubbed = followed(faces, 20 * (MOST_LINES + 30), size=(160, 90))
    path = Path(remake_faces_page(prepared(tmp_path / "faces", dubbed, (160, 90), sheet=False)))
    text = Reader(path.read_text()).text
    assert "30 more are not listed" in text
    assert "160 more are not listed" in text
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("faces.parquet", None, "faces.parquet: is missing or damaged"),
        ("faces.parquet", b"PAR1", "faces.parquet: is missing or damaged"),
        ("detections/000000000-000000060.parquet", None, "0 of 60 frames have been searched"),
    ],
)
def test_a_damaged_folder_has_no_page(folder: PreparedFolder, file: str, content: bytes | None, problem: str) -> None:
    path = Path(str(folder)) / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(problem)):
        remake_faces_page(folder)


def test_before_the_face_is_chosen_there_is_no_page(tmp_path: Path) -> None:
    dubbed = followed(FACES, FRAMES, size=(160, 90))
    folder = prepared(tmp_path / "faces", dubbed, (160, 90), concluded=False)
    with pytest.raises(InputError, match="does not say yet which face is dubbed"):
        remake_faces_page(folder)


def test_the_command_makes_the_page_again(folder: PreparedFolder) -> None:
    result = in_process.command("report", folder)
    assert result.code == 0, result.output
    assert "faces.html" in result.output
    assert Path(str(folder.page)).is_file()


def test_a_run_s_report_leads_to_the_page_about_its_faces(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", one_range(0, 1, BEGAN), record(1))
    dubbed = followed(FACES, FRAMES, size=(160, 90))
    folder = prepared(run / "faces", dubbed, (160, 90), concluded=False)
    early = in_process.command("report", run)
    assert early.code == 0, early.output
    assert "warning: no page about its faces" in early.output
    assert 'href="faces' not in (run / "report.html").read_text()
    folder.forget()
    prepared(run / "faces", dubbed, (160, 90))
    result = in_process.command("report", run)
    assert result.code == 0, result.output
    assert 'href="faces/faces.html"' in (run / "report.html").read_text()
    assert (run / "faces" / "faces.html").is_file()


ORIGINS = st.lists(
    st.sampled_from([FaceOrigin.DETECTED, FaceOrigin.INTERPOLATED, FaceOrigin.NONE]),
    min_size=1,
    max_size=2 * MOST_COLUMNS,
)


@given(ORIGINS)
def test_the_strip_shows_the_share_of_every_column(origins: list[FaceOrigin]) -> None:
    boxes = draw_origins(origins)
    place = columns(len(origins)).tolist()
    count = place[-1] + 1
    for column in range(count):
        here = [origin for origin, its in zip(origins, place, strict=True) if its == column]
        middle = (column + 0.5) * 1000 / count
        drawn = {box.name: box.height for box in boxes if box.x <= middle < box.x + box.width}
        shares = {each: 100 * here.count(each) / len(here) for each in (FaceOrigin.DETECTED, FaceOrigin.INTERPOLATED)}
        assert drawn == pytest.approx({each.value: share for each, share in shares.items() if share}, abs=0.06)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 100)), min_size=1, max_size=60))
def test_values_are_drawn_frame_by_frame(faces: list[tuple[int, int]]) -> None:
    tracks = [track for track, _ in faces]
    values = [float(value) if track else float("nan") for track, value in faces]
    path, _ = draw_values(np.array(values, np.float32), np.array(tracks), Axis(100, ()))
    count = len(tracks)
    expected = []
    for frame, (track, value) in enumerate(zip(tracks, values, strict=True)):
        if track:
            joins = frame > 0 and tracks[frame - 1] == track
            left, right = frame * 1000 / count, (frame + 1) * 1000 / count
            expected.append(f"{'L' if joins else 'M'}{left:.1f},{100 - value:.1f}H{right:.1f}")
    assert path == "".join(expected)


@given(st.integers(1, 3000), st.data())
def test_a_face_s_bar_shows_every_frame_that_it_is_on(frames: int, data: st.DataObject) -> None:
    seen = sorted(data.draw(st.sets(st.integers(0, frames - 1), min_size=1, max_size=40)))
    track = followed([(0, (10, 10, 40, 40))], 1).tracks[0]
    boxes = draw_track(track, np.array(seen), frames)
    assert all(a.x + a.width < b.x for a, b in pairwise(boxes))
    count = min(frames, MOST_COLUMNS)
    drawn = {
        column for box in boxes for column in range(count) if box.x <= (column + 0.5) * 1000 / count < box.x + box.width
    }
    assert drawn == {frame * count // frames for frame in seen}


@pytest.mark.parametrize("frames", [1, 2, 7, 149, 150, 151, 1000])
def test_parts_say_what_is_on_their_frames(frames: int) -> None:
    dubbed = followed(steady(range(frames), 60, 20, 50), frames)
    parts = draw_parts(dubbed)
    assert len(parts) <= 150
    counts = [int(many) for _, text in parts for many in re.findall(r"(\d+) detected", text)]
    assert sum(counts) == frames
    assert all("face 1; centre 85,45, height 50 px; score 0." in text for _, text in parts)
    assert sum(box.width for box, _ in parts) == pytest.approx(1000, abs=10)
