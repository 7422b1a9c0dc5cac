"""A run that begins with a recording: the same frames as from its features, kept features, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import in_process
import numpy as np
import pytest
import small
from encoders import write_encoder
from small import Result, SmallClip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "ear.onnx")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_tone(tmp_path_factory.mktemp("recordings") / "voice.wav", 0.5, rate=44_100, channels=2)


@pytest.fixture
def command(tmp_path: Path, clip: SmallClip, model: Path, recording: Path, encoder: Path) -> tuple[object, ...]:
    flags = ("--workers", 1, "--format", "jpg", "--audio", recording, "--encoder", encoder)
    return ("composite", clip.folder, "--model", model, "--out", tmp_path / "run", *flags)


def test_a_recording_renders_what_its_features_render(
    tmp_path: Path,
    clip: SmallClip,
    model: Path,
    recording: Path,
    encoder: Path,
    command: tuple[object, ...],
    on_cluster: Callable[..., Result],
) -> None:
    result = on_cluster(*command)
    assert result.code == 0, result.output
    assert "features: 12 rows of" in result.output
    (kept,) = (tmp_path / "run" / "features").iterdir()
    file = tmp_path / "f.npy"
    made = in_process.command("features", recording, "--encoder", encoder, "--out", file)
    assert made.code == 0, made.output
    assert np.array_equal(np.load(kept), np.load(file))
    given = ("composite", clip.folder, "--model", model, "--out", tmp_path / "given", "--format", "jpg")
    assert on_cluster(*given, "--workers", 1, "--features", file).code == 0
    frames = small.contents(tmp_path / "run")
    assert len(frames) == 12
    assert frames == small.contents(tmp_path / "given")


def test_nothing_is_heard_twice_unless_what_was_kept_is_damaged(
    tmp_path: Path, command: tuple[object, ...], on_cluster: Callable[..., Result]
) -> None:
    run = tmp_path / "run"
    assert on_cluster(*command).code == 0
    frames = small.contents(run)
    (kept,) = (run / "features").iterdir()
    (run / "frames" / "frame_000003.jpg").unlink()
    again = on_cluster(*command)
    assert again.code == 0, again.output
    assert "kept by an earlier run" in again.output
    kept.write_bytes(kept.read_bytes()[:-1])
    (run / "frames" / "frame_000005.jpg").unlink()
    anew = on_cluster(*command)
    assert anew.code == 0, anew.output
    assert "features: 12 rows of" in anew.output
    assert small.contents(run) == frames
    assert [path.name for path in (run / "features").iterdir()] == [kept.name]


def test_another_recording_is_a_run_of_other_pixels(
    tmp_path: Path, command: tuple[object, ...], on_cluster: Callable[..., Result]
) -> None:
    assert on_cluster(*command).code == 0
    before = [path.name for path in (tmp_path / "run" / "features").iterdir()]
    other = small.write_tone(tmp_path / "other.wav", 0.6)
    refused = on_cluster(*command, "--audio", other)
    assert refused.code == 2
    assert f"--audio {other}: the run in" in refused.output
    assert on_cluster(*command, "--audio", other, "--restart").code == 0
    after = [path.name for path in (tmp_path / "run" / "features").iterdir()]
    assert len(after) == 1
    assert after != before


def test_an_encoder_hears_the_clips_own_recording_and_the_video_has_its_sound(
    tmp_path: Path, clip: SmallClip, model: Path, encoder: Path, on_cluster: Callable[..., Result]
) -> None:
    run = tmp_path / "run"
    arguments = ("composite", clip.folder, "--model", model, "--out", run, "--encoder", encoder, "--video")
    result = on_cluster(*arguments, "--format", "none", "--workers", 1)
    assert result.code == 0, result.output
    # The clip's recording lasts 1.84 s, its own features are 45 rows.
    assert json.loads((run / "run.json").read_text())["frames"] == [0, 46]
    assert (run / "video.mp4").stat().st_size > 0


def test_an_encoder_that_fails_leaves_no_run(
    tmp_path: Path, clip: SmallClip, model: Path, recording: Path, on_cluster: Callable[..., Result]
) -> None:
    wrong = write_encoder(tmp_path / "wrong.onnx", features=500, declared="wide")
    run = tmp_path / "run"
    result = on_cluster(
        "composite", clip.folder, "--model", model, "--out", run, "--audio", recording, "--encoder", wrong
    )
    assert result.code == 2
    assert "(32, 500)" in result.output
    assert not run.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--audio", "RECORDING"), "add --encoder, or --video"),
        (("--audio", "RECORDING", "--video"), "the features beside it 1.80 s"),
        (("--encoder", "ENCODER", "--features", "f.npy"), "give one of them"),
        (("--encoder", "MODEL"), "are not an encoder's"),
        (("--encoder", "ENCODER", "--audio", "MODEL"), "cannot be decoded as sound"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path,
    clip: SmallClip,
    model: Path,
    recording: Path,
    encoder: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    paths = {"RECORDING": str(recording), "ENCODER": str(encoder), "MODEL": str(model)}
    flags = [paths.get(argument, argument) for argument in arguments]
    result = in_process.command("composite", clip.folder, "--model", model, "--out", tmp_path / "run", *flags)
    assert result.code == 2
    assert words in result.output
    assert not (tmp_path / "run").exists()


def test_a_clip_without_features_or_encoder_says_what_is_missing(
    tmp_path: Path, model: Path, recording: Path, encoder: Path
) -> None:
    bare = small.write_dataset(tmp_path / "bare").folder
    (bare / "aud_ave.npy").unlink()
    base = ("composite", bare, "--model", model, "--out", tmp_path / "run")
    assert "--audio with --encoder" in in_process.command(*base).output
    assert "add --encoder" in in_process.command(*base, "--audio", recording, "--video").output
    (bare / "aud.wav").unlink()
    assert "give one with --audio" in in_process.command(*base, "--encoder", encoder).output


def test_inspect_checks_what_a_render_would_hear(tmp_path: Path, model: Path, recording: Path, encoder: Path) -> None:
    bare = small.write_dataset(tmp_path / "bare").folder
    (bare / "aud_ave.npy").unlink()
    # Without the model where it says nothing: a process tries it each time.
    base = ("inspect", bare)
    assert "give --features, or --audio with --encoder" in in_process.command(*base).output
    result = in_process.command(*base, "--model", model, "--audio", recording, "--encoder", encoder)
    assert result.code == 0, result.output
    assert f"recording: {recording}, 0.50 s, 12 frames at 25 fps" in result.output
    assert f"encoder: {encoder}, batch any" in result.output
    assert f"recording: {bare / 'aud.wav'}, 1.84 s, 46 frames" in in_process.command(*base, "--encoder", encoder).output
    for flags, words in (
        (("--encoder", model), "are not an encoder's"),
        (("--encoder", encoder, "--audio", model), "cannot be decoded as sound"),
        (("--encoder", encoder, "--features", tmp_path / "f.npy"), "give one of them"),
    ):
        refused = in_process.command(*base, *flags)
        assert refused.code == 2
        assert words in refused.output
