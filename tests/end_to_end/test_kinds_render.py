"""Every kind from the command line to the frames on disk: equal to its reference, resumed, with its own rate."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path

import any_kind
import av
import in_process
import numpy as np
import pandas as pd
import pytest
import reference_kinds as kinds
import small
from small import Result

from jobs.run.verification import verify_run

Command = Callable[..., Result]

# Kinds of every family and rate that are rendered in two goes, the first one up to this frame.
TWICE = ("unet-160-wenet-8", "unet-328-hubert-16", "wav2lip-96")
FIRST = 3


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def audio_tensors(facts: kinds.Facts, clip: any_kind.KindClip, run: Path) -> np.ndarray:
    """The audio tensor of every output frame; for Wav2Lip what the run kept, once it is seen to be the recording's."""
    count = round(any_kind.SECONDS * facts.fps)
    if not any_kind.takes_mel(facts):
        rows = np.load(clip.folder.with_suffix(".npy"))
        return np.stack([kinds.audio_tensor(facts, rows, t) for t in range(count)])
    (kept,) = (run / "features").iterdir()
    windows = np.load(kept)[:, np.newaxis]
    mel = kinds.mel_spectrogram(samples(clip.folder / "aud.wav"))
    # The last window stands for the rest of the sound, as it does for the program's last frame.
    wanted = np.stack([kinds.audio_tensor(facts, mel, t) for t in range(count)])
    assert windows.shape == wanted.shape
    assert np.abs(windows - wanted).max() < 1e-6
    return np.asarray(windows)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_a_kind_renders_what_its_reference_renders(name: str, tmp_path: Path, on_cluster: Command) -> None:
    facts = kinds.KINDS[name]
    clip = any_kind.write_clip(tmp_path / "clip", facts)
    model, run = any_kind.write_model(tmp_path / "m.onnx", facts), tmp_path / "run"
    command = [
        "composite",
        clip.folder,
        *clip.flags,
        "--model",
        model,
        "--out",
        run,
        "--device",
        "cpu",
        "--video",
        "--workers",
        1,
    ]
    count = round(any_kind.SECONDS * facts.fps)
    if name in TWICE:
        begun = on_cluster(*command, "--frames", f":{FIRST}", "--batch", 2)
        assert begun.code == 0, begun.output
    result = on_cluster(*command)
    assert result.code == 0, result.output
    assert (f"{FIRST} of {count} done, rendering {count - FIRST}" in result.output) == (name in TWICE)
    assert "warning: " not in result.output

    expected = [*any_kind.render(facts, clip, audio_tensors(facts, clip, run), model)]
    got = small.read_frames(run)
    assert [t for t, (_, frame) in enumerate(expected) if not np.array_equal(got[t], frame)] == []
    assert len(got) == count
    table = pd.read_parquet(run / "timings").sort_values("frame")
    assert list(table["background"]) == [background for background, _ in expected]
    assert verify_run(str(run)).whole
    record = json.loads((run / "run.json").read_text())
    assert record["identity"]["kind"] == name
    with av.open(str(run / "video.mp4")) as video:
        assert video.streams.video[0].average_rate == facts.fps
        assert video.streams.video[0].frames == count
        seconds = [float(stream.duration * stream.time_base) for stream in video.streams]  # type: ignore[operator]
        assert seconds == pytest.approx([count / facts.fps] * 2, abs=1 / 48000)
    page = in_process.command("report", run)
    assert page.code == 0, page.output
    assert name in (run / "report.html").read_text(encoding="utf-8")


def command_for(folder: Path, name: str, *flags: object) -> tuple[any_kind.KindClip, list[object]]:
    """A clip for a kind, and the command that renders it."""
    clip = any_kind.write_clip(folder / "clip", kinds.KINDS[name])
    model = any_kind.write_model(folder / "m.onnx", kinds.KINDS[name])
    return clip, ["composite", clip.folder, "--model", model, "--out", folder / "run", "--device", "cpu", *flags]


def refusal(*arguments: object) -> str:
    """What a command that is refused says: one line, and nothing is written."""
    result = in_process.command(*arguments)
    assert result.code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    return result.output


def test_a_kind_that_is_named_must_be_the_models(tmp_path: Path) -> None:
    clip, command = command_for(tmp_path, "unet-160-ave")
    said = refusal(*command, *clip.flags, "--kind", "unet-328-ave")
    assert "are not those of unet-328-ave: it takes 6x320x320 and gives 3x320x320" in said
    assert "there is no such kind; similar are wav2lip-96, wav2lip-256" in refusal(
        *command, *clip.flags, "--kind", "wav2lip"
    )
    assert not (tmp_path / "run").exists()


def test_features_of_another_kind_are_refused(tmp_path: Path) -> None:
    clip, command = command_for(tmp_path, "unet-160-hubert-16")
    np.save(tmp_path / "ave.npy", small.feature_rows(12))
    said = refusal(*command, "--rects", clip.folder.with_suffix(".json"), "--features", tmp_path / "ave.npy")
    assert "shape (12, 512) is not (T, 2x1024)" in said
    # What lies in the folder for another kind is not taken for this one's.
    np.save(clip.folder / "aud_ave.npy", small.feature_rows(12))
    said = refusal(*command, "--rects", clip.folder.with_suffix(".json"))
    assert "has no aud_hu.npy; give --features" in said


def test_an_encoder_is_for_kinds_that_take_its_features(tmp_path: Path, model: Path) -> None:
    for name, fix in (("wav2lip-96", "leave --encoder out"), ("unet-160-wenet-8", "give --features instead")):
        folder = tmp_path / name
        folder.mkdir()
        clip, command = command_for(folder, name)
        said = refusal(*command, "--rects", clip.folder.with_suffix(".json"), "--encoder", model)
        assert f"--encoder: {name} does not take features of an encoder" in said
        assert fix in said


def test_wav2lip_needs_a_recording(tmp_path: Path) -> None:
    clip, command = command_for(tmp_path, "wav2lip-96", "--rect", "20,15,60,80")
    (clip.folder / "aud.wav").unlink()
    assert "has no aud.wav, and wav2lip-96 takes the recording itself; give --audio" in refusal(*command)
    small.write_tone(clip.folder / "aud.wav", 0.03)
    assert "less than a frame" in refusal(*command)


def test_inspect_says_which_kind_and_why(tmp_path: Path) -> None:
    clip, command = command_for(tmp_path, "wav2lip-96")
    boxes = ["--rects", clip.folder.with_suffix(".json")]
    plain = in_process.command("inspect", clip.folder, *boxes, "--model", command[3])
    assert plain.code == 0, plain.output
    assert "recording: " in plain.output
    assert "0.50 s, 12 frames at 25 fps" in plain.output
    assert "kind: wav2lip-96, the only one that takes 6 x 96 x 96 and 1 x 80 x 16 to 3 x 96 x 96" in plain.output
    named = in_process.command("inspect", clip.folder, *boxes, "--model", command[3], "--kind", "wav2lip-96")
    assert "kind: wav2lip-96, as --kind says" in named.output
    wrong = in_process.command("inspect", clip.folder, *boxes, "--model", command[3], "--kind", "unet-160-ave")
    assert wrong.code == 2
    assert "are not those of unet-160-ave" in wrong.output


def test_inspect_without_a_model_reads_as_for_what_the_clip_can_drive(tmp_path: Path) -> None:
    clip, _ = command_for(tmp_path, "unet-160-wenet-16")
    np.save(clip.folder / "aud_wenet.npy", np.zeros((10, 16, 512), np.float32))
    result = in_process.command("inspect", clip.folder, *clip.flags[:2])
    assert result.code == 0, result.output
    assert "read as for unet-328-wenet-16, until --model or --kind says what for" in result.output
    assert "10 rows, 0.50 s at 20 fps" in result.output


def test_kinds_lists_them_all() -> None:
    result = in_process.command("kinds")
    assert result.code == 0
    lines = [line for line in result.output.splitlines() if any(f" {name} " in line for name in kinds.KINDS)]
    assert len(lines) == len(kinds.KINDS)
    assert "(T, 2, 1024)" in result.output
    assert max(map(len, result.output.splitlines())) <= 140
