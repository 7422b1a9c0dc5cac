import re
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_inputs import HEIGHT, PATIENT, WIDTH, given_or_refused, picture, write_images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from jobs.clip.image_metadata import image_size, read_image_header
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


def looks(
    folder: Path,
    image: Image.Image,
    name: str = "0.png",
    **options: Any,  # noqa: ANN401 - Pillow's own
) -> tuple[ImageFrames, list[str]]:
    """A folder of two images, the second of which says nothing, and what is said of them."""
    folder.mkdir()
    notes = Notes()
    image.save(folder / name, **options)
    Image.fromarray(picture(1)).save(folder / "1.png")
    return read_images(str(folder), image_files(str(folder)), notes), notes.warnings


def profile(*primaries: tuple[float, float, float]) -> bytes:
    """The least that an ICC profile of three primaries is: header, table of tags, three colours."""
    head = bytes(128) + struct.pack(">I", len(primaries))
    table = head + bytes(12 * len(primaries))
    tags, values = b"", b""
    for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags += struct.pack(">4sII", name, len(table) + len(values), 20)
        values += b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in colour))
    return head + tags + values


SRGB = profile((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
DISPLAY_P3 = profile((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1572, 0.0666, 0.7841))


def test_what_images_say_and_frames_do_not_keep_is_warned_of(tmp_path: Path) -> None:
    plain = Image.fromarray(picture(0))
    clear = plain.copy()
    clear.putalpha(100)
    frames, (line,) = looks(tmp_path / "clear", clear)
    assert frames.picture.alpha
    assert line.startswith("clear: 1 of 2 images have transparency")
    frames, (line,) = looks(tmp_path / "wide", plain, icc_profile=DISPLAY_P3)
    assert "not sRGB's" in line
    frames, (line,) = looks(tmp_path / "print", plain.convert("CMYK"), "0.jpg")
    assert "CMYK" in line
    frames, (line,) = looks(tmp_path / "narrow", plain, dpi=(72, 96))
    assert "pixels are not square" in line
    folder = tmp_path / "deep"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "0.png"), picture(0).astype(np.uint16) * 257)
    notes = Notes()
    assert read_images(str(folder), image_files(str(folder)), notes).picture.depth == 16
    assert "more than 8 bits" in notes.warnings[0]


def test_what_images_say_and_frames_keep_is_not(tmp_path: Path) -> None:
    plain = Image.fromarray(picture(0))
    kept: list[dict[str, Any]] = [{}, {"icc_profile": SRGB}, {"dpi": (300, 300)}, {"optimize": True}]
    for number, options in enumerate(kept):
        assert looks(tmp_path / str(number), plain, **options)[1] == []
    assert looks(tmp_path / "grey", plain.convert("L"))[1] == []
    assert looks(tmp_path / "few", plain.convert("P"))[1] == []


def test_sides_of_next_to_no_density_are_alike(tmp_path: Path) -> None:
    sparse = Image.Exif()
    sparse[0x011A] = sparse[0x011B] = IFDRational(1, 1000)
    path = tmp_path / "0.jpg"
    Image.fromarray(picture(0)).save(path, exif=sparse)
    content = path.read_bytes()
    # Without the JFIF segment, whose density goes before.
    assert content[2:4] == b"\xff\xe0"
    path.write_bytes(content[:2] + content[4 + int.from_bytes(content[4:6]) :])
    assert read_image_header(str(path)).density == 1


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_an_animation_among_images_is_refused(tmp_path: Path, suffix: str) -> None:
    more = [Image.fromarray(picture(i)) for i in (9, 20)]
    with pytest.raises(InputError, match="is an animation of 3 pictures"):
        looks(tmp_path / "a", Image.fromarray(picture(0)), f"0.{suffix}", save_all=True, append_images=more)


@pytest.mark.parametrize(("points", "named"), [((9, 16), "HDR (PQ)"), ((9, 18), "HDR (HLG)")])
def test_an_image_in_hdr_is_refused_with_the_command(tmp_path: Path, points: tuple[int, int], named: str) -> None:
    (path,) = write_images(tmp_path, 1)
    say(path, b"cICP" + bytes([*points, 0, 1]))
    with pytest.raises(InputError, match=re.escape(named)) as caught:
        read(tmp_path)
    assert f"tone-map each image: ffmpeg -i {path} -vf zscale" in str(caught.value)


def say(path: Path, *chunks: bytes) -> None:
    """Puts chunks, each its name and its content, in front of a PNG's pixels."""
    content = path.read_bytes()
    framed = (struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks)
    path.write_bytes(content[:33] + b"".join(framed) + content[33:])


LINEAR = b"gAMA" + struct.pack(">I", 100_000)
WIDE = b"cHRM" + struct.pack(">8I", 31_270, 32_900, 70_800, 29_200, 17_000, 79_700, 13_100, 4_600)


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (LINEAR, "their brightness is not coded as sRGB's"),
        (b"cICP" + bytes([1, 8, 0, 1]), "their brightness is not coded as sRGB's"),
        (WIDE, "have colours that are not sRGB's"),
        (b"pHYs" + struct.pack(">IIB", 2, 1, 0), "their pixels are not square (2)"),
    ],
    ids=["gAMA", "cICP", "cHRM", "pHYs"],
)
def test_what_a_png_says_by_chunks_of_its_own_is_warned_of(tmp_path: Path, chunk: bytes, words: str) -> None:
    (path,) = write_images(tmp_path, 1)
    say(path, chunk)
    (line,) = warnings_of(tmp_path)
    assert words in line


def test_chunks_that_say_srgb_or_are_overruled_are_not(tmp_path: Path) -> None:
    """An sRGB chunk stands above gAMA and cHRM (PNG 3, 11.3.2)."""
    usual = b"cHRM" + struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
    said = [(b"gAMA" + struct.pack(">I", 45_455), usual), (b"sRGB\0", LINEAR, WIDE)]
    for number, chunks in enumerate(said):
        (tmp_path / str(number)).mkdir()
        (path,) = write_images(tmp_path / str(number), 1)
        say(path, *chunks)
        assert warnings_of(tmp_path / str(number)) == []


def warnings_of(folder: Path) -> list[str]:
    notes = Notes()
    read_images(str(folder), image_files(str(folder)), notes)
    return notes.warnings
