"""What is measured: systems, regimes, formats, how they are interleaved, and what ours must reach."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from actors.core.choices import Device

# Everybody writes JPEG of it.
JPEG_QUALITY = 95


class System(StrEnum):
    """A program that renders, or the bare network: the baseline's name, and what tables call it."""

    label: str
    BARE = "bare", "bare network"
    SINGLE = "single", "single frames"
    BATCH = "batch", "batches in sequence"
    WORKERS_INFERENCE = "workers_inference", "workers, no compositing"
    THREAD_POOL = "thread_pool", "batches, thread pool"
    THREAD_POOL_OVERLAPPED = "thread_pool_overlapped", "thread pool, overlapped"
    WORKERS_STATIC = "workers_static", "workers, static split"
    PLAIN_LOOP = "plain_loop", "plain loop per core"
    RAY_DATA = "ray_data", "Ray Data"
    OURS = "ours", "Mouthpiece"

    def __new__(cls, value: str, label: str) -> Self:
        """A string like any other, with a label."""
        member = str.__new__(cls, value)
        member._value_, member.label = value, label
        return member

    @property
    def silent(self) -> bool:
        """Whether it writes no frames, so that no output format applies to it."""
        return self in {System.BARE, System.WORKERS_INFERENCE}


class Regime(StrEnum):
    """Which network: one that takes nearly all the time, or one that takes nearly none."""

    HEAVY = "heavy"
    LIGHT = "light"


class Output(StrEnum):
    """What comes out; ``none`` stands for systems that write nothing."""

    JPG = "jpg"
    PNG = "png"
    VIDEO = "video"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to measure: a system that writes one format with one regime's network."""

    regime: Regime
    format: Output
    system: System


# The default leaves out what says least, to end within ten minutes on two cores: no baseline's PNG is near ours, and
# none of the programs that are left out beside the light network is faster than the plain loop.
_PAIR = {System.PLAIN_LOOP, System.OURS}
BRIEF = {
    (Regime.HEAVY, Output.NONE): set(System),
    (Regime.LIGHT, Output.NONE): {System.BARE},
    (Regime.HEAVY, Output.JPG): set(System) - {System.THREAD_POOL_OVERLAPPED},
    (Regime.LIGHT, Output.JPG): _PAIR | {System.THREAD_POOL, System.THREAD_POOL_OVERLAPPED, System.RAY_DATA},
    (Regime.HEAVY, Output.PNG): _PAIR,
    (Regime.LIGHT, Output.PNG): _PAIR,
    (Regime.HEAVY, Output.VIDEO): set[System](),
    (Regime.LIGHT, Output.VIDEO): {System.OURS},
}


def cells(regime: Regime, outputs: Collection[Output], systems: Collection[System], *, full: bool) -> tuple[Cell, ...]:
    """What is measured in one regime; systems that write nothing stand there once, as `Output.NONE`.

    ``full`` is everything of the wanted formats and systems that exists, not only what says most.
    """
    wanted = []
    for output in (Output.NONE, Output.JPG, Output.PNG, Output.VIDEO):
        for system in System:
            exists = system.silent == (output is Output.NONE) and (output is not Output.VIDEO or system is System.OURS)
            worth = full or system in BRIEF[regime, output]
            asked = system in systems and (system.silent or output in outputs)
            if exists and worth and asked:
                wanted.append(Cell(regime, output, system))
    return tuple(wanted)


def rotated(order: Sequence[Cell], repeat: int, repeats: int) -> tuple[Cell, ...]:
    """The order of one repeat: each begins further on, so that nobody always runs first or behind the same place."""
    start = len(order) * repeat // max(1, repeats)
    return (*order[start:], *order[:start])


# Frames come in whole batches of every size that is tried.
STEP, CUDA_STEP = 16, 64
MOST_FRAMES = 20_000
# Before anything is known of a system: no baseline's core made more when this was written. Only lengths depend on it.
GUESS = {Output.JPG: 100.0, Output.PNG: 15.0, Output.VIDEO: 50.0, Output.NONE: math.inf}

# A heavy network makes few frames in a trial, and a frame more or less must not count; there ours and the network
# alone, whose ratio is the headline, run longest (the network at two settings, one after the other). With a light one
# all write for as long, because sooner or later the system puts what they wrote on the disk.
LONGER_HEAVY = {System.OURS: 5.0, System.BARE: 2.5}
ELSE_HEAVY = 1.25
FILLING = 2.0  # seconds, as in the baseline


def trial_seconds(cell: Cell, seconds: float) -> float:
    """How long a trial should render where the shortest render for ``seconds``."""
    return seconds if cell.regime is Regime.LIGHT else seconds * LONGER_HEAVY.get(cell.system, ELSE_HEAVY)


def first_length(cell: Cell, bare_fps: float, cores: int, seconds: float, step: int = STEP) -> int:
    """Frames for a system's first trial, so that it takes about ``seconds``; whole steps, at least one."""
    # What Ray Data is thought to make with the heavy network before its frames count is little.
    filling = FILLING if (cell.regime, cell.system) == (Regime.LIGHT, System.RAY_DATA) else 0.0
    return whole(min(bare_fps, GUESS[cell.format] * cores) * (seconds + filling), step)


def next_length(frames: int, steady_s: float, seconds: float, step: int = STEP) -> int:
    """Frames for the next trial: other than before only where that took less than half, or more than twice the time."""
    fits = seconds / 2 <= steady_s <= seconds * 2
    return frames if fits else whole(frames * seconds / max(steady_s, 1e-6), step)


def whole(frames: float, step: int = STEP) -> int:
    """``frames`` rounded up to a whole number of steps, within what a trial may render."""
    return max(1, min(MOST_FRAMES // step, math.ceil(frames / step))) * step


# How many times as fast as another system ours must be at least.
_CPU = Device.CPU
_EVERYBODY = dict.fromkeys(set(System) - {System.OURS}, 1.0) | {System.BARE: 0.97}
GOALS: dict[tuple[Device, Regime, Output], dict[System, float]] = {
    (_CPU, Regime.HEAVY, Output.JPG): _EVERYBODY,
    (_CPU, Regime.HEAVY, Output.PNG): _EVERYBODY,
    (_CPU, Regime.LIGHT, Output.JPG): {System.PLAIN_LOOP: 1.2, System.THREAD_POOL: 3.0, System.RAY_DATA: 4.0},
    (_CPU, Regime.LIGHT, Output.PNG): {System.PLAIN_LOOP: 3.5},
    (Device.CUDA, Regime.HEAVY, Output.JPG): {System.BARE: 0.90},
}


def goal_of(device: Device, regime: Regime, output: Output, over: System) -> float | None:
    """The ratio to reach, where there is one."""
    return GOALS.get((device, regime, output), {}).get(over)
