"""Recordings: decoded at one rate, cut to the sample."""

import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import small
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.errors import InputError
from jobs.audio.recording import check_recording
from jobs.audio.soundtrack import RATE, cut_chunks, sound_chunks


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> Path:
    """``(n, channels)`` as it is."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def read_sound(path: str) -> NDArray[np.float32]:
    return np.concatenate(list(sound_chunks(check_recording(path))), axis=1)


def cut(chunks: Iterable[NDArray[np.float32]], start: int, stop: int, fps: int) -> NDArray[np.float32]:
    return np.concatenate(list(cut_chunks(chunks, start, stop, fps)), axis=1)


def pieces(samples: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    return (samples[:, start : start + size] for start in range(0, samples.shape[1], size))


def sine(seconds: float, rate: int, hertz: float = 440.0) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_at_the_output_rate_samples_are_taken_as_they_are(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, (4801, channels)).astype(np.int16)
    sound = read_sound(str(write_wav(tmp_path / "a.wav", samples, RATE)))
    assert sound.shape == (channels, 4801)
    assert sound.dtype == np.float32
    assert np.array_equal(sound, samples.T.astype(np.float32) / np.float32(32768))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 96000])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    samples = (sine(0.5, rate) * 32767).astype(np.int16)[:, None]
    path = str(write_wav(tmp_path / "a.wav", samples, rate))
    sound = read_sound(path)
    assert sound.shape[1] == pytest.approx(0.5 * RATE, abs=RATE / rate * 2 + 2)
    assert float(check_recording(path).seconds) == pytest.approx(0.5, abs=1e-3)
    # Away from the ends, where the filter has no neighbours, it is the same tone at the same time.
    middle = slice(RATE // 10, RATE * 4 // 10)
    assert np.abs(sound[0, middle] - sine(0.5, RATE)[middle]).max() < 0.02


def test_more_channels_become_two(tmp_path: Path) -> None:
    samples = np.tile((sine(0.1, RATE) * 20000).astype(np.int16)[:, None], (1, 6))
    assert read_sound(str(write_wav(tmp_path / "a.wav", samples, RATE))).shape == (2, 4800)


def test_sound_inside_of_a_video_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((sine(0.2, RATE) * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sound = read_sound(str(path))
    assert sound.shape == (1, 9600)
    assert np.abs(sound[0] - sine(0.2, RATE)).max() < 1e-3


@given(
    st.integers(0, 300),
    st.integers(1, 300),
    st.integers(0, 300 * 1920),
    st.sampled_from([1, 2]),
    st.integers(700, 100_000),
)
def test_a_cut_is_exact(start: int, length: int, there: int, channels: int, size: int) -> None:
    """Sample numbers as values: every output frame gets its own 1920, silence where there are none."""
    samples = np.tile(np.arange(1, there + 1, dtype=np.float32), (channels, 1))
    parts = list(cut_chunks(pieces(samples, size), start, start + length, 25))
    assert all(part.shape[1] for part in parts)
    part = np.concatenate(parts, axis=1)
    assert part.shape == (channels if there else 1, length * 1920)
    expected = np.arange(start * 1920 + 1, (start + length) * 1920 + 1, dtype=np.float32)
    expected[expected > there] = 0
    assert np.array_equal(part, np.tile(expected, (len(part), 1)))


@given(st.integers(0, 200), st.integers(1, 100), st.integers(1, 100), st.sampled_from([24, 25, 30, 7]))
def test_neighbouring_cuts_join_without_gap_or_overlap(start: int, first: int, second: int, fps: int) -> None:
    samples = np.arange(RATE, dtype=np.float32)[None]
    middle, stop = start + first, start + first + second
    parts = [cut([samples], start, middle, fps), cut([samples], middle, stop, fps)]
    assert np.array_equal(np.concatenate(parts, axis=1), cut([samples], start, stop, fps))


def test_a_cut_asks_for_no_more_sound_than_it_needs_and_holds_none() -> None:
    """What an hour depends on: pieces come and go one by one."""
    asked = 0

    def hours() -> Iterator[NDArray[np.float32]]:
        nonlocal asked
        while asked < 1000:
            asked += 1
            yield np.full((1, 4800), asked, np.float32)

    parts = cut_chunks(hours(), 0, 250, 25)
    for number in range(1, 101):
        assert next(parts)[0, 0] == number
        assert asked == number
    assert next(parts, None) is None
    assert asked == 100


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "no.wav")
    for ask in (read_sound, check_recording):
        with pytest.raises(InputError, match="there is no such recording") as caught:
            ask(path)
        assert caught.value.subject == path
    with pytest.raises(InputError, match="there is no such recording"):
        read_sound(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 99])
def test_what_is_no_recording_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        check_recording(str(path))
    assert caught.value.subject == str(path)
    assert "\n" not in str(caught.value)


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros((0, 1), np.int16), RATE)
    with pytest.raises(InputError):
        check_recording(str(path))


def test_a_picture_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="no sound track"):
        read_sound(str(path))


def test_the_clips_own_kind_of_recording(tmp_path: Path) -> None:
    path = small.write_tone(tmp_path / "aud.wav", 1.84)
    assert float(check_recording(str(path)).seconds) == pytest.approx(1.84, abs=1e-3)
