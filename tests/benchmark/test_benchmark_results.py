"""Medians, ratios and goals from trials, and what becomes of systems that are wrong."""

from __future__ import annotations

import dataclasses
import statistics

import benched
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.choices import Device
from jobs.benchmark.frame_check import FrameVerdict
from jobs.benchmark.matrix import Cell, Output, Regime, System
from jobs.benchmark.measurement import Answer, Assignment, Measurement
from jobs.benchmark.results import Result, compare, spread, summarise
from jobs.benchmark.settings import Setting

positive = st.floats(0.1, 1e5)


@given(st.lists(positive, min_size=1, max_size=9))
def test_a_spread_lies_within_its_values(values: list[float]) -> None:
    found = spread(values)
    assert found.low == min(values)
    assert found.high == max(values)
    assert found.low <= found.median <= found.high
    assert found.median == statistics.median(values)
    assert found.count == len(values)


TASK = Assignment(Cell(Regime.LIGHT, Output.JPG, System.OURS), 200, Setting(2, 1, 4))


@given(st.integers(1, 20_000), positive, st.floats(0, 100), st.integers(1, 64))
def test_preparation_is_charged_over_all_cores(frames: int, steady: float, prepare: float, cores: int) -> None:
    answer = Answer(frames=frames, steady_s=steady, prepare_s=prepare)
    fps = Measurement(TASK, answer, FrameVerdict(), cores).fps
    assert fps is not None
    assert fps <= frames / steady
    assert frames / fps == pytest.approx(steady + prepare / cores)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(frames=200, steady_s=2.0), FrameVerdict(3, 9, "frame 2 differs from the reference by 9 levels")),
        (Answer(fault="ended with 1: boom"), FrameVerdict(0, 0)),
    ],
)
def test_wrong_pixels_and_failures_have_no_rate(answer: Answer, verdict: FrameVerdict) -> None:
    trial = Measurement(TASK, answer, verdict, 2)
    assert trial.fps is None
    assert trial.fault == (answer.fault or verdict.fault)


def figures(result: Result) -> tuple[float, ...]:
    assert result.fps is not None
    return dataclasses.astuple(result.fps)


def test_one_wrong_repeat_takes_a_system_out_of_everything() -> None:
    trials = [
        *benched.trials(System.OURS, 120, 90, 130),
        *benched.trials(System.PLAIN_LOOP, 100, None, 100),
        *benched.trials(System.BARE, 200, 100, 200),
    ]
    results = {result.cell.system: result for result in summarise(trials)}
    assert results[System.PLAIN_LOOP].fps is None
    assert results[System.PLAIN_LOOP].fault == "was wrong"
    assert figures(results[System.OURS]) == pytest.approx((120, 90, 130, 3))
    assert {found.over: found.ratio for found in compare(trials, Device.CPU)} == {System.BARE: 0.6}
    assert compare([trial for trial in trials if trial.task.cell.system is not System.OURS], Device.CPU) == []


def test_of_two_settings_the_one_with_the_better_median_counts() -> None:
    trials = [
        *benched.trials(System.OURS, 120, 90, 100),
        *benched.trials(System.BARE, 200, 100, 120),
        *benched.trials(System.BARE, 150, 180, 140, setting=Setting(1, 2, 1)),
    ]
    results = {result.cell.system: result for result in summarise(trials)}
    assert figures(results[System.BARE]) == pytest.approx((150, 140, 180, 3))
    assert [found.ratio for found in compare(trials, Device.CPU)] == [pytest.approx(100 / 150)]
    failed = [*trials, *benched.trials(System.BARE, 150, None)]
    assert {result.cell.system: result.fps for result in summarise(failed)}[System.BARE] is None


@pytest.mark.parametrize(("rate", "met"), [(119.0, False), (121.0, True)])
def test_goals_are_judged_by_the_medians(rate: float, met: bool) -> None:
    trials = [*benched.trials(System.OURS, 1, rate, 1e4), *benched.trials(System.PLAIN_LOOP, 100, 100, 100)]
    (found,) = compare(trials, Device.CPU)
    assert found.goal == 1.2
    assert found.met is met
    (on_gpu,) = compare(trials, Device.CUDA)
    assert on_gpu.goal is None
    assert on_gpu.met is None


def test_what_writes_nothing_is_compared_with_every_format_of_its_own_regime() -> None:
    trials = [
        *benched.trials(System.OURS, 10, regime=Regime.HEAVY),
        *benched.trials(System.OURS, 20, regime=Regime.HEAVY, output=Output.PNG),
        *benched.trials(System.BARE, 5, regime=Regime.HEAVY),
        *benched.trials(System.BARE, 500),
        *benched.trials(System.RAY_DATA, 4, regime=Regime.HEAVY, output=Output.PNG),
    ]
    found = {(one.cell.format, one.over): one.ratio for one in compare(trials, Device.CPU)}
    assert found == pytest.approx(
        {(Output.JPG, System.BARE): 2, (Output.PNG, System.BARE): 4, (Output.PNG, System.RAY_DATA): 5}
    )
