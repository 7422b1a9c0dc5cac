"""Spliced PNG files hold the finished frame's pixels, in OpenCV, in Pillow and in a decoder that forgives nothing."""

import io
import pickle
import struct
import zlib
from itertools import count

import cv2
import numpy as np
import PIL.Image
import pytest
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from pictures import CONTENTS, by_opencv, picture, spans

from actors.core.clip import FaceBox
from actors.core.pixels import Image, paste
from actors.core.png import PngBackground, adler32_combine, encode_png, prepare_png, splice_png


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int, FaceBox]:
    """Width and height of a frame, and a square in it."""
    width, height = draw(st.integers(1, 130)), draw(st.integers(1, 90))
    (x0, x1), (y0, y1) = draw(spans(width)), draw(spans(height))
    return width, height, FaceBox(x0, y0, x1, y1)


def by_pillow(content: bytes) -> Image:
    image = PIL.Image.open(io.BytesIO(content))
    assert image.mode == "RGB"
    return np.asarray(image, np.uint8)[:, :, ::-1]


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Type and data of every chunk; each CRC is checked, and nothing may follow the last one."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = [], 8
    while place < len(content):
        size = struct.unpack_from(">I", content, place)[0]
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        assert len(data) == size
        assert struct.unpack_from(">I", content, place + 8 + size)[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        place += 12 + size
    return found


def strictly(content: bytes) -> Image:
    """Decodes as the specification says, and fails on all that it forbids and on filters other than UP and SUB."""
    found = chunks(content)
    kinds = [kind for kind, _ in found]
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    assert set(kinds[1:-1]) == {b"IDAT"}
    width, height, *rest = struct.unpack(">IIBBBBB", found[0][1])
    assert rest == [8, 2, 0, 0, 0]
    decompressor = zlib.decompressobj()
    # The Adler-32 is checked on the way.
    raw = decompressor.decompress(b"".join(data for kind, data in found if kind == b"IDAT"))
    assert decompressor.eof
    assert decompressor.unused_data == b""
    assert len(raw) == height * (1 + 3 * width)

    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + 3 * width)
    pixels = np.zeros((height, width, 3), np.uint8)
    for y, row in enumerate(rows):
        values = row[1:].reshape(width, 3)
        if row[0] == 1:
            pixels[y] = np.cumsum(values, axis=0, dtype=np.uint8)
        else:
            assert row[0] == 2
            pixels[y] = values + pixels[y - 1] if y else values
    return pixels[:, :, ::-1]


@settings(max_examples=examples(120), deadline=None)
@given(place=places(), below=st.sampled_from(CONTENTS), above=st.sampled_from(CONTENTS), seed=st.integers(0, 2**32 - 1))
@example(place=(1280, 720, FaceBox(532, 210, 754, 432)), below="noise", above="noise", seed=1)
@example(place=(1270, 710, FaceBox(1048, 488, 1270, 710)), below="slope", above="noise", seed=2)
@example(place=(854, 480, FaceBox(0, 0, 854, 480)), below="flat", above="noise", seed=3)
@example(place=(854, 480, FaceBox(0, 0, 1, 1)), below="flat", above="flat", seed=4)
@example(place=(1, 1, FaceBox(0, 0, 1, 1)), below="noise", above="noise", seed=5)
def test_a_spliced_file_holds_the_finished_frame(
    place: tuple[int, int, FaceBox], below: str, above: str, seed: int
) -> None:
    width, height, box = place
    frame = picture(below, height, width, seed)
    frame.setflags(write=False)
    prepared = prepare_png(frame, box)
    for content in (above, "noise"):
        square = picture(content, box.height, box.width, seed + 1)
        square.setflags(write=False)
        finished = paste(frame, square, box)
        spliced = splice_png(prepared, square)
        assert np.array_equal(strictly(spliced), finished)
        assert np.array_equal(by_opencv(spliced), finished)
        assert np.array_equal(by_pillow(spliced), finished)
        assert encode_png(finished, box) == spliced


def test_the_parts_around_the_square_are_the_backgrounds() -> None:
    frame, box = picture("noise", 90, 120, 8), FaceBox(30, 20, 80, 70)
    prepared = prepare_png(frame, box)
    one, other = (chunks(splice_png(prepared, picture("noise", 50, 50, seed))) for seed in (9, 10))
    same = [a == b for a, b in zip(one, other, strict=True)]
    # Header, rows above, the square's rows, rows below, Adler-32, end.
    assert same == [True, True, False, True, False, True]


@settings(deadline=None)
@given(first=st.binary(max_size=300), second=st.binary(max_size=300), repeats=st.integers(0, 2000))
@example(first=b"\xff" * 300, second=b"\xff" * 300, repeats=2000)
@example(first=b"", second=b"", repeats=0)
def test_adler_of_joined_strings(first: bytes, second: bytes, repeats: int) -> None:
    second *= repeats
    combined = adler32_combine(zlib.adler32(first), zlib.adler32(second), len(second))
    assert combined == zlib.adler32(first + second)
    assert adler32_combine(zlib.adler32(second), zlib.adler32(first), len(first)) == zlib.adler32(second + first)


def test_adler_at_the_modulus() -> None:
    # Sums of exactly 65521 - 1 and 65521 bytes: the low halves are 0 and 1.
    for size in (65520, 65521):
        first, second = b"\x01" * size, b"\x01" * 65520
        combined = adler32_combine(zlib.adler32(first), zlib.adler32(second), len(second))
        assert combined == zlib.adler32(first + second)


def slot(value: int) -> int:
    """Where ISA-L's first levels keep the position of four bytes: CRC-32C without its inversions, 13 bits of it."""
    for _ in range(32):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value & 8191


def falling_on(place: int, wanted: int, kind: int) -> bytes:
    """16 bytes of a filtered row: those from number ``place`` on have this slot, the first one is the filter's kind."""
    head = bytearray([kind, *range(100, 115)])
    for number in count():
        head[max(place, 1) : max(place, 1) + 3] = number.to_bytes(3, "little")
        if slot(int.from_bytes(head[place : place + 4], "little")) == wanted:
            return bytes(head)
    raise AssertionError


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_bytes_are_the_same_wherever_the_compressor_lies(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """ISA-L takes its own address for data; where both fall on one slot, a string that comes again is not found."""
    make, given = isal_zlib.compressobj, (1, isal_zlib.DEFLATED, -15)
    made = [make(*given) for _ in range(24)]
    # The struct begins a few bytes behind the object that holds it.
    held = [one for one in made if id(one) & 0xFFFF < 0xF000]
    slots = [slot(id(one) >> 16 & 0xFFFFFFFF) for one in held]
    others = [one for one, its in zip(held, slots, strict=True) if its not in slots[:3]]

    rng = np.random.default_rng(place)
    filtered = rng.integers(0, 6, (30, 301), dtype=np.uint8)
    box = FaceBox(20, 10, 80, 20)
    for first, its in zip((0, box.y0, box.y1), slots, strict=False):
        kind = 1 if first == box.y1 else 2
        filtered[first, :16] = list(falling_on(place, its, kind))
        filtered[first, 40:56] = [9] * place + list(filtered[first, place:16])
    changes = filtered[:, 1:].reshape(30, 100, 3)
    pixels = np.cumsum(changes, axis=0, dtype=np.uint8)
    pixels[box.y1] = np.cumsum(changes[box.y1], axis=0, dtype=np.uint8)
    pixels[box.y1 + 1 :] = pixels[box.y1] + np.cumsum(changes[box.y1 + 1 :], axis=0, dtype=np.uint8)

    # Rows above and below are compressed first, then those of the square.
    waiting = [held[0], held[2], held[1], *others[:3]]
    monkeypatch.setattr(isal_zlib, "compressobj", lambda *_: waiting.pop(0))
    files = [encode_png(pixels[:, :, ::-1].copy(), box) for _ in range(2)]
    assert not waiting
    assert np.array_equal(strictly(files[0]), pixels[:, :, ::-1])
    assert files[0] == files[1]


def test_it_survives_the_object_store() -> None:
    frame, box = picture("noise", 100, 300, 5), FaceBox(130, 20, 200, 90)
    square = picture("slope", 70, 70, 6)
    prepared = prepare_png(frame, box)
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
    assert len(pickled) < 1500
    assert sum(buffer.raw().nbytes for buffer in buffers) == prepared.nbytes

    shared = [bytes(buffer.raw()) for buffer in buffers]
    before = [bytes(buffer) for buffer in shared]
    received = pickle.loads(pickled, buffers=shared)  # noqa: S301
    assert isinstance(received, PngBackground)
    assert not received.band.flags.writeable
    assert np.array_equal(strictly(splice_png(received, square)), paste(frame, square, box))
    assert shared == before


def test_a_prepared_background_keeps_nothing_else_alive() -> None:
    frame = picture("slope", 480, 1280, 7)
    prepared = prepare_png(frame, FaceBox(600, 100, 700, 200))
    assert prepared.band.base is None
    assert prepared.above.base is None
    assert prepared.nbytes < frame.nbytes / 3


def test_a_soft_picture_is_no_larger_than_opencvs_own() -> None:
    noise = np.random.default_rng(3).normal(128, 800, (360, 640, 3))
    frame = np.clip(cv2.GaussianBlur(noise, (0, 0), 6), 0, 255).astype(np.uint8)
    done, expected = cv2.imencode(".png", frame)
    assert done
    assert len(encode_png(frame, FaceBox(200, 100, 400, 300))) < 0.95 * expected.size


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 30, 3), (30, 40, 1), (31, 40, 3)])
def test_a_square_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    prepared = prepare_png(picture("flat", 100, 100, 1), FaceBox(10, 10, 50, 40))
    with pytest.raises(ValueError, match="does not fit"):
        splice_png(prepared, np.zeros(shape, np.uint8))
