"""What the benchmark's tests share: a small clip as its material, and trials made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import reference
import small
from numpy.typing import NDArray

from jobs.benchmark.material import Material, prepare
from jobs.benchmark.matrix import Output, Regime, System
from jobs.benchmark.measurement import Measurement
from jobs.demo.demo_clip import demo_kind

TRIAL = Measurement(
    regime=Regime.LIGHT,
    format=Output.JPG,
    system=System.OURS,
    repeat=0,
    order=0,
    frames=100,
    workers=2,
    threads=1,
    batch=1,
    precision="fp32",
    steady_s=1.0,
    prepare_s=0.0,
    fps_steady=100.0,
    fps=100.0,
    setup_s=0.5,
    wall_s=2.0,
    frames_checked=24,
    worst_level=0,
    pss=1 << 30,
    shared=1 << 20,
    private=1 << 28,
    worker_private=1 << 27,
    cache_bytes=1 << 22,
    faces=False,
    fault="",
    cold={"import_s": 0.5, "ray_s": 4.0},
)


def trials(
    system: System, *rates: float | None, regime: Regime = Regime.LIGHT, output: Output = Output.JPG
) -> list[Measurement]:
    """One trial for each rate; `None` stands for one that failed."""
    shown = Output.NONE if system.silent else output
    return [
        replace(
            TRIAL, system=system, regime=regime, format=shown, repeat=i, fps=rate, fault="" if rate else "was wrong"
        )
        for i, rate in enumerate(rates)
    ]


def material(folder: Path) -> tuple[Material, small.SmallClip]:
    """The small clip, ready for all systems."""
    clip = small.write_dataset(folder / "walker")
    return prepare(folder, str(clip.folder), None, None, demo_kind()), clip


def write_frames(folder: Path, frames: list[NDArray[np.uint8]], suffix: str, *settings: int) -> Path:
    """Files as every system writes them."""
    folder.mkdir()
    for index, frame in enumerate(frames):
        assert cv2.imwrite(str(folder / f"frame_{index:06d}.{suffix}"), frame, settings)
    return folder


def rendered(clip: small.SmallClip, features: NDArray[np.float32], model: Path, frames: int) -> list[NDArray[np.uint8]]:
    """What the independent reference makes of it."""
    return [image for _, _, image in reference.render(clip.frames, clip.boxes, features, model, stop=frames)]
