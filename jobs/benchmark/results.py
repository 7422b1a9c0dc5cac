"""Figures from trials: medians and spreads, ratios, goals. Pure: nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.benchmark.matrix import BenchmarkDevice, Output, Regime, System, goal_of
from jobs.benchmark.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Spread:
    """Some values: their median, the lowest, the highest, and how many there are."""

    median: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast one system is as another.

    Attributes:
        ratio: median over median.
        low: least ratio within one repeat, in which both ran close to each other.
        high: largest ratio within one repeat.
    """

    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """One system in one regime and format.

    Attributes:
        regime: which network.
        format: what was written.
        system: who.
        fps: over the repeats, or ``None`` where any of them failed or was wrong.
        of_bare: ratio to the bare network, where both have a figure.
        fault: why there is no figure, or empty.
        frames_checked: compared with the reference, over all repeats.
        worst_level: largest difference from it.
    """

    regime: Regime
    format: Output
    system: System
    fps: Spread | None
    of_bare: Ratio | None
    fault: str
    frames_checked: int
    worst_level: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours over another system.

    Attributes:
        regime: which network.
        format: what both wrote (the other nothing, where it never does).
        over: the other system.
        ratio: how many times as fast ours is.
        goal: what it must be, or ``None``.
    """

    regime: Regime
    format: Output
    over: System
    ratio: Ratio
    goal: float | None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; ``None`` without one."""
        return None if self.goal is None else self.ratio.ratio >= self.goal


def spread(values: Sequence[float]) -> Spread:
    """Median, lowest and highest.

    Raises:
        ValueError: there are no values.
    """
    return Spread(statistics.median(values), min(values), max(values), len(values))


def ratio(ours: Mapping[int, float], other: Mapping[int, float]) -> Ratio:
    """Compares two systems' rates by repeat.

    Args:
        ours: rate in each repeat.
        other: rate in each repeat; at least one repeat must be in both.

    Raises:
        ValueError: they have no repeat in common.
    """
    both = sorted(ours.keys() & other.keys())
    within = [ours[repeat] / other[repeat] for repeat in both]
    return Ratio(
        statistics.median(ours.values()) / statistics.median(other.values()),
        min(within),
        max(within),
    )


Key = tuple[Regime, Output, System]


def group(trials: Iterable[Measurement]) -> dict[Key, list[Measurement]]:
    """Trials by regime, format and system, in the order of their first appearance."""
    found: dict[Key, list[Measurement]] = {}
    for trial in trials:
        found.setdefault((trial.regime, trial.format, trial.system), []).append(trial)
    return found


def rates(trials: Iterable[Measurement]) -> dict[int, float] | None:
    """The rate in each repeat; of the bare network's settings, that whose median is the highest.

    Returns:
        ``None`` if any trial has none, because then the system is not to be trusted, and if there are no trials.
    """
    settings: dict[tuple[int, ...], dict[int, float]] = {}
    for trial in trials:
        if trial.fps is None:
            return None
        # All others run with one setting; ours chooses it anew in each run.
        setting = (trial.workers, trial.threads, trial.batch) if trial.system is System.BARE else ()
        settings.setdefault(setting, {})[trial.repeat] = trial.fps
    return max(settings.values(), key=lambda found: statistics.median(found.values()), default=None)


def summarise(trials: Sequence[Measurement]) -> list[Result]:
    """One result for each regime, format and system."""
    groups = group(trials)
    results = []
    for (regime, output, system), some in groups.items():
        own = rates(some)
        bare = rates(groups.get((regime, Output.NONE, System.BARE), []))
        together = own is not None and bare is not None and system is not System.BARE and own.keys() & bare.keys()
        results.append(
            Result(
                regime=regime,
                format=output,
                system=system,
                fps=spread(list(own.values())) if own else None,
                of_bare=ratio(own, bare) if together and own and bare else None,
                fault=next((trial.fault for trial in some if trial.fault), ""),
                frames_checked=sum(trial.frames_checked for trial in some),
                worst_level=max(trial.worst_level for trial in some),
            )
        )
    return results


def compare(trials: Sequence[Measurement], device: BenchmarkDevice) -> list[Comparison]:
    """Ours over every other system that was measured beside it; systems that write nothing compare with all formats."""
    groups = group(trials)
    found = []
    for (regime, output, system), some in groups.items():
        ours = rates(some) if system is System.OURS else None
        if ours is None:
            continue
        for over in System:
            other = rates(groups.get((regime, Output.NONE if over.silent else output, over), []))
            if over is not System.OURS and other and ours.keys() & other.keys():
                found.append(
                    Comparison(regime, output, over, ratio(ours, other), goal_of(device, regime, output, over))
                )
    return found


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """A comparison as it stands in benchmark.json."""
    flat = asdict(comparison)
    return {**flat, **flat["ratio"], "met": comparison.met}


def cold_starts(trials: Sequence[Measurement]) -> list[dict[str, Any]]:
    """Medians of the parts of ours' start-up, by regime and format."""
    found = []
    for (regime, output, system), some in group(trials).items():
        good = [trial for trial in some if not trial.fault]
        if system is not System.OURS or not good:
            continue
        parts = {name: statistics.median(trial.cold.get(name, 0.0) for trial in good) for name in good[0].cold}
        found.append({"regime": regime, "format": output, **parts})
    return found
