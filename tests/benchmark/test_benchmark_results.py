"""Medians, ratios and goals from trials, and what becomes of systems that are wrong."""

from __future__ import annotations

import statistics
from dataclasses import replace

import benched
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.benchmark.frame_check import FrameVerdict
from jobs.benchmark.matrix import BenchmarkDevice, Cell, Output, Regime, System
from jobs.benchmark.measurement import Answer, Assignment, counted_fps, make_trial
from jobs.benchmark.memory import Memory
from jobs.benchmark.results import cold_starts, compare, ratio, spread, summarise
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


@given(st.dictionaries(st.integers(0, 9), st.tuples(positive, positive), min_size=1))
def test_a_ratio_is_of_medians_and_its_range_of_neighbours(rates: dict[int, tuple[float, float]]) -> None:
    ours, other = ({repeat: pair[i] for repeat, pair in rates.items()} for i in (0, 1))
    found = ratio(ours, other)
    assert found.ratio == pytest.approx(statistics.median(ours.values()) / statistics.median(other.values()))
    assert found.low <= found.high
    assert all(found.low <= ours[repeat] / other[repeat] <= found.high for repeat in rates)


@given(st.dictionaries(st.integers(0, 9), positive, min_size=1), st.floats(0.1, 10))
def test_a_machine_that_drifts_does_not_move_the_range(rates: dict[int, float], times: float) -> None:
    # In each repeat both drift alike, so the ratio within a repeat stays.
    found = ratio({repeat: times * rate for repeat, rate in rates.items()}, rates)
    assert found.low == pytest.approx(times)
    assert found.high == pytest.approx(times)


@given(st.integers(1, 20_000), positive, st.floats(0, 100), st.integers(1, 64))
def test_preparation_is_charged_over_all_cores(frames: int, steady: float, prepare: float, cores: int) -> None:
    fps = counted_fps(frames, steady, prepare, cores)
    assert fps <= frames / steady
    assert frames / fps == pytest.approx(steady + prepare / cores)


TASK = Assignment(Cell(Regime.LIGHT, Output.JPG, System.OURS), 200, Setting(2, 1, 4))


def test_a_trial_counts_the_preparation() -> None:
    memory = Memory(9, 8, 7, 6, (), 5)
    answer = Answer(frames=200, steady_s=2.0, prepare_s=1.0, cold={"ray_s": 3.0}, cache_bytes=5, memory=memory)
    trial = make_trial(TASK, answer, FrameVerdict(24, 0), repeat=1, order=2, cores=2)
    assert trial.fps_steady == 100
    assert trial.fps == 80
    assert (trial.pss, trial.shared, trial.private, trial.worker_private) == (9, 8, 7, 6)
    assert (trial.repeat, trial.order, trial.batch, trial.frames_checked) == (1, 2, 4, 24)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(frames=200, steady_s=2.0), FrameVerdict(3, 9, "frame 2 differs from the reference by 9 levels")),
        (Answer(fault="ended with 1: boom"), FrameVerdict(0, 0)),
    ],
)
def test_wrong_pixels_and_failures_have_no_rate(answer: Answer, verdict: FrameVerdict) -> None:
    trial = make_trial(TASK, answer, verdict, repeat=0, order=0, cores=2)
    assert trial.fps is None
    assert trial.fault == (answer.fault or verdict.fault)


def test_one_wrong_repeat_takes_a_system_out_of_everything() -> None:
    trials = [
        *benched.trials(System.OURS, 120, 90, 130),
        *benched.trials(System.PLAIN_LOOP, 100, None, 100),
        *benched.trials(System.BARE, 200, 100, 200),
    ]
    results = {result.system: result for result in summarise(trials)}
    assert results[System.PLAIN_LOOP].fps is None
    assert results[System.PLAIN_LOOP].of_bare is None
    assert results[System.PLAIN_LOOP].fault == "was wrong"
    assert results[System.OURS].fps == spread([120, 90, 130])
    assert results[System.OURS].of_bare == ratio({0: 120, 1: 90, 2: 130}, {0: 200, 1: 100, 2: 200})
    assert results[System.BARE].of_bare is None
    assert [found.over for found in compare(trials, BenchmarkDevice.CPU)] == [System.BARE]
    assert compare([trial for trial in trials if trial.system is not System.OURS], BenchmarkDevice.CPU) == []


def test_of_two_settings_the_one_with_the_better_median_counts() -> None:
    alone = [replace(trial, workers=1, threads=2) for trial in benched.trials(System.BARE, 150, 180, 140)]
    trials = [
        *benched.trials(System.OURS, 120, 90, 100),
        *benched.trials(System.BARE, 200, 100, 120),
        *alone,
    ]
    results = {result.system: result for result in summarise(trials)}
    assert results[System.BARE].fps == spread([150, 180, 140])
    assert results[System.OURS].of_bare == ratio({0: 120, 1: 90, 2: 100}, {0: 150, 1: 180, 2: 140})
    failed = [*trials, *benched.trials(System.BARE, 150, None)]
    assert {result.system: result.fps for result in summarise(failed)}[System.BARE] is None


@pytest.mark.parametrize(("rate", "met"), [(119.0, False), (121.0, True)])
def test_goals_are_judged_by_the_medians(rate: float, met: bool) -> None:
    trials = [*benched.trials(System.OURS, 1, rate, 1e4), *benched.trials(System.PLAIN_LOOP, 100, 100, 100)]
    (found,) = compare(trials, BenchmarkDevice.CPU)
    assert found.goal == 1.2
    assert found.met is met
    (on_gpu,) = compare(trials, BenchmarkDevice.CUDA)
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
    found = {(one.format, one.over): one.ratio.ratio for one in compare(trials, BenchmarkDevice.CPU)}
    assert found == {
        (Output.JPG, System.BARE): 2,
        (Output.PNG, System.BARE): 4,
        (Output.PNG, System.RAY_DATA): 5,
    }


def test_cold_starts_are_medians_of_the_trials_that_went_well() -> None:
    trials = [
        replace(trial, cold={"ray_s": float(i)}) for i, trial in enumerate(benched.trials(System.OURS, 1, 1, 1, None))
    ]
    assert cold_starts(trials) == [{"regime": Regime.LIGHT, "format": Output.JPG, "ray_s": 1.0}]
    assert cold_starts(benched.trials(System.BARE, 1)) == []
