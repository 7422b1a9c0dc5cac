"""Runs whose workers have the CUDA that stands in; the driver has none, and the cluster's books have a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cuda_stand_in
import numpy as np
import small
from card import Command
from encoders import write_encoder
from small import SmallClip

from actors.network.device import arena_limit


def frames_on_cpu(clip: SmallClip, model: Path, folder: Path, command: Command) -> dict[int, np.ndarray]:
    run = folder / "on_cpu"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--frames", ":6"]
    assert command(*base, "--device", "cpu").code == 0
    return small.read_frames(run)


def test_auto_takes_the_cpu_when_cudnn_is_missing_at_the_first_run(
    clip: SmallClip, model: Path, tmp_path: Path, card: Callable[..., Command]
) -> None:
    command = card(fails_at_first_run=cuda_stand_in.NO_CUDNN, log=str(tmp_path / "log"))
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--frames", ":6", "--out"]
    result = command(*base, run)
    assert result.code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("device: cpu")]
    assert "the cluster has 1 GPUs, but a CUDA session was asked for" in line
    assert "a library is missing" in line
    # The card was tried, not only looked for.
    assert cuda_stand_in.sessions(tmp_path / "log")
    made, wanted = small.read_frames(run), frames_on_cpu(clip, model, tmp_path, command)
    assert made.keys() == wanted.keys() == set(range(6))
    assert all(np.array_equal(made[frame], wanted[frame]) for frame in made)

    refused = command(*base, tmp_path / "asked", "--device", "cuda")
    assert refused.code == 2
    assert "error: --device cuda: a CUDA session was asked for and could not be had (a library is" in refused.output
    assert "Traceback" not in refused.output
    assert not (tmp_path / "asked").exists()


def test_every_session_of_a_run_forbids_tf32_and_keeps_to_its_share(
    clip: SmallClip, model: Path, tmp_path: Path, card: Callable[..., Command]
) -> None:
    """Those of the audio encoder, of the check of half precision and of the worker."""
    command = card(log=str(tmp_path / "log"))
    encoder = write_encoder(tmp_path / "encoder.onnx")
    recording = small.write_tone(tmp_path / "voice.wav", 0.5)
    run = tmp_path / "run"
    base = ["composite", clip.folder, "--model", model, "--out", run, "--frames", ":6", "--device", "cuda"]
    sound = ["--audio", recording, "--encoder", encoder]
    result = command(*base, *sound, "--precision", "fp16", "--workers", 1, "--gpus-per-worker", 0.25)
    assert result.code == 0, result.output
    assert len(small.read_frames(run)) == 6
    told = cuda_stand_in.sessions(tmp_path / "log")
    # The encoder's; in one process those of both precisions; the worker's.
    pids = [session["pid"] for session in told]
    assert (len(pids), len(set(pids)), pids[1]) == (4, 2, pids[2])
    for session in told:
        assert session["environment"]["NVIDIA_TF32_OVERRIDE"] == "0"
        assert "use_tf32" not in session["provider_options"]
        assert session["provider_options"]["gpu_mem_limit"] == str(arena_limit(24576 << 20, 0.25))


def test_ranges_that_overlap_on_a_card_give_the_frames_of_a_cpu(
    clip: SmallClip, model: Path, tmp_path: Path, card: Callable[..., Command]
) -> None:
    """By two bindings that are loaded, run and fetched in threads of their own."""
    command = card(seconds_per_frame=0.002)
    base = ["composite", clip.folder, "--model", model, "--colour-match", "--workers", 1, "--batch", 2, "--out"]
    result = command(*base, tmp_path / "card", "--video", "--device", "cuda")
    assert result.code == 0, result.output
    assert command(*base, tmp_path / "cpu", "--device", "cpu").code == 0
    made, wanted = small.read_frames(tmp_path / "card"), small.read_frames(tmp_path / "cpu")
    assert made.keys() == wanted.keys() == set(range(small.ROWS))
    assert all(np.array_equal(made[frame], wanted[frame]) for frame in made)
