"""Recordings: every form decoded to the right samples at the right time, in pieces as in one, in bounded memory."""

import math
import subprocess
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import small
from av.stream import Disposition
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sounds import write

from actors.core.errors import InputError
from actors.core.mel import RATE
from jobs.audio.decoding import decoded, mean_of_channels, mono, resampled
from jobs.audio.recording import check_recording

Samples = NDArray[np.float32]

FORMS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "mka": "aac", "mov": "pcm_s24le"}


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> Path:
    """``(n, channels)`` by Python's own writer."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def heard(path: Path, rate: int = RATE) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *mono(str(path), rate)])


def channels_of(path: Path) -> Samples:
    return np.concatenate([piece.samples for piece in decoded(str(path))], axis=1)


def tone(length: float, rate: int, hertz: float = 440.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(length * rate)) / rate)).astype(np.float32)


def clicks(length: float, rate: int, times: list[float]) -> Samples:
    """Short bumps; between them soft noise, without which encoders save themselves the work."""
    samples = np.random.default_rng(2).normal(0, 1e-3, round(length * rate))
    for time in times:
        around = np.arange(len(samples)) / rate - time
        samples += 0.8 * np.exp(-((around / 1e-4) ** 2))
    return samples.astype(np.float32)


def peak(samples: Samples, rate: int, near: float) -> float:
    """The time of the largest sample within 100 ms of a time."""
    first = max(0, round((near - 0.1) * rate))
    return (first + int(np.abs(samples[first : round((near + 0.1) * rate)]).argmax())) / rate


# Samples


def test_sound_of_the_wanted_form_is_taken_bit_for_bit(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, (40_001, 1)).astype(np.int16)
    path = write_wav(tmp_path / "a.wav", samples, RATE)
    assert np.array_equal(heard(path), samples[:, 0].astype(np.float32) / np.float32(32768))
    assert check_recording(str(path)).seconds == Fraction(40_001, RATE)


@pytest.mark.parametrize(
    ("codec", "scale"), [("pcm_u8", 1 << 7), ("pcm_s16le", 1 << 15), ("pcm_s24le", 1 << 23), ("pcm_s32le", 1 << 31)]
)
def test_whole_numbers_of_any_width_become_the_same_floats(tmp_path: Path, codec: str, scale: int) -> None:
    levels = np.random.default_rng(1).integers(-(1 << 7), 1 << 7, 5000) / np.float32(1 << 7)
    path = write(tmp_path / "a.wav", levels[None].astype(np.float32), RATE, codec)
    assert scale >= 1 << 7
    assert np.array_equal(heard(path), levels.astype(np.float32))


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
def test_floats_are_kept_even_beyond_full_scale(tmp_path: Path, codec: str) -> None:
    samples = np.random.default_rng(1).normal(0, 1, 5000).astype(np.float32)
    assert np.array_equal(heard(write(tmp_path / "a.wav", samples[None], RATE, codec)), samples)


@pytest.mark.parametrize("channels", [2, 3, 6, 8, 10])
def test_the_mean_of_the_channels_is_exact(tmp_path: Path, channels: int) -> None:
    """Not FFmpeg's own mixture, which weighs the channels of 5.1 differently and leaves one out."""
    samples = np.random.default_rng(1).integers(-32768, 32767, (9000, channels)).astype(np.int16)
    expected = samples.astype(np.float64).mean(axis=1) / 32768
    mixed = heard(write_wav(tmp_path / "a.wav", samples, RATE))
    assert np.array_equal(mixed, expected.astype(np.float32))


@given(st.integers(1, 12), st.integers(0, 50), st.integers(0, 99))
def test_the_mean_is_rounded_once(channels: int, count: int, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 1, (channels, count)).astype(np.float32)
    expected = [np.float32(math.fsum(map(float, column)) / channels) for column in samples.T]
    assert mean_of_channels(samples).tolist() == [float(value) for value in expected]


@pytest.mark.parametrize("layout", ["stereo", "5.1", "7.1"])
def test_named_layouts_are_averaged_too(tmp_path: Path, layout: str) -> None:
    """Eight planes are one more than PyAV can count: what reads them as they come crashes."""
    count = {"stereo": 2, "5.1": 6, "7.1": 8}[layout]
    samples = np.stack([np.full(8000, (channel + 1) / 32, np.float32) for channel in range(count)])
    mean = (count + 1) / 64
    exact = heard(write(tmp_path / "a.flac", samples, RATE, "flac", layout))
    assert np.array_equal(exact, np.full(8000, mean, np.float32))
    lossy = channels_of(write(tmp_path / "a.m4a", samples, 48_000, "aac", layout))
    assert lossy.shape[0] == count
    assert abs(float(mean_of_channels(lossy)[2000:6000].mean()) - mean) < 0.15 * mean


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_other_rates_are_resampled_without_a_shift(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", tone(1.0, rate)[None], rate, "pcm_s16le")
    sound = heard(path)
    assert abs(len(sound) - RATE) <= 1
    assert check_recording(str(path)).seconds == 1
    middle = slice(RATE // 10, RATE * 9 // 10)
    assert np.abs(sound[middle] - tone(1.0, RATE)[middle]).max() < 2e-3


# Time


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("form", FORMS)
def test_a_click_is_heard_when_it_happened(tmp_path: Path, form: str, rate: int) -> None:
    """Encoders put up to 2000 samples in front, which the file mentions and a player leaves out."""
    times = [0.02, 0.5, 1.777]
    path = write(tmp_path / f"a.{form}", clicks(2.0, rate, times)[None], rate, FORMS[form])
    sound = heard(path)
    for time in times:
        assert abs(peak(sound, RATE, time) - time) < 1e-3


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "m4a", "mov"])
def test_a_recording_is_as_long_as_it_was(tmp_path: Path, form: str) -> None:
    """Encoders also fill up the end; MP4 tells the true length in milliseconds."""
    path = write(tmp_path / f"a.{form}", tone(1.2345, 44_100)[None], 44_100, FORMS[form])
    assert abs(float(check_recording(str(path)).seconds) - 1.2345) < 1e-3
    assert abs(len(heard(path)) / RATE - 1.2345) < 1e-3


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_sound_that_begins_after_its_picture_comes_after_silence(tmp_path: Path, form: str) -> None:
    samples = clicks(1.0, 48_000, [0.2])[None]
    late = write(tmp_path / f"late.{form}", samples, 48_000, "aac", picture=0, at=24_000)
    assert abs(peak(heard(late), RATE, 0.7) - 0.7) < 1e-3
    assert not heard(late)[: round(0.45 * RATE)].any()
    prompt = write(tmp_path / f"prompt.{form}", samples, 48_000, "aac", picture=0)
    assert abs(peak(heard(prompt), RATE, 0.2) - 0.2) < 1e-3


@pytest.mark.parametrize("form", ["mp4", "mkv", "mov"])
def test_sound_that_begins_before_its_picture_begins_at_once(tmp_path: Path, form: str) -> None:
    """A file begins with its earliest stream; here that is the sound, half a second before the picture."""
    samples = clicks(1.0, 48_000, [0.2])[None]
    early = write(tmp_path / f"early.{form}", samples, 48_000, "aac", picture=12)
    assert abs(peak(heard(early), RATE, 0.2) - 0.2) < 1e-3
    both = write(tmp_path / f"both.{form}", samples, 48_000, "aac", picture=25, at=72_000)
    assert abs(peak(heard(both), RATE, 0.7) - 0.7) < 1e-3
    assert not heard(both)[: round(0.45 * RATE)].any()


def test_sound_alone_begins_with_its_first_sample_whatever_its_clock_says(tmp_path: Path) -> None:
    samples = clicks(1.0, 48_000, [0.2])[None]
    path = write(tmp_path / "a.mka", samples, 48_000, "aac", at=240_000)
    assert abs(peak(heard(path), RATE, 0.2) - 0.2) < 1e-3


def test_of_several_sound_tracks_the_one_that_players_play_is_heard(tmp_path: Path) -> None:
    """The first one may be a commentary."""
    names = ["other.m4a", "wanted.m4a"]
    for name, hertz in zip(names, [440.0, 880.0], strict=True):
        write(tmp_path / name, tone(1.0, 44_100, hertz)[None], 44_100, "aac")
    with av.open(str(tmp_path / "a.mka"), "w") as target:
        sources = [av.open(str(tmp_path / name)) for name in names]
        tracks = [target.add_stream_from_template(source.streams.audio[0]) for source in sources]
        tracks[0].disposition, tracks[1].disposition = Disposition(0), Disposition.default
        for source, track in zip(sources, tracks, strict=True):
            for packet in source.demux(audio=0):
                packet.stream = track
                if packet.size:
                    target.mux(packet)
            source.close()
    spectrum = np.abs(np.fft.rfft(heard(tmp_path / "a.mka")[:RATE]))
    assert int(spectrum.argmax()) == 880


def test_a_cover_is_no_picture_that_sound_could_be_late_for(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        shown = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="bgr24")
        shown.pts = 0
        container.mux([*cover.encode(shown), *cover.encode(None)])
        frame = av.AudioFrame.from_ndarray(clicks(1.0, 44_100, [0.2])[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert check_recording(str(path)).seconds == 1
    assert abs(peak(heard(path), RATE, 0.2) - 0.2) < 1e-3


# Pieces


@settings(max_examples=examples(20))
@given(
    st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]),
    st.integers(0, 30_000),
    st.lists(st.integers(1, 9000), min_size=1, max_size=5),
)
def test_how_sound_is_cut_changes_no_resampled_bit(rate: int, count: int, sizes: list[int]) -> None:
    samples = np.random.default_rng(count).normal(0, 0.1, count).astype(np.float32)
    whole = np.concatenate([np.zeros(0, np.float32), *resampled([samples], rate, RATE)])
    # Of less than its own length, a hundredth of a second, the filter swallows a few samples.
    assert count < rate / 25 or abs(len(whole) - count * RATE / rate) <= 1

    def cut() -> Iterator[Samples]:
        position, turn = 0, 0
        while position < count:
            yield samples[position : position + sizes[turn % len(sizes)]]
            position, turn = position + sizes[turn % len(sizes)], turn + 1

    assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *resampled(cut(), rate, RATE)]), whole)


GROWTH = """
import sys
from pathlib import Path
from actors.core.mel import RATE, mel_windows
from jobs.audio.decoding import mono

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

for path in sys.argv[1:]:
    count = sum(len(part) for part in mel_windows(mono(path, RATE), 25))
    print(count, peak())
"""


def test_four_minutes_are_heard_in_the_memory_of_five_seconds(tmp_path: Path) -> None:
    """From file to mel windows, in a process of its own: all samples would take 15 MB, all windows 31 MB."""
    second = (tone(1.0, 8_000) * 32767).astype(np.int16)[:, None]
    short = write_wav(tmp_path / "short.wav", np.tile(second, (5, 1)), 8_000)
    long = write_wav(tmp_path / "long.wav", np.tile(second, (240, 1)), 8_000)
    command = [sys.executable, "-c", GROWTH, str(short), str(long)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=small.ROOT)
    assert done.returncode == 0, done.stderr
    (few, before), (many, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (few, many) == (122, 5_997)
    assert after - before < 8 << 10


# What is no recording


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        heard(path)
    error = caught.value
    assert error.subject == str(path)
    assert "\n" not in str(error)
    with pytest.raises(InputError):
        check_recording(str(path))
    return error


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.wav").problem == "there is no such recording"


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 99])
def test_what_is_no_recording_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    error = refusal(path)
    assert (error.problem == "is empty") == (not content)


@pytest.mark.parametrize(
    ("form", "codec", "name"),
    [
        ("wv", "wavpack", "a WavPack file"),
        ("ac3", "ac3", "an AC-3 file"),
        ("ts", "aac", "an MPEG transport stream"),
        ("flv", "libmp3lame", "a Flash video (FLV)"),
    ],
)
def test_a_recording_of_a_kind_that_is_not_read_is_named_with_the_command_that_converts_it(
    tmp_path: Path, form: str, codec: str, name: str
) -> None:
    path = write(tmp_path / f"a b.{form}", tone(1.0, 44_100)[None], 44_100, codec)
    said = refusal(path)
    assert said.problem == f"is {name}, which is not read"
    assert said.fix == f"convert it: ffmpeg -i '{path}' 'a b.wav'"


def test_a_picture_in_the_place_of_a_recording_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert refusal(tmp_path / "a.png").problem == "is a still image (PNG), not a recording"


def test_a_picture_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    assert refusal(path).problem == "has no sound track"


def test_a_recording_without_a_sample_is_refused(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros((0, 1), np.int16), RATE)
    with pytest.raises(InputError):
        check_recording(str(path))


@pytest.mark.parametrize("form", ["wav", "flac", "m4a", "mp3", "mov"])
def test_a_recording_that_was_cut_off_is_refused(tmp_path: Path, form: str) -> None:
    """Players play what is left of it; a video that ends in the middle of a word is not what anybody wanted."""
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * 44_100).astype(np.float32)
    path = write(tmp_path / f"a.{form}", noise[None], 44_100, FORMS[form])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refusal(path)


@pytest.mark.parametrize("form", ["mka", "m4a", "webm"])
def test_sound_after_a_hole_in_the_clock_comes_when_it_should(tmp_path: Path, form: str) -> None:
    """Recorders leave out packets that they lost, or that were silent."""
    rate, codec = (48_000, "libopus") if form == "webm" else (44_100, FORMS[form])
    path = write(tmp_path / f"a.{form}", clicks(3.0, rate, [0.5, 2.5])[None], rate, codec, hole=(1.0, 0.4))
    found = check_recording(str(path))
    assert any("clock goes on without sound in one place" in warning for warning in found.warnings)
    # Its features are others than those that an earlier version made of it.
    assert found.spliced
    assert float(found.seconds) == pytest.approx(3.4, abs=0.03)
    assert peak(heard(path), RATE, 0.5) == pytest.approx(0.5, abs=0.003)
    assert peak(heard(path), RATE, 2.9) == pytest.approx(2.9, abs=0.003)


def test_a_long_hole_in_the_clock_is_refused_with_the_command_that_fills_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a b.mka", tone(3.0, 44_100)[None], 44_100, FORMS["mka"], hole=(1.0, 2.0))
    said = refusal(path)
    assert "goes on 2.0" in said.problem
    assert f"ffmpeg -i '{path}' -af aresample=async=1 'a b.filled.wav'" in said.fix


def test_a_flac_file_with_a_frame_that_is_none_is_refused(tmp_path: Path) -> None:
    """Less than a second would be missing: what comes behind would be heard that much too early."""
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * 44_100).astype(np.float32)
    path = write(tmp_path / "a.flac", noise[None], 44_100, "flac")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = bytes(50)
    path.write_bytes(content)
    assert "is damaged" in refusal(path).problem


@pytest.mark.parametrize(("form", "words"), [("m4a", "is damaged"), ("mp3", "is damaged"), ("mka", "is cut off")])
def test_a_recording_with_a_hole_in_it_is_refused(tmp_path: Path, form: str, words: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * 44_100).astype(np.float32)
    path = write(tmp_path / f"a.{form}", noise[None], 44_100, FORMS[form])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(content)
    assert words in refusal(path).problem


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "m4a"])
def test_tags_behind_the_sound_are_no_damage(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"a.{form}", tone(1.0, 44_100)[None], 44_100, FORMS[form])
    before = heard(path)
    path.write_bytes(path.read_bytes() + b"APETAGEX" + bytes(range(200)) + b"TAG" + b"x" * 125)
    assert np.array_equal(heard(path), before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    samples = tone(0.5, RATE)
    samples[5000] = bad
    path = write(tmp_path / "a.wav", samples[None], RATE, "pcm_f32le")
    with pytest.raises(InputError, match="not finite numbers"):
        heard(path)


@pytest.mark.parametrize("rate", [100, 3_999, 800_000, 4_000_000])
def test_rates_of_no_recording_are_refused(tmp_path: Path, rate: int) -> None:
    """A second at 1 Hz would become 16,000 samples, and at 4 GHz the filter would take all memory."""
    path = write_wav(tmp_path / "a.wav", np.zeros((4000, 1), np.int16), rate)
    assert f"{rate} samples a second" in refusal(path).problem


def test_a_wav_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    """What writes into a pipe cannot go back and fill in the sizes."""
    path = write_wav(tmp_path / "a.wav", (tone(1.0, RATE) * 32767).astype(np.int16)[:, None], RATE)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(heard(path)) == RATE
