"""The search for the best layout of workers: which to try next, given what was measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jobs.cluster.layout import Layout
from jobs.cluster.tuned_layout import LayoutTrial

BATCHES = (16, 4, 8, 32, 64)
SHARES = (0.125, 0.25, 0.5, 1.0)

# A graph spares the host its launches, which count where a batch is small.
GRAPH_BATCHES = (4, 8)

# Two layouts nearer than this are equal within what a machine drifts; the one that was tried first is kept.
WORTH = 1.02


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that layouts differ in.

    Attributes:
        name: what users know it by.
        layouts: the candidates, made of the best layout so far and the number of GPUs.
    """

    name: str
    layouts: Callable[[Layout, int], Sequence[Layout]]


def _batches(best: Layout, _gpus: int) -> Sequence[Layout]:
    return [replace(best, batch=size) for size in BATCHES]


def _shares(best: Layout, gpus: int) -> Sequence[Layout]:
    return [replace(best, gpus=share, workers=int(gpus / share)) for share in SHARES]


def _sessions(**options: bool) -> Callable[[Layout, int], Sequence[Layout]]:
    return lambda best, _gpus: [replace(best, tuning=replace(best.tuning, **options))]


def _graphs(best: Layout, _gpus: int) -> Sequence[Layout]:
    return [replace(best, batch=size, tuning=replace(best.tuning, graph=True)) for size in GRAPH_BATCHES]


# In the order in which they are searched. The batch comes first, because it decides what launches cost.
DIMENSIONS = (
    Dimension("batch", _batches),
    Dimension("share of a GPU", _shares),
    Dimension("NHWC with fused bias", _sessions(fused_nhwc=True)),
    Dimension("heuristic search", _sessions(heuristic_search=True)),
    Dimension("CUDA graph", _graphs),
)


def search(
    first: Layout,
    gpus: int,
    measure: Callable[[Layout], LayoutTrial | None],
    tell: Callable[[str], None],
    dimensions: Sequence[Dimension],
) -> list[LayoutTrial]:
    """Tries a layout, then others, one dimension at a time.

    Each step goes on from the best so far, so that a few trials stand for the whole product.

    Args:
        first: what is tried first.
        gpus: of the cluster, at least 1.
        measure: renders with a layout; ``None`` when time is up.
        tell: is given one line for each step, which says what is known after it.
        dimensions: what is varied.

    Returns:
        The trials, in order; their best is `best_of`.
    """
    trials: list[LayoutTrial] = []

    def attempt(layouts: Sequence[Layout]) -> bool:
        for layout in layouts:
            if layout in [trial.layout for trial in trials]:
                continue
            trial = measure(layout)
            if trial is None:
                return False
            trials.append(trial)
        return True

    if not attempt([first]):
        return trials
    for number, dimension in enumerate(dimensions):
        before = best_of(trials)
        if not attempt(dimension.layouts(before.layout, gpus)):
            unsearched = ", ".join(each.name for each in dimensions[number:])
            tell(f"time is up; not searched to the end: {unsearched}")
            break
        best = best_of(trials)
        outcome = "nothing better than" if best is before else "best so far:"
        tell(f"{dimension.name}: {outcome} {best.layout}, {best.fps:.1f} fps")
    return trials


def best_of(trials: list[LayoutTrial]) -> LayoutTrial:
    """The fastest trial; an earlier one wins over a later that is faster by less than `WORTH`."""
    best = trials[0]
    for trial in trials[1:]:
        if trial.fps > best.fps * WORTH:
            best = trial
    return best


def explain(trials: list[LayoutTrial]) -> str:
    """One sentence that says why the best is the best."""
    best = best_of(trials)
    others = [trial for trial in trials if trial is not best]
    if not others:
        return f"{best.layout}: nothing else was tried"
    second = max(others, key=lambda trial: trial.fps)
    if second.fps > best.fps:
        return f"{best.layout}: {second.layout} was faster by less than {WORTH - 1:.0%}, which is what machines drift"
    lead = f"{best.fps / second.fps - 1:.0%} above" if second.fps else "the only one that worked, before"
    return f"{best.layout}: {best.fps:.1f} fps, {lead} {second.layout}"
