"""What is found of a recording before anything depends on it, and that the commands say it."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import av
import in_process
import numpy as np
import pytest
from encoders import write_encoder
from numpy.typing import NDArray
from small import SmallClip
from sounds import write

from actors.core.errors import InputError
from actors.core.mel import RATE
from actors.core.voice_activity import hop_powers
from actors.files.digests import content_digest, text_digest
from actors.kinds import kinds_named
from jobs.audio.decoding import mono
from jobs.audio.feature_source import read_mel_source
from jobs.audio.recording import check_recording
from jobs.audio.soundtrack import sound_chunks

Samples = NDArray[np.float32]


def tone(seconds: float, rate: int = RATE) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 330 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def level(samples: Samples) -> float:
    """In dB, of the middle."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(np.float64)
    return float(10 * np.log10((middle**2).mean()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e6, -3e38])
def test_samples_that_are_no_sound_are_found_with_their_time(tmp_path: Path, bad: float) -> None:
    samples = tone(2.0)[None].repeat(2, axis=0)
    samples[1, 20_000] = bad
    path = write(tmp_path / "a.wav", samples, RATE, "pcm_f32le")
    with pytest.raises(InputError, match=r"(not finite numbers|as large as .*) \(after 1\.\d\d s\)"):
        check_recording(str(path))


def test_numbers_of_another_scale_are_warned_of(tmp_path: Path) -> None:
    """Floats that hold 16 bit numbers, as arrays are often saved."""
    (warning,) = check_recording(str(write(tmp_path / "a.wav", 32767 * tone(1.0)[None], RATE, "pcm_f32le"))).warnings
    assert "reach 9830" in warning
    assert check_recording(str(write(tmp_path / "b.wav", 4 * tone(1.0)[None], RATE, "pcm_f32le"))).warnings == ()


@pytest.mark.parametrize(
    ("layout", "gains", "heard"),
    [
        ("stereo", (1, -1), (1, 1)),
        ("stereo", (1, 0), (1, 0)),
        ("5.1", (0, 0, 1, 0, 0, 0), (0.71, 0.71)),
        ("7.1", (0, 0, 1, 0, 0, 0, 0, 0), (0.71, 0.71)),
        ("quad", (0, 0, 1, 0), (0.71, 0)),
    ],
)
def test_what_is_heard_is_as_loud_as_the_voice_and_the_video_keeps_its_sides(
    tmp_path: Path, layout: str, gains: tuple[float, ...], heard: tuple[float, float]
) -> None:
    voice = tone(2.0, 48_000)
    path = write(tmp_path / "a.flac", np.stack([gain * voice for gain in gains]), 48_000, "flac", layout)
    found = check_recording(str(path))
    assert len(found.warnings) == 1
    assert found.channels is not None
    sound = np.concatenate(list(mono(str(path), RATE, found.channels)))
    assert abs(level(sound) - level(voice)) < 0.1
    shown = np.concatenate(list(sound_chunks(found)), axis=1)
    for side, gain in zip(shown, heard, strict=True):
        assert abs(level(side) - level(np.float32(gain) * voice)) < 0.1 if gain else not side.any()


def write_masked(path: Path, mask: int, samples: NDArray[np.float64]) -> Path:
    """A WAV file whose channels have these places: 1 is front left, 4 the centre, 8 the subwoofer."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.T * 32767).astype("<i2").tobytes())
    content = bytearray(path.read_bytes())
    content[20:22] = b"\xfe\xff"
    extension = (22).to_bytes(2, "little") + (16).to_bytes(2, "little") + mask.to_bytes(4, "little")
    content[36:36] = extension + bytes.fromhex("0100000000001000800000aa00389b71")
    content[16:20] = (40).to_bytes(4, "little")
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mask", [0x1, 0x5, 0xC, 0x201, 0x80000001, 0x13, 0x20B, 0x4A7])
def test_channels_of_unusual_places_can_be_shown(tmp_path: Path, mask: int) -> None:
    """Of most FFmpeg does not know how to mix them; that used to be found once all frames were rendered."""
    count = mask.bit_count()
    path = write_masked(tmp_path / "a.wav", mask, np.stack([tone(0.5) * (1 + channel) / 9 for channel in range(count)]))
    shown = np.concatenate(list(sound_chunks(check_recording(str(path)))), axis=1)
    assert shown.shape in {(1, 24_000), (2, 24_000)}
    assert shown.any()


@pytest.mark.parametrize("count", [3, 4, 6, 8, 10])
def test_no_channel_without_a_name_is_left_out_of_the_video(tmp_path: Path, count: int) -> None:
    """The third of three would be a subwoofer's, if these were film sound."""
    for voice in range(count):
        samples = np.zeros((count, RATE), np.float32)
        samples[voice] = tone(1.0)
        path = write(tmp_path / f"{voice}.wav", samples, RATE, "pcm_s16le", f"{count} channels")
        shown = np.concatenate(list(sound_chunks(check_recording(str(path)))), axis=1)
        assert abs(level(shown[0]) - level(tone(1.0))) < 0.1


def test_ambisonic_sound_is_heard_and_shown(tmp_path: Path) -> None:
    samples = np.stack([tone(1.0, 48_000), *(0.2 * tone(1.0, 48_000),) * 3])
    path = tmp_path / "a.ogg"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="ambisonic 1", options={"mapping_family": "2"})
        for start in range(0, 48_000, 960):
            part = np.ascontiguousarray(samples[:, start : start + 960].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "flt", "ambisonic 1")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = check_recording(str(path))
    assert found.channels == (0,)
    shown = np.concatenate(list(sound_chunks(found)), axis=1)
    assert len(shown) == 1
    assert abs(level(shown[0]) - level(samples[0])) < 0.5


def test_what_is_heard_otherwise_than_before_has_another_key(tmp_path: Path) -> None:
    """Features that earlier programs made of the same file are not taken for those of a channel, or of more sound."""
    kind = kinds_named("wav2lip-96")[0]

    def before(path: Path) -> str:
        return text_digest(repr((1, kind.fps, content_digest(str(path)), "mel")))[:32]

    even = write(tmp_path / "even.wav", np.stack([tone(1.0), tone(1.0)]), RATE, "pcm_s16le")
    assert read_mel_source(str(even), kind).key == before(even)
    opposed = write(tmp_path / "opposed.wav", np.stack([tone(1.0), -tone(1.0)]), RATE, "pcm_s16le")
    assert read_mel_source(str(opposed), kind).key != before(opposed)
    longer = write(tmp_path / "longer.wav", tone(40.0)[None], RATE, "pcm_s16le")
    content = bytearray(longer.read_bytes())
    start = content.index(b"data") + 4
    content[start : start + 4] = content[4:8] = (1_000_000).to_bytes(4, "little")
    longer.write_bytes(content)
    found = read_mel_source(str(longer), kind)
    assert found.recording.seconds == 40
    assert found.key != before(longer)


@pytest.mark.parametrize(
    ("rate", "gains", "passes"), [(RATE, (1,), 1), (44_100, (1, 0.5), 1), (44_100, (1, -1), 2), (48_000, (0, 1), 2)]
)
def test_powers_cost_no_other_pass_where_all_channels_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, gains: tuple[float, ...], passes: int
) -> None:
    path = str(write(tmp_path / "a.flac", np.stack([gain * tone(2.7, rate) for gain in gains]), rate, "flac"))
    opening = Mock(side_effect=av.open)
    monkeypatch.setattr("av.open", opening)
    recording = check_recording(path, with_powers=True)
    assert opening.call_count == passes
    assert recording.powers is not None
    assert np.array_equal(recording.powers, hop_powers(mono(path, RATE, recording.channels)))
    assert recording == check_recording(path)
    assert check_recording(path).powers is None


def bad_recording(clip: SmallClip, folder: Path) -> Path:
    samples = tone(len(clip.features) / 25)
    samples[9000] = np.nan
    return write(folder / "nan.wav", samples[None], RATE, "pcm_f32le")


@pytest.mark.parametrize("how", ["shown", "heard", "silence"])
def test_a_recording_that_cannot_be_muxed_is_refused_before_anything_is_rendered(
    tmp_path: Path, clip: SmallClip, model: Path, how: str
) -> None:
    flags: dict[str, tuple[object, ...]] = {
        "shown": ("--video",),
        "heard": ("--encoder", write_encoder(tmp_path / "ear.onnx")),
        "silence": ("--silence", "passthrough"),
    }
    path = bad_recording(clip, tmp_path)
    run = tmp_path / "run"
    base = ("composite", clip.folder, "--model", model, "--out", run, "--audio", path)
    result = in_process.command(*base, *flags[how])
    assert result.code == 2
    assert f"{path}: holds samples that are not finite numbers (after 0.56 s)" in result.output
    assert not run.exists()


def test_inspect_looks_at_what_would_be_shown(tmp_path: Path, clip: SmallClip) -> None:
    result = in_process.command("inspect", clip.folder, "--audio", bad_recording(clip, tmp_path))
    assert result.code == 2
    assert "not finite numbers" in result.output
    assert "aud.wav, 1.84 s, for --video" in in_process.command("inspect", clip.folder).output
    opposed = write(tmp_path / "opposed.wav", np.stack([tone(1.8), -tone(1.8)]), RATE, "pcm_f32le")
    said = in_process.command("inspect", clip.folder, "--audio", opposed)
    assert said.code == 0
    assert f"warning: {opposed}: its channels oppose each other" in said.output


def test_the_features_command_warns(tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "ear.onnx")
    path = write(tmp_path / "a.wav", np.stack([tone(1.0), -tone(1.0)]), RATE, "pcm_s16le")
    alone = write(tmp_path / "b.wav", tone(1.0)[None], RATE, "pcm_s16le")
    for name in ("a", "b"):
        result = in_process.command(
            "features", tmp_path / f"{name}.wav", "--encoder", encoder, "--out", tmp_path / f"{name}.npy"
        )
        assert result.code == 0, result.output
        assert ("warning: " in result.output) == (name == "a")
    assert path != alone
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
