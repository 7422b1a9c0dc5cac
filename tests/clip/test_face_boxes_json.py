import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from clip_inputs import PATIENT, given_or_refused, sides, squares, write_rects
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.core.faces import FaceOrigin
from jobs.clip.face_boxes import FaceBoxes, GivenBoxes, find_boxes
from jobs.clip.face_boxes_json import parse_boxes, read_boxes
from jobs.clip.notes import Notes

PIXEL = st.integers(-(1 << 20), 1 << 20)
RECT = st.builds(FaceBox, PIXEL, PIXEL, PIXEL, PIXEL)
# A box, or none for a frame without a face.
ENTRY = st.none() | RECT
Entries = list[FaceBox | None]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text("0123456789rect", max_size=4) | st.just("rect"), inner, max_size=5)
    ),
    max_leaves=30,
)


def rows(boxes: Iterable[FaceBox | None]) -> list[list[int] | None]:
    return [None if box is None else sides([box])[0] for box in boxes]


def as_list(boxes: Entries) -> object:
    return rows(boxes)


def as_nested_list(boxes: Entries) -> object:
    return [{"rect": box} for box in rows(boxes)]


def as_table(boxes: Entries) -> object:
    return {str(i): {"rect": box, "crop_328_path": "..\\x.jpg"} for i, box in enumerate(rows(boxes))}


def as_flat_table_from_one(boxes: Entries) -> object:
    return {str(i + 1): box for i, box in reversed(list(enumerate(rows(boxes))))}


@pytest.mark.parametrize("form", [as_list, as_nested_list, as_table, as_flat_table_from_one])
@PATIENT
@given(boxes=st.lists(ENTRY, min_size=1, max_size=30))
def test_every_form_gives_back_the_rects_in_frame_order(form: Callable[[Entries], object], boxes: Entries) -> None:
    assert parse_boxes(json.dumps(form(boxes)).encode(), "r.json") == tuple(boxes)


def test_whole_floats_and_a_byte_order_mark_are_read() -> None:
    text = "\ufeff[[1.0, 2e0, 3, 4]]"
    assert parse_boxes(text.encode(), "r.json") == (FaceBox(1, 2, 3, 4),)


@PATIENT
@given(JSON)
def test_any_json_gives_rects_or_an_input_error(value: object) -> None:
    parse_or_refuse(json.dumps(value).encode())


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_give_rects_or_an_input_error(data: bytes) -> None:
    parse_or_refuse(data)


@PATIENT
@given(st.lists(ENTRY, min_size=1, max_size=4), st.data())
def test_a_damaged_file_gives_rects_or_an_input_error(boxes: Entries, data: st.DataObject) -> None:
    text = bytearray(json.dumps(as_table(boxes)).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    parse_or_refuse(bytes(text))


def parse_or_refuse(data: bytes) -> None:
    boxes = given_or_refused(lambda: parse_boxes(data, "r.json"), "r.json")
    assert boxes is None or (boxes and all(type(side) is int for box in rows(boxes) for side in box or ()))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" ", "not valid JSON"),
        ("[[1, 2, 3, 4]", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('["\udcff"]', "not valid JSON"),
        ("[[1, 2, 3, " + "9" * 5000 + "]]", "not valid JSON"),
        ("[[1, 2, 3, NaN]]", "NaN is not a number"),
        ("[[1, 2, 3, -Infinity]]", "-Infinity is not a number"),
        ('{"0": [1,2,3,4], "0": [1,2,3,4]}', "'0' stands there twice"),
        ('{"1": [1,2,3,4], "01": [1,2,3,4]}', "frame 1 stands there twice"),
        ('{"0": [1,2,3,4], "2": [1,2,3,4], "4": [1,2,3,4]}', "face boxes missing: 1, 3"),
        ('{"0": [1,2,3,4], "900000000000": [1,2,3,4]}', "... (899999999999 in all)"),
        ('{"first": [1,2,3,4]}', "'first' is not a frame number"),
        ('{"-1": [1,2,3,4]}', "'-1' is not a frame number"),
        ('{"²": [1,2,3,4]}', "is not a frame number"),
        ("[]", "no face boxes"),
        ("{}", "no face boxes"),
        ("7", "holds 7"),
        ("null", "holds None"),
        ("[[1, 2, 3]]", "entry 0 is [1, 2, 3]"),
        ('[[1,2,3,4], {"path": null}]', "entry 1 is"),
        ('{"0": {}}', "entry 0 is"),
        ('[[1,2,3,4], "1 2 3 4"]', "entry 1 is"),
        ("[[1, 2, 3, true]]", "entry 0 holds True"),
        ('[[1, 2, 3, "4"]]', "entry 0 holds '4'"),
        ("[[1, 2, 3, 4.5]]", "entry 0 holds 4.5"),
        ("[[1, 2, 3, 1e300]]", "entry 0 holds 1e+300"),
        ("[[1, 2, 3, 1e999]]", "entry 0 holds inf"),
        ("[[1, 2, 3, 4294967296]]", "entry 0 holds 4294967296"),
    ],
)
def test_a_bad_file_is_named_with_its_fault_and_the_fix(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_boxes(text.encode("utf-8", "surrogateescape"), "clip/r.json")
    assert str(caught.value).startswith("clip/r.json: ")
    assert problem in caught.value.problem
    assert caught.value.fix
    assert "\n" not in str(caught.value)


def test_a_file_too_large_for_rects_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with path.open("wb") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(InputError, match="268435457 bytes, more than the 268435456"):
        read_boxes(str(path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_boxes(str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="is a folder"):
        read_boxes(str(tmp_path))


def test_a_written_file_is_read_back(tmp_path: Path) -> None:
    boxes = squares(5)
    assert read_boxes(str(write_rects(tmp_path / "r.json", boxes, table=True))) == tuple(boxes)


@PATIENT
@given(RECT, st.integers(1, 4000), st.integers(1, 4000))
def test_a_rect_is_accepted_exactly_where_its_pixels_exist(box: FaceBox, width: int, height: int) -> None:
    fits = 0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height
    laid = FaceBoxes("r.json", (FaceBox(0, 0, 1, 1), box)).checked_inside
    if fits:
        assert laid(width, height, Notes()).boxes[1] == box
        return
    with pytest.raises(InputError) as caught:
        laid(width, height, Notes())
    message = str(caught.value)
    assert message.startswith(f"r.json: the box of frame 1, x {box.x0} to {box.x1}, y {box.y0} to {box.y1}")
    assert f"{width}x{height}" in message or "no area" in message
    assert "--rects" in message


def test_frames_without_a_face_have_no_box_to_check() -> None:
    notes = Notes()
    box, oblong = FaceBox(0, 0, 9, 9), FaceBox(0, 0, 9, 8)
    origins = (FaceOrigin.NONE, FaceOrigin.GIVEN, FaceOrigin.NONE, FaceOrigin.INTERPOLATED)
    found = FaceBoxes("r.json", (None, box, None, oblong), origins=origins)
    assert found.checked_inside(64, 48, notes) == found
    assert notes.warnings == [
        "r.json: 1 of 2 rectangles are not square, the first at frame 3 (9x8); the face is stretched to one"
    ]
    assert found.part(2, 4) == FaceBoxes("r.json", (None, oblong), origins=origins[2:])
    with pytest.raises(InputError, match="none of 1 frames has a face"):
        found.part(0, 1).checked_inside(64, 48, notes)
    with pytest.raises(InputError, match="the box of frame 3, x 0 to 9, y 0 to 8, reaches outside the 64x6 frame"):
        FaceBoxes("r.json", (None, None, None, oblong)).checked_inside(64, 6, notes)


def test_a_file_says_which_frames_have_no_face(tmp_path: Path) -> None:
    def read_as(text: str) -> tuple[FaceBoxes | None, list[str]]:
        (tmp_path / "crop_rects.json").write_text(text)
        notes = Notes()
        return find_boxes(str(tmp_path), GivenBoxes(None, None), notes), notes.found

    found, lines = read_as('{"1": {"rect": [1, 2, 4, 5]}, "2": null, "3": {"rect": null}, "4": {"rect": [1, 2, 5, 6]}}')
    assert found is not None
    assert found.boxes == (FaceBox(1, 2, 4, 5), None, None, FaceBox(1, 2, 5, 6))
    assert found.origins == ("given", "none", "none", "given")
    assert "2 face boxes, 3 to 4 px wide, 2 frames without a face" in lines[0]
    found, lines = read_as("[[1, 2, 4, 5], null]")
    assert found is not None
    assert "1 face boxes, 3 px wide, 1 frame without a face" in lines[0]
    found, lines = read_as("[[1, 2, 4, 5]]")
    assert found is not None
    assert (found.origins, "without" in lines[0]) == (None, False)
    found, lines = read_as("[null, null]")
    assert "0 face boxes, 2 frames without a face" in lines[0]


def test_oblong_rects_give_one_warning_with_count_and_first_frame() -> None:
    notes = Notes()
    boxes = (FaceBox(0, 0, 9, 9), FaceBox(0, 0, 9, 8), FaceBox(0, 0, 9, 7))
    assert FaceBoxes("r.json", boxes).checked_inside(64, 48, notes).boxes == boxes
    assert notes.warnings == [
        "r.json: 2 of 3 rectangles are not square, the first at frame 1 (9x8); the face is stretched to one"
    ]
