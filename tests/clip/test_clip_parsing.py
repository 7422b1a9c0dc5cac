"""Parsing masks: paired by position, and refused in one line that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from jobs.clip import read_parsing

FRAMES = ImageFrames(tuple(f"/c/{i}.png" for i in range(3)), 64, 48)


def write(folder: Path, *names: str, width: int = 64, height: int = 48) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        assert cv2.imwrite(str(folder / name), np.zeros((height, width, 3), np.uint8))
    return folder


def refusal(folder: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_parsing(str(folder), FRAMES)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("names", [("0.png", "1.png", "2.png"), ("p_9.png", "p_10.png", "p_11.PNG")])
def test_masks_are_sorted_by_number_whatever_it_begins_with(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = write(tmp_path / "parsing", *reversed(names))
    # What is not a mask is left alone: lossy images cannot hold exact colours.
    (folder / "readme.txt").touch()
    write(folder, "5.jpg")
    found = read_parsing(str(folder), FRAMES)
    assert [Path(path).name for path in found.paths] == list(names)
    assert (found.width, found.height) == (64, 48)


def test_no_folder_and_no_masks(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent").problem == "there is no such folder"
    assert refusal(write(tmp_path / "empty")).problem == "holds no .png files"
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file").problem == "is not a folder"


def test_another_number_of_masks(tmp_path: Path) -> None:
    folder = write(tmp_path / "parsing", "0.png", "1.png")
    assert refusal(folder).problem == "2 parsing masks, but there are 3 backgrounds"
    write(folder, "3.png")
    error = refusal(folder)
    assert "missing: 2" in error.problem
    write(folder, "2.png")
    assert refusal(folder).problem == "4 parsing masks, but there are 3 backgrounds"


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    folder = write(tmp_path / "parsing", "0.png", "1.png", "2.png")
    write(folder, "1.png", width=32)
    error = refusal(folder)
    assert error.subject == str(folder / "1.png")
    assert error.problem == "32x48, but the frames are 64x48"


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_mask_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path / "parsing", "0.png", "1.png", "2.png")
    (folder / "2.png").write_bytes(content)
    assert refusal(folder).subject == str(folder / "2.png")
