"""Many clips in one command beside one clip of as many frames, and beside a loop of commands: trials and figures.

Pure: nothing here measures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from jobs.benchmark.matrix import Regime
from jobs.benchmark.results import Spread, spread

# What a row of the batch lasts.
ROW_SECONDS = 2
# A loop of commands is measured over a tenth of the rows and scaled.
LOOP_SHARE = 10


class Run(StrEnum):
    """What is run: its name, and what tables call it."""

    label: str
    ONE = "one", "one clip"
    FEATURES = "features", "feature files"
    RECORDINGS = "recordings", "recordings"
    LOOP = "loop", "the loop"
    CLIPS = "clips", "other clips"
    ONE_LONG = "one_long", "one long clip"

    def __new__(cls, value: str, label: str) -> Self:
        """A string like any other, with a label."""
        member = str.__new__(cls, value)
        member._value_, member.label = value, label
        return member

    @property
    def is_batch(self) -> bool:
        """Whether one command renders all rows."""
        return self in {Run.FEATURES, Run.RECORDINGS, Run.CLIPS}

    @property
    def own_backgrounds(self) -> bool:
        """Whether each row has backgrounds of its own, or one clip has all of these."""
        return self in {Run.CLIPS, Run.ONE_LONG}


@dataclass(frozen=True, slots=True)
class ClipsTrial:
    """One run of many clips, or of what they are compared with.

    Attributes:
        regime: which network.
        run: what was run.
        repeat: from 0.
        rows: clips that were rendered.
        frames: output frames that were rendered.
        rendering_s: first frame's start to last file's end, over all workers, by the tables of timings.
        command_s: the commands' start to their end.
        start_s: of that, the start of the program and of Ray, the median over the commands of one clip so far.
        gap_ms: median gap between two clips as a worker sees it; ``None`` where no worker changed its clip.
        fault: why it does not count, or empty.
    """

    regime: Regime
    run: Run
    repeat: int
    rows: int
    frames: int = 0
    rendering_s: float = 0.0
    command_s: float = 0.0
    start_s: float = 0.0
    gap_ms: float | None = None
    fault: str = ""

    @property
    def fps(self) -> float:
        """Frames per second; with backgrounds of their own their loading counts, else only the rendering."""
        return self.frames / (self.command_s - self.start_s if self.run.own_backgrounds else self.rendering_s)

    def figure(self, over: Run) -> float:
        """What is compared with ``over``: with a loop the seconds of a row, all included, else frames per second."""
        return self.command_s / self.rows if over is Run.LOOP else self.fps


@dataclass(frozen=True, slots=True)
class ClipsResult:
    """A figure of a batch beside what it is compared with.

    Attributes:
        regime: which network.
        run: which batch.
        over: what it is compared with; ``None`` for the gap, which is compared with nothing.
        figure: of the batch: frames per second, over a loop seconds of a row, without ``over`` the gap in milliseconds.
        other: the same of what it is compared with.
        ratio: how many times as fast the batch is, by the medians.
        goal: what ``ratio`` must at least be; without ``over``, what ``figure`` must be below.
        met: whether it is; ``None`` without a goal.
    """

    regime: Regime
    run: Run
    over: Run | None
    figure: Spread
    other: Spread | None
    ratio: float | None
    goal: float | None
    met: bool | None


MOST_GAP_MS = 20.0
# What is compared with what, by which figure, and how many times as fast the batch must be.
PAIRS: tuple[tuple[Run, Run, dict[Regime, float]], ...] = (
    (Run.FEATURES, Run.ONE, {Regime.LIGHT: 0.75, Regime.HEAVY: 0.95}),
    (Run.FEATURES, Run.LOOP, {Regime.LIGHT: 15.0}),
    (Run.RECORDINGS, Run.ONE, {}),
    (Run.CLIPS, Run.ONE_LONG, {Regime.LIGHT: 0.7}),
)


def runs_of(regime: Regime, *, recordings: bool) -> tuple[Run, ...]:
    """What is run with a network, in the order of the first repeat; with the heavy one only what has a goal there.

    Args:
        regime: which network.
        recordings: whether the network's kind has an encoder.
    """
    if regime is Regime.HEAVY:
        return Run.ONE, Run.FEATURES
    return tuple(run for run in Run if recordings or run is not Run.RECORDINGS)


def looped(rows: int) -> int:
    """Of so many rows, how many the loop of commands renders."""
    return max(1, rows // LOOP_SHARE)


def compare_clips(trials: Iterable[ClipsTrial]) -> list[ClipsResult]:
    """All figures of which both sides were measured; a run that failed in any repeat has none."""
    by_run: dict[tuple[Regime, Run], list[ClipsTrial]] = {}
    for trial in trials:
        by_run.setdefault((trial.regime, trial.run), []).append(trial)
    good = {key: some for key, some in by_run.items() if not any(trial.fault for trial in some)}
    found = []
    for regime in Regime:
        for run, over, goals in PAIRS:
            if (regime, run) in good and (regime, over) in good:
                found.append(_beside(good[regime, run], good[regime, over], goals.get(regime)))
        gaps = [trial.gap_ms for trial in good.get((regime, Run.FEATURES), []) if trial.gap_ms is not None]
        if gaps:
            gap = spread(gaps)
            met = gap.median < MOST_GAP_MS
            found.append(ClipsResult(regime, Run.FEATURES, None, gap, None, None, MOST_GAP_MS, met))
    return found


def _beside(batch: list[ClipsTrial], others: list[ClipsTrial], goal: float | None) -> ClipsResult:
    over = others[0].run
    figure, other = (spread([trial.figure(over) for trial in some]) for some in (batch, others))
    ratio = other.median / figure.median if over is Run.LOOP else figure.median / other.median
    met = None if goal is None else ratio >= goal
    return ClipsResult(batch[0].regime, batch[0].run, over, figure, other, ratio, goal, met)
