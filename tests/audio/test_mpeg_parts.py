"""Joined MP3 and AAC files are read as players read them; damage is still damage."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import write

from actors.core.errors import InputError
from jobs.audio.decoding import decoded
from jobs.audio.mpeg_parts import sound_parts
from jobs.audio.recording import check_recording

SECONDS = 2

ID3V1 = b"TAG" + b"x" * 125


def id3v2(size: int) -> bytes:
    """A tag whose content looks like frames here and there."""
    body = (b"\xff\xfb\x90\x44" + bytes(100)) * (size // 104 + 1)
    return b"ID3\x04\0\0" + bytes(size >> 7 * power & 0x7F for power in (3, 2, 1, 0)) + body[:size]


def ape(size: int) -> bytes:
    head = struct.pack("<IIII", 2000, size + 32, 1, 0) + bytes(8)
    return b"APETAGEX" + head + b"y" * size + b"APETAGEX" + head


JOINTS = {
    "nothing": b"",
    "ID3v2": id3v2(3000),
    "a large ID3v2": id3v2(200_000),
    "ID3v1 and ID3v2": ID3V1 + id3v2(300),
    "APE": ape(500),
    "APE and ID3v1": ape(500) + ID3V1,
    "filling": bytes(5000),
    "lyrics": b"LYRICSBEGIN" + b"IND00002" + b"z" * 90 + b"000110LYRICS200" + ID3V1,
}


@cache
def one(rate: int = 44_100, channels: int = 1, form: str = "mp3") -> bytes:
    samples = np.random.default_rng(rate).normal(0, 0.1, (channels, SECONDS * rate)).astype(np.float32)
    with TemporaryDirectory() as folder:
        path = Path(folder, f"one.{form}")
        return write(path, samples, rate, {"mp3": "libmp3lame", "aac": "aac"}[form]).read_bytes()


def sound(path: Path) -> NDArray[np.float32]:
    return np.concatenate([piece.samples for piece in decoded(str(path))], axis=1)


# Nothing marks the begin of an AAC file, so that filling in front of it cannot be told from damage.
@pytest.mark.parametrize(
    ("joint", "form"),
    [(joint, form) for form in ("mp3", "aac") for joint in JOINTS if (joint, form) != ("filling", "aac")],
)
def test_joined_files_are_read_one_after_the_other(tmp_path: Path, joint: str, form: str) -> None:
    content = one(form=form)
    path = tmp_path / f"a.{form}"
    path.write_bytes(content)
    alone = sound(path)
    path.write_bytes(content + JOINTS[joint] + content + JOINTS[joint] + content + ID3V1)
    found = check_recording(str(path))
    assert abs(float(found.seconds) - 3 * SECONDS) < 0.2
    assert found.warnings == ()
    joined = sound(path)
    assert np.array_equal(joined[:, : alone.shape[1] - 3000], alone[:, :-3000])
    # An encoder's filling stands between them, as when it is played.
    tail = alone[0, 20_000:24_000]
    places = np.correlate(joined[0, 80_000:], tail, "valid")
    assert places.max() > 0.9 * float(tail @ tail)


@pytest.mark.parametrize("joint", ["nothing", "ID3v2"])
def test_rates_and_channels_may_change_between_them(tmp_path: Path, joint: str) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(JOINTS[joint].join([one(), one(24_000), one(48_000, 2)]))
    found = check_recording(str(path))
    assert abs(float(found.seconds) - 3 * SECONDS) < 0.3
    assert len(found.warnings) == 1
    assert "changes its rate or its channels midway" in found.warnings[0]
    assert {(piece.rate, piece.layout) for piece in decoded(str(path))} == {(44_100, "mono")}


@pytest.mark.parametrize("front", [b"junk" * 3000, bytes(2000), id3v2(500) + b"\x01\x02" * 999, b"\r\n\r\n"])
def test_what_stands_in_front_of_the_first_frame_is_passed_over(tmp_path: Path, front: bytes) -> None:
    content = one()
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    alone = sound(path)
    path.write_bytes(front + content)
    assert np.array_equal(sound(path), alone)


def test_a_file_that_is_alone_is_read_as_it_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    for content in (one(), id3v2(4000) + one() + ape(300) + ID3V1):
        path.write_bytes(content)
        assert not check_recording(str(path)).spliced


Harm = Callable[[bytes], bytes]
HARMS: dict[str, Harm] = {
    "overwritten": lambda content: content[:9000] + b"\xff" * 3000 + content[12_000:],
    "zeroed": lambda content: content[:9000] + bytes(3000) + content[12_000:],
    "torn out": lambda content: content[:9000] + content[12_003:],
    "cut off": lambda content: content[: len(content) // 3],
}


@pytest.mark.parametrize("where", ["alone", "first", "last"])
@pytest.mark.parametrize("harm", HARMS)
def test_sound_that_is_missing_is_no_joint(tmp_path: Path, where: str, harm: str) -> None:
    whole = one()
    harmed = HARMS[harm](whole)
    parts = {"alone": [harmed], "first": [harmed, whole], "last": [whole, harmed]}[where]
    path = tmp_path / "a.mp3"
    path.write_bytes(id3v2(400).join(parts))
    with pytest.raises(InputError, match=r"is damaged|is cut off"):
        check_recording(str(path))


def test_anything_else_is_left_alone(tmp_path: Path) -> None:
    """Noise, and frames whose announcements end within them."""
    rng = np.random.default_rng(8)
    frame = b"\xff\xfb\x90\x44" + bytes(413)
    for number in range(60):
        noise = rng.integers(0, 256, int(rng.integers(0, 5000)), dtype=np.uint8).tobytes()
        content = [noise, id3v2(50) + noise, frame + id3v2(20) + b"\xff\xfb\x90\x44" + bytes(52) + b"Info\0"][
            number % 3
        ]
        assert sound_parts("a.mp3", io.BytesIO(content), len(content)) is None
