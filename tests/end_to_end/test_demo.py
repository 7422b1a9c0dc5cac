"""The demo, from one command to a mouth that opens with the sound in the rendered pixels."""

from __future__ import annotations

import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import reference
from small import Result

import jobs.commands.demo
from jobs.inputs.options import CompositeOptions


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A pause, a word and a pause; the whole of it takes most of a minute.
@pytest.mark.parametrize("count", [50, pytest.param(150, marks=pytest.mark.slow)])
def test_the_mouth_opens_with_the_sound(
    count: int, demo_clip: Path, tmp_path: Path, on_cluster: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.commands.demo, "CompositeOptions", partial(CompositeOptions, frames=f"0:{count}"))
    result = on_cluster("demo", "--out", tmp_path / "demo")
    assert result.code == 0, result.output
    # The cluster's GPU is one in Ray's books only: the choice falls on the CPU, and says why.
    assert "device: cpu (the cluster has 1 GPUs, but a CUDA session" in result.output
    run, clip = tmp_path / "demo" / "run", tmp_path / "demo" / "clip"
    # Drawn anew, and the same as ever.
    assert contents(clip) == contents(demo_clip)
    frames = [cv2.imread(str(path)) for path in sorted((run / "frames").iterdir())]
    assert len(frames) == count
    assert all(frame is not None and frame.shape == (720, 1280, 3) for frame in frames)
    with wave.open(str(clip / "aud.wav")) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    each = rate // 25
    loud = np.sqrt(np.mean(samples[: count * each].reshape(count, each) ** 2, axis=1))
    # The presenter's own mouth is closed: whatever has become much darker is the inside of an open one.
    opening = []
    for index, frame in enumerate(frames):
        background = cv2.imread(str(clip / "full_body_img" / f"{reference.bounce(index, 125)}.jpg"))
        assert background is not None
        assert frame is not None
        darker = background.max(axis=2).astype(int) - frame.max(axis=2)
        opening.append(int((darker > 60).sum()))
    assert max(opening) > 500
    assert min(opening) < 20
    assert np.corrcoef(opening, loud)[0, 1] > 0.9
    with av.open(str(run / "video.mp4")) as video:
        lengths = [float(stream.duration * stream.time_base) for stream in video.streams]  # type: ignore[operator]
    assert np.allclose(lengths, count / 25, atol=1 / 48000)
