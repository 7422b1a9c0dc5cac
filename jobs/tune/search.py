"""The search for the best layout of workers: which to try next, given what was measured. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.cluster.layout import Layout
from jobs.cluster.tuned_layout import LayoutTrial

BATCHES = (4, 1, 8, 16, 32)
SHARES = (0.5, 0.25, 0.125, 1.0)

# Two layouts nearer than this are equal within what a machine drifts; the one that was tried first is kept.
WORTH = 1.02


def search(gpus: int, measure: Callable[[Layout], LayoutTrial | None]) -> list[LayoutTrial]:
    """Tries layouts one dimension at a time: the batch, then how many workers share a GPU.

    Each step keeps the best so far, so that a few trials stand for the whole product.

    Args:
        gpus: of the cluster, at least 1.
        measure: renders with a layout; ``None`` when time is up.

    Returns:
        The trials, in order; their best is `best_of`.
    """
    trials: list[LayoutTrial] = []

    def attempt(layouts: list[Layout]) -> bool:
        for layout in layouts:
            if layout in [trial.layout for trial in trials]:
                continue
            trial = measure(layout)
            if trial is None:
                return False
            trials.append(trial)
        return True

    base = Layout(workers=int(gpus / SHARES[0]), threads=1, batch=BATCHES[0], gpus=SHARES[0])
    if attempt([replace(base, batch=size) for size in BATCHES]):
        best = best_of(trials).layout
        attempt([replace(best, gpus=share, workers=int(gpus / share)) for share in SHARES])
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
