"""Where nobody speaks the background shows through, untouched, and the network does not run."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import in_process
import numpy as np
import pandas as pd
import pytest
import reference
import small
from numpy.typing import NDArray
from small import Result, SmallClip

from actors.core.choices import Device
from actors.core.voice_activity import RATE, hop_powers, mouth_opacities, speech_hops
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import load_options

Command = Callable[..., Result]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Talk:
    """A clip with a pause in its recording.

    Attributes:
        base: arguments of the command, but for the folder of the run.
        shares: how much of the rendered face each frame shows, in 255ths.
        frames: what is to come out.
    """

    base: tuple[object, ...]
    shares: list[int]
    frames: list[Image]


def write_talk(path: Path, seconds: float) -> NDArray[np.float32]:
    """Speech of 0.4 s, a pause of 0.9 s, and speech to the end; gives what was written."""
    rng = np.random.default_rng(6)
    samples = rng.normal(0, 3000, round(seconds * RATE))
    samples[round(0.4 * RATE) : round(1.3 * RATE)] /= 300
    write_samples(path, samples.astype("<i2"))
    return samples.astype("<i2").astype(np.float32) / np.float32(32768)


def write_silence(path: Path, seconds: float) -> Path:
    write_samples(path, np.zeros(round(seconds * RATE), "<i2"))
    return path


def write_samples(path: Path, samples: NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


@pytest.fixture(scope="module")
def talk(clip: SmallClip, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    folder = tmp_path_factory.mktemp("talk")
    written = write_talk(folder / "talk.wav", small.ROWS / 25)
    shares = mouth_opacities(speech_hops(hop_powers([written])), small.ROWS, 25)
    frames = []
    for t in range(small.ROWS):
        background = reference.bounce(t, small.BACKGROUNDS)
        frame, (x0, y0, x1, y1) = clip.frames[background].copy(), clip.boxes[background]
        if shares[t]:
            _, _, shown = next(reference.render(clip.frames, clip.boxes, clip.features, model, start=t, stop=t + 1))
            share = float(shares[t]) / 255
            mixed = share * shown[y0:y1, x0:x1].astype(float) + (1 - share) * frame[y0:y1, x0:x1].astype(float)
            frame[y0:y1, x0:x1] = np.rint(mixed).astype(np.uint8)
        frames.append(frame)
    base = ("composite", clip.folder, "--model", model, "--device", "cpu")
    return Talk((*base, "--audio", folder / "talk.wav", "--silence", "passthrough"), shares.tolist(), frames)


def test_the_pause_is_long_enough_for_all_three(talk: Talk) -> None:
    assert {0, 64, 128, 191, 255} == set(talk.shares)
    assert talk.shares.count(0) > 5


def test_frames_are_the_mixture_to_the_bit_and_silent_ones_need_no_network(
    talk: Talk, tmp_path: Path, on_cluster: Command
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    result = on_cluster(*talk.base, "--out", one, "--workers", 1)
    assert result.code == 0, result.output
    assert f"silence: {talk.shares.count(0)} of {small.ROWS} frames show the background alone, 6 fade" in result.output
    got = small.read_frames(one)
    assert [t for t, frame in enumerate(talk.frames) if np.array_equal(got[t], frame)] == list(range(small.ROWS))
    table = pd.read_parquet(one / "timings").sort_values("frame")
    assert list(table["frame"]) == list(range(small.ROWS))
    assert [ms == 0 for ms in table["inference_ms"]] == [share == 0 for share in talk.shares]
    # However the work is divided.
    result = on_cluster(*talk.base, "--out", other, "--workers", 2, "--batch", 5, "--frames", "7:40")
    assert result.code == 0, result.output
    whole = small.contents(one)
    assert small.contents(other) == {f"frame_{t:06d}.png": whole[f"frame_{t:06d}.png"] for t in range(7, 40)}


def test_a_recording_of_nothing_runs_no_network(
    clip: SmallClip, model: Path, tmp_path: Path, on_cluster: Command
) -> None:
    run, rows = tmp_path / "run", tmp_path / "rows.npy"
    # For any of these rows the network would give no picture.
    np.save(rows, np.full((30, 512), small.POISON, np.float32))
    base = ("composite", clip.folder, "--model", model, "--out", run, "--features", rows, "--silence", "passthrough")
    result = on_cluster(*base, "--audio", write_silence(tmp_path / "silence.wav", 1.2), "--workers", 1)
    assert result.code == 0, result.output
    for t, frame in small.read_frames(run).items():
        assert np.array_equal(frame, clip.frames[reference.bounce(t, small.BACKGROUNDS)])
    table = pd.read_parquet(run / "timings")
    assert len(table) == 30
    assert (table["inference_ms"] == 0).all()


def test_a_blend_and_matched_colours_are_faded_like_any_face(talk: Talk, tmp_path: Path, on_cluster: Command) -> None:
    """Colours are matched by the neighbours that the network runs for, whatever range they are in."""
    base = [*talk.base, "--blend", "feather", "--colour-match", "--format", "webp"]
    for name, flags in {"one": ("--workers", 1), "other": ("--batch", 5, "--frames", "7:40")}.items():
        result = on_cluster(*base, "--out", tmp_path / name, *flags)
        assert result.code == 0, result.output
    whole = small.contents(tmp_path / "one")
    assert small.contents(tmp_path / "other") == {name: whole[name] for name in list(whole)[7:40]}
    got = small.read_frames(tmp_path / "one", "webp")
    assert all(np.array_equal(got[t], talk.frames[t]) == (share == 0) for t, share in enumerate(talk.shares))
    table = pd.read_parquet(tmp_path / "other" / "timings").sort_values("frame")
    assert [ms == 0 for ms in table["inference_ms"]] == [share == 0 for share in talk.shares[7:40]]


def test_spliced_files_and_the_video_show_the_mixture_too(talk: Talk, tmp_path: Path, on_cluster: Command) -> None:
    run = tmp_path / "run"
    result = on_cluster(*talk.base, "--out", run, "--format", "jpg", "--video", "--batch", 3, "--workers", 1)
    assert result.code == 0, result.output
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_RST_INTERVAL, small.WIDTH // 16]
    wanted = [cv2.imencode(".jpg", frame, settings)[1].tobytes() for frame in talk.frames]
    assert list(small.contents(run).values()) == wanted
    with av.open(str(run / "video.mp4")) as video:
        shown = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in video.decode(video=0)]
    assert len(shown) == small.ROWS
    distances = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown, talk.frames, strict=True)]
    shifted = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown[1:], talk.frames, strict=False)]
    assert max(distances) < min(shifted)


def test_what_is_shown_in_silence_is_part_of_the_runs_identity(talk: Talk, tmp_path: Path) -> None:
    _, clip, _, model, *_ = talk.base

    def silence(**flags: object) -> object:
        options = load_options({"clip": str(clip), "model": str(model), "out": "run", "video": True, **flags}, None)
        return read_inputs(options).identity(options, Device.CPU)["silence"]

    # Of another recording, other frames are silent.
    tone = small.write_tone(tmp_path / "tone.wav", small.ROWS / 25)
    found = [silence(audio=str(recording), silence="passthrough") for recording in (talk.base[-3], tone)]
    assert silence() == "render"
    assert len({"render", *found}) == 3
    assert silence(audio=str(talk.base[-3]), silence="passthrough") == found[0]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--features", "FEATURES"), "give the recording that they are of with --audio"),
        (("--audio", "LONG"), "the features beside it 1.80 s"),
        (("--no-composite",), "--silence: there is nothing to show with --no-composite"),
        (("--audio", "MODEL"), "cannot be decoded as sound"),
    ],
)
def test_what_does_not_tell_speech_from_silence_is_refused(
    clip: SmallClip, model: Path, tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    paths = {
        "FEATURES": clip.folder / "aud_ave.npy",
        "LONG": small.write_tone(tmp_path / "long.wav", 3.0),
        "MODEL": model,
    }
    base = ("composite", clip.folder, "--model", model, "--out", tmp_path / "run", "--silence", "passthrough")
    result = in_process.command(*base, *(paths.get(flag, flag) for flag in flags))
    assert result.code == 2
    assert words in result.output
    assert not (tmp_path / "run").exists()
