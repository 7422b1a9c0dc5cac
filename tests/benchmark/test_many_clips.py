"""Figures of many clips in one command: what is compared with what, goals, and what a fault takes away."""

from __future__ import annotations

import pytest

from jobs.benchmark.many_clips import ClipsTrial, Run, compare_clips, looped, runs_of
from jobs.benchmark.matrix import Regime

LIGHT, HEAVY = Regime.LIGHT, Regime.HEAVY


def trial(
    run: Run,
    rendering: float,
    command: float = 0.0,
    *,
    regime: Regime = LIGHT,
    repeat: int = 0,
    rows: int = 40,
    gap: float | None = None,
    fault: str = "",
) -> ClipsTrial:
    return ClipsTrial(regime, run, repeat, rows, rows * 50, rendering, command, 4.0, gap, fault)


def test_rates_are_compared_by_the_medians_of_rendering_alone() -> None:
    some = [
        *(trial(Run.ONE, seconds, 60, repeat=i) for i, seconds in enumerate((2.0, 1.0, 2.5))),
        *(trial(Run.FEATURES, seconds, 99, repeat=i) for i, seconds in enumerate((2.5, 2.5, 9.0))),
    ]
    (found,) = compare_clips(some)
    assert (found.run, found.over) == (Run.FEATURES, Run.ONE)
    assert found.other is not None
    assert (found.figure.median, found.other.median) == (800, 1000)
    assert (found.other.low, found.other.high, found.other.count) == (800, 2000, 3)
    assert found.ratio == pytest.approx(0.8)
    assert (found.goal, found.met) == (0.75, True)


def test_a_loop_counts_everything_by_the_row() -> None:
    (found,) = compare_clips([trial(Run.FEATURES, 1, 20), trial(Run.LOOP, 1, 24, rows=4)])
    assert (found.over, found.figure.median) == (Run.LOOP, 0.5)
    assert found.ratio == pytest.approx(12)
    assert (found.goal, found.met) == (15.0, False)


def test_clips_of_their_own_count_their_loading_but_no_start() -> None:
    (found,) = compare_clips([trial(Run.CLIPS, 1, 14), trial(Run.ONE_LONG, 1, 12)])
    assert (found.over, found.figure.median) == (Run.ONE_LONG, 200)
    assert found.ratio == pytest.approx(0.8)
    assert (found.goal, found.met) == (0.7, True)


@pytest.mark.parametrize(("gap", "met"), [(19.9, True), (20.1, False)])
def test_the_gap_has_a_goal_of_its_own(gap: float, met: bool) -> None:
    (found,) = compare_clips([trial(Run.FEATURES, 1, gap=gap)])
    assert (found.over, found.figure.median, found.goal, found.met) == (None, gap, 20.0, met)


def test_goals_are_those_of_the_network() -> None:
    some = [trial(run, 1.0, 9.0, regime=HEAVY) for run in (Run.ONE, Run.FEATURES)]
    assert [(one.goal, one.met) for one in compare_clips(some)] == [(0.95, True)]
    recorded = [trial(run, 1.0) for run in (Run.ONE, Run.RECORDINGS)]
    assert [(one.goal, one.met) for one in compare_clips(recorded)] == [(None, None)]


def test_one_fault_takes_a_run_out_of_every_figure() -> None:
    good = [trial(run, 1, 9, gap=3) for run in Run]
    assert [(one.run, one.over) for one in compare_clips(good)] == [
        (Run.FEATURES, Run.ONE),
        (Run.FEATURES, Run.LOOP),
        (Run.RECORDINGS, Run.ONE),
        (Run.CLIPS, Run.ONE_LONG),
        (Run.FEATURES, None),
    ]
    wrong = [*good, trial(Run.FEATURES, 0, repeat=1, fault="row 39 has other frames than a run of its own")]
    assert [(one.run, one.over) for one in compare_clips(wrong)] == [
        (Run.RECORDINGS, Run.ONE),
        (Run.CLIPS, Run.ONE_LONG),
    ]


def test_what_has_no_goal_with_the_heavy_network_is_not_run_with_it() -> None:
    assert runs_of(HEAVY, recordings=True) == (Run.ONE, Run.FEATURES)
    assert runs_of(LIGHT, recordings=True) == tuple(Run)
    assert set(Run) - set(runs_of(LIGHT, recordings=False)) == {Run.RECORDINGS}
    assert [looped(rows) for rows in (1, 2, 40, 100)] == [1, 1, 4, 10]
