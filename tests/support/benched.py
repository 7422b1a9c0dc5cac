"""What the benchmark's tests share: a small clip as its material, and trials made by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import reference
import small
from numpy.typing import NDArray

from jobs.benchmark.frame_check import FrameVerdict
from jobs.benchmark.material import Material, prepare
from jobs.benchmark.matrix import Cell, Output, Regime, System
from jobs.benchmark.measurement import Answer, Assignment, Measurement
from jobs.benchmark.memory import Memory
from jobs.benchmark.settings import Setting
from jobs.demo.demo_clip import demo_kind

SETTING = Setting(2, 1, 1)
MEMORY = Memory(pss=1 << 30, shared=1 << 20, processes=9, private=1 << 28, worker=1 << 27)


def trial(
    rate: float | None,
    system: System = System.OURS,
    regime: Regime = Regime.LIGHT,
    output: Output = Output.JPG,
    *,
    frames: int = 100,
    setting: Setting = SETTING,
    memory: Memory | None = MEMORY,
    faces: bool = False,
    cold: dict[str, float] | None = None,
    repeat: int = 0,
    fault: str = "was wrong",
) -> Measurement:
    """A measurement of so many frames per second; `None` stands for one that failed with the fault."""
    task = Assignment(Cell(regime, Output.NONE if system.silent else output, system), frames, setting)
    started = {"import_s": 0.5, "ray_s": 4.0} if cold is None else cold
    ours = {"cold": started, "cache_bytes": 1 << 22, "faces": faces} if system is System.OURS else {}
    answer = Answer(frames=frames, steady_s=frames / (rate or 1), memory=memory, **ours)  # type: ignore[arg-type]
    return Measurement(task, answer, FrameVerdict(24, 0, "" if rate else fault), 2, repeat)


def trials(
    system: System,
    *rates: float | None,
    regime: Regime = Regime.LIGHT,
    output: Output = Output.JPG,
    setting: Setting = SETTING,
) -> list[Measurement]:
    """One trial for each rate, in a repeat of its own."""
    return [trial(rate, system, regime, output, setting=setting, repeat=i) for i, rate in enumerate(rates)]


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
