from pathlib import Path

import pytest
from clip_inputs import PATIENT, given_or_refused, landmark_text, squares, write_landmarks
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from jobs.clip.landmarks import face_square, landmark_files, read_landmarks


def with_point(index: int, text: str) -> bytes:
    lines = landmark_text(FaceBox(10, 6, 30, 26)).split("\n")
    lines[index] = text
    return "\n".join(lines).encode()


@PATIENT
@given(st.integers(-5000, 5000), st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_three_points_fix_the_square(x0: int, y0: int, side: int) -> None:
    box = FaceBox(x0, y0, x0 + side, y0 + side)
    assert face_square(landmark_text(box).encode(), "0.lms") == box


@pytest.mark.parametrize(
    ("text", "x0"),
    [("12.9 7", 12), ("-0.9 7", 0), ("-3.5 7", -3), ("1.2e1 7", 12), (" 12\t7 \r", 12), ("16777217 7", 16777216)],
)
def test_coordinates_are_float32_truncated_towards_zero(text: str, x0: int) -> None:
    assert face_square(with_point(1, text), "0.lms").x0 == x0


def test_windows_line_ends_and_a_missing_last_newline_are_read() -> None:
    text = landmark_text(FaceBox(10, 6, 30, 26))
    assert face_square(text.replace("\n", "\r\n").encode(), "0.lms") == FaceBox(10, 6, 30, 26)
    assert face_square(text.rstrip("\n").encode(), "0.lms") == FaceBox(10, 6, 30, 26)


NO_NUMBERS = ["nan 7", "inf 7", "1_0 7", "0x10 7", "7", "1 2 3", "left 7", "1,5 7", "1e 7", ". 7", "\u0661 7"]


@pytest.mark.parametrize(
    ("index", "text"), [*((57, text) for text in NO_NUMBERS), (31, "1e39 7"), (31, "3e9 7"), (1, "-1e999 7")]
)
def test_a_bad_point_is_named(index: int, text: str) -> None:
    with pytest.raises(InputError) as caught:
        face_square(with_point(index, text), "landmarks/3.lms")
    assert str(caught.value).startswith("landmarks/3.lms: ")
    assert caught.value.problem.startswith(f"point {index} ") or "not a text file" in caught.value.problem
    assert "--rects" in caught.value.fix


@pytest.mark.parametrize("count", [0, 68, 109, 111])
def test_another_number_of_points_is_refused(count: int) -> None:
    with pytest.raises(InputError, match=rf"^0\.lms: holds {count} points, not 110; "):
        face_square(b"1 2\n" * count, "0.lms")


@PATIENT
@given(
    st.binary(max_size=900)
    | st.lists(st.text("0123456789.eE+- naif", max_size=12)).map(lambda p: "\n".join(p).encode())
)
def test_any_bytes_give_a_square_or_an_input_error(data: bytes) -> None:
    square_or_refusal(data)


@PATIENT
@given(st.integers(0, 109), st.text(max_size=20))
def test_any_line_gives_a_square_or_an_input_error(index: int, text: str) -> None:
    square_or_refusal(with_point(index, text))


def square_or_refusal(data: bytes) -> None:
    square = given_or_refused(lambda: face_square(data, "0.lms"), "0.lms")
    assert square is None or square.width == square.height


def test_files_are_read_in_numerical_order(tmp_path: Path) -> None:
    boxes = squares(12)
    folder = str(write_landmarks(tmp_path / "landmarks", boxes))
    paths, found = read_landmarks(folder, landmark_files(folder))
    assert found == tuple(boxes)
    assert [Path(path).name for path in paths] == [f"{i}.lms" for i in range(12)]


def test_a_huge_landmark_file_is_refused_unread(tmp_path: Path) -> None:
    folder = write_landmarks(tmp_path / "landmarks", squares(2))
    with (folder / "1.lms").open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(InputError, match=r"1\.lms: 4294967296 bytes, more than"):
        read_landmarks(str(folder), landmark_files(str(folder)))
