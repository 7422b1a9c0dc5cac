"""Headers that were written before a length was known are read past; files that were cut off are refused."""

from __future__ import annotations

import contextlib
import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sounds import write

from actors.core.errors import InputError
from actors.core.mel import RATE
from jobs.audio.recording import check_recording
from jobs.audio.wav_lengths import is_round, readable_parts

SECONDS = 3
SAMPLES = np.random.default_rng(4).normal(0, 0.1, SECONDS * RATE).astype(np.float32)[None]

# Suffix, codec and options; for every size in the header: its mark, how far behind it stands, its form, and what of a
# number of bytes of samples belongs there: all, with so many more, or the number of samples.
FORMS = {
    "wav": ("wav", "pcm_s16le", {}, ((b"RIFF", 4, "<I", 36), (b"data", 4, "<I", 0))),
    "rf64": (
        "wav",
        "pcm_s16le",
        {"rf64": "always"},
        ((b"ds64", 8, "<Q", 72), (b"ds64", 16, "<Q", 0), (b"ds64", 24, "<Q", "samples")),
    ),
    "w64": ("w64", "pcm_s24le", {}, ((b"riff", 16, "<Q", 104), (b"data", 16, "<Q", 24))),
    "aiff": ("aiff", "pcm_s16be", {}, ((b"FORM", 4, ">I", 46), (b"COMM", 10, ">I", "samples"), (b"SSND", 4, ">I", 8))),
    "au": ("au", "pcm_s16be", {}, ((b".snd", 8, ">I", 0),)),
    "caf": ("caf", "pcm_s16le", {}, ((b"data", 4, ">Q", 4),)),
}


def recording(
    folder: Path, form: str, *, bytes_said: int | None = None, samples: NDArray[np.float32] = SAMPLES
) -> Path:
    """A file of this form whose header says so many bytes of samples; ``None``: the truth; -1: all ones."""
    suffix, codec, options, fields = FORMS[form]
    path = write(folder / f"a.{suffix}", samples, RATE, codec, options=options)
    content = bytearray(path.read_bytes())
    width = 3 if codec == "pcm_s24le" else 2
    for mark, behind, shape, more in fields if bytes_said is not None else ():
        value = 0 if bytes_said is None else bytes_said
        if value > 0:
            value = value // width if isinstance(more, str) else value + more
        largest = (1 << 8 * struct.calcsize(shape)) - 1
        struct.pack_into(shape, content, content.index(mark) + behind, value & largest)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "said",
    [
        0,
        -1,
        0x7FFFFFFF - 64,
        2_000_000,
        30_000_000,
        1_000_000_000,
        1_000_000_000 - 8,
        1 << 30,
        (1 << 24) - 36,
        3600 * RATE * 6,
        1000 * RATE * 12,
    ],
)
def test_placeholders_are_read_past_with_a_warning(tmp_path: Path, form: str, said: int) -> None:
    found = check_recording(str(recording(tmp_path, form, bytes_said=said)))
    assert found.seconds == SECONDS
    assert len(found.warnings) == 1
    assert "read to its end" in found.warnings[0]


@pytest.mark.parametrize("form", FORMS)
def test_sound_that_is_longer_than_its_placeholder_is_read_to_its_end_too(tmp_path: Path, form: str) -> None:
    long = np.tile(SAMPLES, (1, 12))
    found = check_recording(str(recording(tmp_path, form, bytes_said=1_000_000, samples=long)))
    assert found.seconds == 12 * SECONDS


@pytest.mark.parametrize("form", FORMS)
def test_true_headers_are_no_placeholders(tmp_path: Path, form: str) -> None:
    found = check_recording(str(recording(tmp_path, form)))
    assert found.seconds == SECONDS
    assert found.warnings == ()
    assert not found.spliced


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_what_was_cut_off_is_refused(tmp_path: Path, form: str, kept: float) -> None:
    path = recording(tmp_path, form)
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * kept)])
    with pytest.raises(InputError, match=re.escape(f"{path}: is cut off")):
        check_recording(str(path))


@pytest.mark.parametrize(("total", "warnings"), [(0, 0), (1_000_000_000, 1), ((1 << 36) - 1, 1), (123_457, None)])
def test_flac_of_unknown_length(tmp_path: Path, total: int, warnings: int | None) -> None:
    path = write(tmp_path / "a.flac", SAMPLES, RATE, "flac")
    content = bytearray(path.read_bytes())
    sizes = int.from_bytes(content[18:26], "big")
    content[18:26] = (sizes & ~((1 << 36) - 1) | total).to_bytes(8, "big")
    path.write_bytes(content)
    if warnings is None:
        with pytest.raises(InputError, match="cut off"):
            check_recording(str(path))
    else:
        found = check_recording(str(path))
        assert found.seconds == SECONDS
        assert len(found.warnings) == warnings


def test_files_that_were_joined_are_read_as_by_players_with_a_warning(tmp_path: Path) -> None:
    """A second WAV file behind the first one is not played by anything."""
    path = recording(tmp_path, "wav")
    path.write_bytes(path.read_bytes() * 2)
    found = check_recording(str(path))
    assert found.seconds == SECONDS
    assert "behind the end that its header gives" in found.warnings[0]


def test_ogg_that_was_cut_off_is_warned_of(tmp_path: Path) -> None:
    """What was recorded live has no end either, so that it is not refused."""
    path = write(tmp_path / "a.ogg", SAMPLES, RATE, "flac")
    assert check_recording(str(path)).warnings == ()
    content = path.read_bytes()
    path.write_bytes(content + content)
    assert check_recording(str(path)).seconds == 2 * SECONDS
    assert check_recording(str(path)).warnings == ()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert "not marked as the end" in check_recording(str(path)).warnings[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_header_gives_sound_or_one_clear_line(tmp_path: Path, form: str) -> None:
    whole = recording(tmp_path, form).read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(300):
        content = bytearray(whole[: int(rng.integers(4, 200))] if rng.random() < 0.2 else whole[:400])
        for place in rng.integers(4, len(content), 4):
            content[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))])
        file, notes = io.BytesIO(content), list[str]()
        with contextlib.suppress(InputError):
            assert readable_parts("a", file, len(content), notes) is None or notes


def test_a_true_size_beyond_31_bits_is_no_placeholder(tmp_path: Path) -> None:
    path = recording(tmp_path, "wav")
    content = bytearray(path.read_bytes())
    start = content.index(b"data") + 8
    size = 3_000_000_002
    content[start - 4 : start] = size.to_bytes(4, "little")
    content[4:8] = (start + size - 8).to_bytes(4, "little")
    path.write_bytes(content)
    notes: list[str] = []
    with path.open("r+b") as file:
        file.truncate(start + size)
        assert readable_parts(str(path), file, start + size, notes) is None
        assert notes == []
        assert readable_parts(str(path), file, start + size - 1_000_000, notes) is not None
    assert "does not say how long it is" in notes[0]


@given(st.integers(1, 9), st.integers(6, 18))
@example(2, 9)
def test_round_numbers_are_round(digit: int, zeros: int) -> None:
    assert is_round(digit * 10**zeros)
    assert not is_round(digit * 10**zeros + 1234)
    assert all(is_round((1 << 2 * zeros + 8) - less) for less in (0, 1, 8, 44, 100))
    assert not is_round(digit * 10**zeros // 10**zeros * 10**5)


@given(st.integers(1, 3600), st.sampled_from([16_000, 22_050, 44_100, 48_000]), st.sampled_from([2, 4]))
def test_whole_seconds_are_rarely_round(seconds: int, rate: int, block: int) -> None:
    """Most recordings of whole seconds are no placeholders; the rest come in steps of a minute or so."""
    assert not is_round(seconds * rate * block) or seconds * 4 % 125 == 0
