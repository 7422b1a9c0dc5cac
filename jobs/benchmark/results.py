"""Figures from measurements: medians and spreads, ratios, goals. Pure: nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actors.core.choices import Device
from jobs.benchmark.matrix import Cell, Output, System, goal_of
from jobs.benchmark.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Spread:
    """Some values: their median, the lowest, the highest, and how many there are."""

    median: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Result:
    """One system in one regime and format."""

    cell: Cell
    fps: Spread | None  # none where any repeat failed or was wrong
    fault: str  # why there is no figure, or empty


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours over another system in the same regime and format (in none, where that one writes nothing)."""

    cell: Cell  # ours
    over: System
    ratio: float  # how many times as fast ours is, median over median
    goal: float | None  # what that must be
    met: bool | None  # none without a goal


def spread(values: Sequence[float]) -> Spread:
    """Median, lowest and highest of one value or more."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def group(trials: Iterable[Measurement]) -> dict[Cell, list[Measurement]]:
    """Measurements by what was measured, in the order of their first appearance."""
    found: dict[Cell, list[Measurement]] = {}
    for trial in trials:
        found.setdefault(trial.task.cell, []).append(trial)
    return found


def rates(trials: Iterable[Measurement]) -> Spread | None:
    """The rate of one system over its repeats; of the bare network's settings, that whose median is the highest.

    ``None`` if any trial has none, because then the system is not to be trusted, and if there are no trials.
    """
    settings: dict[object, list[float]] = {}
    for trial in trials:
        if trial.fps is None:
            return None
        settings.setdefault(trial.task.setting, []).append(trial.fps)
    return max((spread(found) for found in settings.values()), key=lambda found: found.median, default=None)


def summarise(trials: Iterable[Measurement]) -> list[Result]:
    """One result for each system, regime and format."""
    return [
        Result(cell, rates(some), next((trial.fault for trial in some if trial.fault), ""))
        for cell, some in group(trials).items()
    ]


def compare(trials: Iterable[Measurement], device: Device) -> list[Comparison]:
    """Ours over every other system that was measured beside it; systems that write nothing compare with all formats."""
    figures = {result.cell: result.fps for result in summarise(trials)}
    found = []
    for cell, ours in figures.items():
        for over in System if cell.system is System.OURS and ours else ():
            other = figures.get(Cell(cell.regime, Output.NONE if over.silent else cell.format, over))
            if over is not System.OURS and ours and other:
                ratio, goal = ours.median / other.median, goal_of(device, cell.regime, cell.format, over)
                found.append(Comparison(cell, over, ratio, goal, None if goal is None else ratio >= goal))
    return found
