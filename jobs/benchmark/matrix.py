"""What is measured: systems, regimes, formats, how they are interleaved, and what ours must reach."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum


class System(StrEnum):
    """A program that renders, or the bare network; the value is the baseline's module name."""

    BARE = "bare"
    SINGLE = "single"
    BATCH = "batch"
    WORKERS_INFERENCE = "workers_inference"
    THREAD_POOL = "thread_pool"
    THREAD_POOL_OVERLAPPED = "thread_pool_overlapped"
    WORKERS_STATIC = "workers_static"
    PLAIN_LOOP = "plain_loop"
    RAY_DATA = "ray_data"
    OURS = "ours"

    @property
    def label(self) -> str:
        """What tables call it."""
        return LABELS[self]

    @property
    def silent(self) -> bool:
        """Whether it writes no frames, so that no output format applies to it."""
        return self in {System.BARE, System.WORKERS_INFERENCE}


LABELS = {
    System.BARE: "bare network",
    System.SINGLE: "single frames",
    System.BATCH: "batches in sequence",
    System.WORKERS_INFERENCE: "workers, no compositing",
    System.THREAD_POOL: "batches, thread pool",
    System.THREAD_POOL_OVERLAPPED: "thread pool, overlapped",
    System.WORKERS_STATIC: "workers, static split",
    System.PLAIN_LOOP: "plain loop per core",
    System.RAY_DATA: "Ray Data",
    System.OURS: "Mouthpiece",
}


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


class BenchmarkDevice(StrEnum):
    """Where the network runs."""

    CPU = "cpu"
    CUDA = "cuda"

    @property
    def provider(self) -> str:
        """ONNX Runtime's execution provider."""
        return {BenchmarkDevice.CPU: "CPUExecutionProvider", BenchmarkDevice.CUDA: "CUDAExecutionProvider"}[self]


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to measure: a system that writes one format with one regime's network."""

    regime: Regime
    output: Output
    system: System


# The default leaves out what says least, to end within ten minutes on two cores: no baseline's PNG is near ours, and
# none of the programs that are left out beside the light network is faster than the plain loop.
BRIEF = {
    (Regime.HEAVY, Output.NONE): frozenset(System),
    (Regime.LIGHT, Output.NONE): frozenset({System.BARE}),
    (Regime.HEAVY, Output.JPG): frozenset(System) - {System.THREAD_POOL_OVERLAPPED},
    (Regime.LIGHT, Output.JPG): frozenset(
        {System.THREAD_POOL, System.THREAD_POOL_OVERLAPPED, System.PLAIN_LOOP, System.RAY_DATA, System.OURS}
    ),
    (Regime.HEAVY, Output.PNG): frozenset({System.PLAIN_LOOP, System.OURS}),
    (Regime.LIGHT, Output.PNG): frozenset({System.PLAIN_LOOP, System.OURS}),
    (Regime.HEAVY, Output.VIDEO): frozenset[System](),
    (Regime.LIGHT, Output.VIDEO): frozenset({System.OURS}),
}


def cells(regime: Regime, outputs: Collection[Output], systems: Collection[System], *, full: bool) -> tuple[Cell, ...]:
    """What is measured in one regime; systems that write nothing stand there once, as `Output.NONE`.

    Args:
        regime: the regime.
        outputs: formats that are wanted.
        systems: systems that are wanted.
        full: everything that exists, not only what says most.
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
STEP = 16
MOST_FRAMES = 20_000
# Before anything is known of a system: no baseline's core made more when this was written. Only lengths depend on it.
GUESS = {Output.JPG: 100.0, Output.PNG: 15.0, Output.VIDEO: 50.0, Output.NONE: math.inf}


# A heavy network makes few frames in a trial, and a frame more or less must not count; there ours and the network
# alone, whose ratio is the headline, run longest (the network at two settings, one after the other). With a light one
# all write for as long, because sooner or later the system puts what they wrote on the disk.
LONGER_HEAVY = {System.OURS: 5.0, System.BARE: 2.5}
ELSE_HEAVY = 1.25
# As in the baseline.
FILLING = 2.0


def trial_seconds(cell: Cell, seconds: float) -> float:
    """How long a trial should render where the shortest render for ``seconds``."""
    if cell.regime is Regime.LIGHT:
        return seconds
    return seconds * LONGER_HEAVY.get(cell.system, ELSE_HEAVY)


def filling_seconds(cell: Cell) -> float:
    """How long a system is at work before its frames count, where what it is thought to make then is little."""
    return FILLING if (cell.regime, cell.system) == (Regime.LIGHT, System.RAY_DATA) else 0.0


def first_length(bare_fps: float, output: Output, cores: int, seconds: float) -> int:
    """Frames for a system's first trial, so that it takes about ``seconds``; whole steps, at least one."""
    return whole(min(bare_fps, GUESS[output] * cores) * seconds)


def next_length(frames: int, steady_s: float, seconds: float) -> int:
    """Frames for the next trial: other than before only where that took less than half, or more than twice the time."""
    if seconds / 2 <= steady_s <= seconds * 2:
        return frames
    return whole(frames * seconds / max(steady_s, 1e-6))


def whole(frames: float) -> int:
    """``frames`` rounded up to a whole number of steps, within what a trial may render."""
    return max(STEP, min(MOST_FRAMES, math.ceil(frames / STEP) * STEP))


@dataclass(frozen=True, slots=True)
class Goal:
    """Ours must be at least ``ratio`` times as fast as another system."""

    device: BenchmarkDevice
    regime: Regime
    output: Output
    over: System
    ratio: float


_CPU = BenchmarkDevice.CPU
GOALS = (
    *(Goal(_CPU, Regime.HEAVY, output, System.BARE, 0.97) for output in (Output.JPG, Output.PNG)),
    *(
        Goal(_CPU, Regime.HEAVY, output, system, 1.0)
        for output in (Output.JPG, Output.PNG)
        for system in System
        if system not in {System.BARE, System.OURS}
    ),
    Goal(_CPU, Regime.LIGHT, Output.JPG, System.PLAIN_LOOP, 1.2),
    Goal(_CPU, Regime.LIGHT, Output.JPG, System.THREAD_POOL, 3.0),
    Goal(_CPU, Regime.LIGHT, Output.JPG, System.RAY_DATA, 4.0),
    Goal(_CPU, Regime.LIGHT, Output.PNG, System.PLAIN_LOOP, 3.5),
    Goal(BenchmarkDevice.CUDA, Regime.HEAVY, Output.JPG, System.BARE, 0.90),
)


def goal_of(device: BenchmarkDevice, regime: Regime, output: Output, over: System) -> float | None:
    """The ratio to reach, where there is one."""
    for goal in GOALS:
        if (goal.device, goal.regime, goal.output, goal.over) == (device, regime, output, over):
            return goal.ratio
    return None
