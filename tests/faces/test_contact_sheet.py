"""The contact sheet: every face with the number by which it is chosen, and pictures of the frames that it names."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from found_faces import Face, followed, steady, together
from presenter_footage import write_footage

from actors.core.clip import FrameSource
from actors.core.faces import FaceOrigin
from actors.rendering.source_frames import frames_of
from jobs.clip.footage import read_footage
from jobs.faces.contact_sheet import MOST_FACES, MOST_WITHOUT, PICTURE, cut_pictures, draw_sheet, plan_sheet, shown_gaps
from jobs.faces.dubbing import DubbedFace

SIZE = (160, 90)
FRAMES = 40

# A large one is away for long and for a moment; a small one is there for a while.
FACES = together(steady([*range(10), *range(20, 25), *range(27, 40)], 60, 20, 50), steady(range(5, 15), 5, 30, 20))


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> FrameSource:
    """Every frame has a brightness of its own."""
    pictures = [np.full((*SIZE[::-1], 3), 20 + 5 * i, np.uint8) for i in range(FRAMES)]
    return read_footage(str(write_footage(tmp_path_factory.mktemp("footage") / "grey.mp4", pictures))).frames


@pytest.fixture(scope="module")
def dubbed() -> DubbedFace:
    return followed(FACES, FRAMES, size=SIZE)


def test_every_face_and_every_gap_has_its_words(dubbed: DubbedFace) -> None:
    sheet = plan_sheet(dubbed, SIZE)
    assert sheet.heading == "2 faces on 40 frames. Give --face N to dub another one"
    assert [(cell.key, cell.name, cell.dubbed) for cell in sheet.faces] == [(1, "face 1", True), (2, "face 2", False)]
    assert sheet.faces[1].lines == ("frames 5 to 14", "0.20 s to 0.60 s", "on 25% of all frames")
    assert [(cell.key, cell.name, cell.frame) for cell in sheet.gaps] == [
        (10, "without the face", 14),
        (25, "interpolated", 25),
    ]
    assert sheet.gaps[0].lines == ("frames 10 to 19", "0.40 s from 0.40 s", "picture: frame 14")
    assert sheet.gaps[0].box is None
    assert sheet.gaps[1].box == pytest.approx((60, 20, 110, 70))


def test_faces_stand_by_shots_with_the_numbers_that_choose_them() -> None:
    faces = together(steady(range(20), 10, 20, 30), steady(range(20, 40), 60, 20, 60), steady(range(20), 90, 20, 40))
    sheet = plan_sheet(followed(faces, FRAMES, size=SIZE, cuts=[20]), SIZE)
    assert [cell.key for cell in sheet.faces] == [2, 3, 1]
    assert [cell.lines[0] for cell in sheet.faces] == [
        "shot 1: frames 0 to 19",
        "shot 1: frames 0 to 19",
        "shot 2: frames 20 to 39",
    ]
    assert [cell.dubbed for cell in sheet.faces] == [True, False, True]


def images(folder: Path) -> FrameSource:
    for i in range(FRAMES):
        cv2.imwrite(str(folder / f"{i:04d}.png"), np.full((*SIZE[::-1], 3), 20 + 5 * i, np.uint8))
    return read_footage(str(folder)).frames


@pytest.mark.parametrize("form", ["video", "images"])
def test_pictures_are_of_the_frames_that_they_name(
    form: str, dubbed: DubbedFace, footage: FrameSource, tmp_path: Path
) -> None:
    frames = footage if form == "video" else images(tmp_path)
    sheet = plan_sheet(dubbed, SIZE)
    content = draw_sheet(sheet, frames)
    assert content == draw_sheet(sheet, frames)
    pictures = cut_pictures(content, sheet)
    assert pictures is not None
    levels = [float(frame.mean()) for frame in frames_of(frames)]
    for cell, picture in zip(sheet.cells, pictures, strict=True):
        assert picture.shape == (PICTURE, PICTURE, 3)
        middle = picture[PICTURE // 2 - 10 : PICTURE // 2 + 10, PICTURE // 2 - 10 : PICTURE // 2 + 10]
        assert abs(float(middle.mean()) - levels[cell.frame]) < 1.5, cell


def test_a_face_at_the_edge_of_the_frame_is_shown_with_grey_beside_it(footage: FrameSource) -> None:
    sheet = plan_sheet(followed(steady(range(FRAMES), -20, 20, 40), FRAMES, size=SIZE), SIZE)
    pictures = cut_pictures(draw_sheet(sheet, footage), sheet)
    assert pictures is not None
    left, top, side = sheet.faces[0].region
    assert sheet.faces[0].frame == 0
    edge = round(-left * PICTURE / side)
    assert top > 0
    assert abs(float(pictures[0][:20, : edge - 8].mean()) - 222) < 4
    assert float(pictures[0][:20, edge + 8 :].mean()) < 40


@pytest.mark.parametrize("box", [(-1e30, -1e30, 2e30, 1e30), (500, 500, 500, 500), (1e5, 0, 1e5 + 50, 50)])
def test_a_face_that_cannot_be_has_a_picture_nevertheless(
    box: tuple[float, float, float, float], footage: FrameSource
) -> None:
    sheet = plan_sheet(followed([(3, box)], FRAMES, size=SIZE), SIZE)
    pictures = cut_pictures(draw_sheet(sheet, footage), sheet)
    assert pictures is not None


def test_there_are_no_more_pictures_than_can_be_made_in_a_moment() -> None:
    # Everybody is there on a few frames, and then nobody is.
    count = MOST_FACES + 20
    faces: list[Face] = [face for i in range(count) for face in steady(range(20 * i, 20 * i + 5), 2 * (i % 40), 20, 30)]
    dubbed = followed(faces, 20 * count, size=SIZE, cuts=range(20, 20 * count, 20))
    sheet = plan_sheet(dubbed, SIZE)
    assert sheet.heading.startswith(f"{count} faces on {20 * count:,} frames; the {MOST_FACES} largest are shown")
    assert sorted(cell.key for cell in sheet.faces) == list(range(1, MOST_FACES + 1))
    assert [origin for origin, _ in shown_gaps(dubbed)] == [FaceOrigin.NONE] * MOST_WITHOUT
    assert all(x + PICTURE <= sheet.size[0] and y + PICTURE <= sheet.size[1] for x, y in sheet.places)
    assert len(set(sheet.places)) == len(sheet.places)


def test_what_is_no_such_sheet_has_no_pictures(dubbed: DubbedFace) -> None:
    sheet = plan_sheet(dubbed, SIZE)
    other = io.BytesIO()
    PIL.Image.new("RGB", (60, 40)).save(other, "JPEG")
    for content in (b"", b"\xff\xd8\xff", other.getvalue()):
        assert cut_pictures(content, sheet) is None
