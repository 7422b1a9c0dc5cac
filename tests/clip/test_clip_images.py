from pathlib import Path

import cv2
import numpy as np
import pytest
from clip_inputs import HEIGHT, PATIENT, WIDTH, given_or_refused, picture, write_images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from jobs.clip.image_look import image_size
from jobs.clip.images import image_files, read_images
from jobs.clip.notes import Notes


def read(folder: Path) -> ImageFrames:
    return read_images(str(folder), image_files(str(folder)), Notes())


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "bmp", "webp", "PNG"])
@pytest.mark.parametrize("start", [0, 1, 98])
def test_images_are_read_in_numerical_order_wherever_they_start(tmp_path: Path, suffix: str, start: int) -> None:
    paths = write_images(tmp_path, 11, start=start, pattern=f"{{}}.{suffix}")
    found = read(tmp_path)
    assert (found.paths, found.width, found.height) == (tuple(map(str, paths)), WIDTH, HEIGHT)


def test_other_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 3)
    for name in ("._0.png", ".5.png", "Thumbs.db", "notes.txt", "9.json"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / "7.png").mkdir()
    assert read(tmp_path).paths == tuple(map(str, paths))


def test_the_first_frame_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    paths = write_images(tmp_path, 12)
    cv2.imwrite(str(paths[3]), picture(3, 32, 24))
    cv2.imwrite(str(paths[10]), picture(10, 16, 16))
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{paths[3]}: 32x24, but the first frame is 64x48; all frames")


@pytest.mark.parametrize("keep", [1, 7, 20])
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
def test_a_damaged_header_is_named(tmp_path: Path, suffix: str, keep: int) -> None:
    paths = write_images(tmp_path, 5, pattern=f"{{}}.{suffix}")
    paths[2].write_bytes(paths[2].read_bytes()[:keep])
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert caught.value.subject == str(paths[2])
    assert "not a readable image" in caught.value.problem
    assert "again" in caught.value.fix


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = write_images(tmp_path, 5)[2]
    path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{path}: the file is empty; copy or export it again"


def test_an_image_too_large_to_be_a_frame_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "0.bmp"
    cv2.imwrite(str(path), picture(0))
    data = bytearray(path.read_bytes())
    data[18:26] = np.array([60_000, 60_000], "<i4").tobytes()
    path.write_bytes(data)
    with pytest.raises(InputError, match="exceeds limit"):
        image_size(str(path))


def test_a_picture_of_another_kind_under_an_image_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    Image.fromarray(picture(0)).save(path, format="TIFF")
    with pytest.raises(InputError, match="not a known image"):
        image_size(str(path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no image files; put numbered \.jpg"):
        read(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_the_size_is_that_of_the_picture_opencv_decodes(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"0.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture(0)).save(path, exif=exif)
    decoded = cv2.imread(str(path))
    assert decoded is not None
    assert image_size(str(path)) == (decoded.shape[1], decoded.shape[0])


@pytest.mark.parametrize("exif", [b"MM\0*\0", b"MM\0*\0\0\xff\xff\0\x09", b"??", b"II*\0\x08\0\0\0\xff\xff"])
def test_damaged_exif_is_no_reason_to_refuse_a_frame(tmp_path: Path, exif: bytes) -> None:
    path = tmp_path / "0.jpg"
    Image.fromarray(picture(0)).save(path, exif=b"Exif\0\0" + exif)
    assert read(tmp_path).width == WIDTH


@PATIENT
@given(st.sampled_from(["jpg", "png", "bmp", "webp"]), st.integers(0, 200), st.binary(min_size=1, max_size=6))
def test_a_damaged_image_gives_a_size_or_an_input_error(tmp_path: Path, suffix: str, place: int, patch: bytes) -> None:
    data = bytearray(cv2.imencode(f".{suffix}", picture(0))[1].tobytes())
    data[place : place + len(patch)] = patch
    path = tmp_path / "0.img"
    path.write_bytes(data)
    size = given_or_refused(lambda: image_size(str(path)), path)
    assert size is None or min(size) > 0
