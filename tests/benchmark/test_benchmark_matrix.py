"""Who is measured in what order and for how long."""

from __future__ import annotations

import importlib
import itertools
import math

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from actors.core.choices import Device
from jobs.benchmark.matrix import (
    CUDA_STEP,
    FILLING,
    GOALS,
    MOST_FRAMES,
    STEP,
    Cell,
    Output,
    Regime,
    System,
    cells,
    first_length,
    goal_of,
    next_length,
    rotated,
    trial_seconds,
)

WRITTEN = (Output.JPG, Output.PNG, Output.VIDEO)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("regime", Regime)
def test_every_cell_exists_and_stands_there_once(regime: Regime, full: bool) -> None:
    found = cells(regime, WRITTEN, tuple(System), full=full)
    assert len(set(found)) == len(found)
    for cell in found:
        assert cell.regime is regime
        assert (cell.format is Output.NONE) == cell.system.silent
        assert cell.format is not Output.VIDEO or cell.system is System.OURS


# What the default leaves to the whole matrix: the goals over these.
LEFT_OUT = {
    Cell(Regime.HEAVY, Output.JPG, System.THREAD_POOL_OVERLAPPED),
    *(
        Cell(Regime.HEAVY, Output.PNG, system)
        for system in set(System) - {System.OURS, System.BARE, System.WORKERS_INFERENCE, System.PLAIN_LOOP}
    ),
}


def test_everybody_takes_part_and_the_default_covers_all_goals_but_a_few() -> None:
    for regime in Regime:
        brief, full = (cells(regime, WRITTEN, tuple(System), full=full) for full in (False, True))
        assert set(brief) < set(full)
        assert {cell.system for cell in full} == set(System)
        if regime is Regime.HEAVY:
            assert {cell.system for cell in brief} == set(System) - {System.THREAD_POOL_OVERLAPPED}
    for everything, left_out in ((True, set[Cell]()), (False, LEFT_OUT)):
        found = {cell for regime in Regime for cell in cells(regime, WRITTEN, tuple(System), full=everything)}
        needed = {Cell(regime, output, System.OURS) for _, regime, output in GOALS}
        needed |= {
            Cell(regime, Output.NONE if over.silent else output, over)
            for (_, regime, output), goals in GOALS.items()
            for over in goals
        }
        assert needed - found == left_out


def test_the_goals_are_those_that_were_set() -> None:
    assert goal_of(Device.CPU, Regime.HEAVY, Output.JPG, System.BARE) == 0.97
    assert goal_of(Device.CPU, Regime.HEAVY, Output.PNG, System.BARE) == 0.97
    assert goal_of(Device.CPU, Regime.LIGHT, Output.JPG, System.PLAIN_LOOP) == 1.2
    assert goal_of(Device.CPU, Regime.LIGHT, Output.JPG, System.THREAD_POOL) == 3
    assert goal_of(Device.CPU, Regime.LIGHT, Output.JPG, System.RAY_DATA) == 4
    assert goal_of(Device.CPU, Regime.LIGHT, Output.PNG, System.PLAIN_LOOP) == 3.5
    assert goal_of(Device.CUDA, Regime.HEAVY, Output.JPG, System.BARE) == 0.9
    assert goal_of(Device.CUDA, Regime.LIGHT, Output.JPG, System.BARE) is None
    for output in (Output.JPG, Output.PNG):
        found = {over for over in System if goal_of(Device.CPU, Regime.HEAVY, output, over) == 1}
        assert found == set(System) - {System.OURS, System.BARE}


def test_only_what_is_asked_for_is_measured() -> None:
    found = cells(Regime.LIGHT, (Output.PNG,), (System.OURS, System.BARE), full=False)
    assert found == (
        Cell(Regime.LIGHT, Output.NONE, System.BARE),
        Cell(Regime.LIGHT, Output.PNG, System.OURS),
    )


@pytest.mark.parametrize("repeats", [1, 2, 3, 5])
def test_repeats_begin_at_different_places_and_leave_nobody_out(repeats: int) -> None:
    order = cells(Regime.LIGHT, WRITTEN, tuple(System), full=False)
    turns = [rotated(order, repeat, repeats) for repeat in range(repeats)]
    assert turns[0] == order
    assert all(set(turn) == set(order) and len(turn) == len(order) for turn in turns)
    for cell in order:
        assert len({turn.index(cell) for turn in turns}) == repeats


rates = st.floats(0.01, 1e6)
spans = st.floats(0.1, 60)


@given(rates, st.sampled_from(Output), st.integers(1, 256), spans, st.sampled_from([STEP, CUDA_STEP]))
def test_first_lengths_are_whole_batches(rate: float, output: Output, cores: int, seconds: float, step: int) -> None:
    frames = first_length(Cell(Regime.LIGHT, output, System.OURS), rate, cores, seconds, step)
    assert frames % step == 0
    assert step <= frames <= MOST_FRAMES
    assert frames <= max(step, rate * seconds + step)


@given(st.integers(1, MOST_FRAMES // STEP).map(lambda steps: steps * STEP), st.floats(0, 1e4), spans)
def test_the_next_trial_takes_about_as_long_as_it_should(frames: int, steady: float, seconds: float) -> None:
    length = next_length(frames, steady, seconds)
    assert length % STEP == 0
    assert STEP <= length <= MOST_FRAMES
    if seconds / 2 <= steady <= 2 * seconds:
        assert length == frames
    elif STEP < length < MOST_FRAMES:
        # At the same rate the next one takes the time that was asked for, up to rounding to whole steps.
        assert length == math.ceil(frames * seconds / max(steady, 1e-6) / STEP) * STEP
        assert abs(length * steady / frames - seconds) <= STEP * steady / frames + 1e-9


def test_what_counts_only_later_is_given_the_time_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    def frames(regime: Regime, system: System) -> int:
        return first_length(Cell(regime, Output.JPG, system), 80, 1, 2.0)

    for regime, system in itertools.product(Regime, System):
        filling = FILLING if (regime, system) == (Regime.LIGHT, System.RAY_DATA) else 0
        assert frames(regime, system) == 80 * (2 + filling)
    monkeypatch.syspath_prepend(str(small.ROOT / "jobs" / "benchmark" / "baselines"))
    assert importlib.import_module("ray_data").FILLING == FILLING


@pytest.mark.parametrize(
    ("regime", "system", "times"),
    [
        (Regime.LIGHT, System.RAY_DATA, 1),
        (Regime.LIGHT, System.OURS, 1),
        (Regime.HEAVY, System.PLAIN_LOOP, 1.25),
        (Regime.HEAVY, System.OURS, 5),
        # Twice, once for each of two settings.
        (Regime.HEAVY, System.BARE, 2.5),
    ],
)
def test_what_the_headline_rests_on_runs_longer(regime: Regime, system: System, times: float) -> None:
    assert trial_seconds(Cell(regime, Output.JPG, system), 3.0) == 3.0 * times
