"""The steps on a GPU: their limits, and what figures mean."""

from __future__ import annotations

import pytest

from jobs.doctor.steps import (
    ALL_SECONDS,
    BEST,
    MATERIAL,
    OPTION_TRIALS,
    ROW,
    STEPS,
    Figures,
    Step,
    Trials,
    Verdict,
    best_workers,
)
from jobs.doctor.trials import TRIALS

# Figures that are all as expected, by step.
GOOD: dict[int, dict[str, Figures]] = {
    0: {"copies": {"pageable_gbs": 9.0, "pinned_gbs": 50.0}, "disk": {"mbs": 800.0}, "shared memory": {"mbs": 3000.0}},
    1: {"fp32": {"worst": 1, "cpu_nodes": []}, "without cuDNN": {"error": "NoCudaError"}},
    2: {"fp16": {"worst": 1, "mean": 0.1, "psnr": 58.6}},
    3: {name: {"ms": 0.25, "fps": 4000.0} for name in OPTION_TRIALS},
    4: {"fp16": {"us": 6000.0, "by_operator": {"Conv": 0.5, "Relu": 0.5}, "slowest": []}},
    5: {f"{count} processes": {"fps": 2000.0 + count} for count in (1, 2, 4, 8)},
    6: {f"{count} threads": {"fps": 860.0} for count in (0, 2, 4)},
    7: {name: {"fps": 1800.0, "of_bare": 0.92} for name in ("4 workers", "8 workers", BEST)},
    8: {"memory": {"process_mib": 700}, "driver": {"ms": 0.4}},
    9: {"ours beside bare": {"fps": 1800.0, "of_bare": 0.92}},
}
# One figure of each that is not.
BAD: dict[int, tuple[str, Figures]] = {
    0: ("copies", {"pinned_gbs": 12.0}),
    1: ("fp32", {"worst": 9, "cpu_nodes": []}),
    2: ("fp16", {"worst": 3, "psnr": 51.0}),
    3: ("fp16", {"ms": 0.8}),
    4: ("fp16", {"by_operator": {"Conv": 0.9, "Relu": 0.1}}),
    5: ("8 processes", {"fps": 900.0}),
    6: ("4 threads", {"fps": 800.0}),
    7: ("8 workers", {"fps": 900.0, "of_bare": 0.5}),
    8: ("driver", {"ms": 4.0}),
    9: ("ours beside bare", {"fps": 900.0, "of_bare": 0.5}),
}
EVERY = (*STEPS, ROW)


def spoilt(step: Step) -> Trials:
    """Figures of which none is as good as expected where several are looked at."""
    name, figures = BAD[step.number]
    if step.number in {6, 7}:
        return dict.fromkeys(step.trials, figures)
    return {**GOOD[step.number], name: figures}


def test_all_limits_together_are_below_seven_minutes_and_below_ten_with_the_row() -> None:
    limits = [MATERIAL.limit, *(step.limit for step in STEPS)]
    assert sum(limits) <= ALL_SECONDS <= 420
    assert sum(limits) + ROW.limit < 560


def test_steps_count_from_zero_and_each_has_its_trials() -> None:
    assert [step.number for step in EVERY] == list(range(10))
    for step in (MATERIAL, *EVERY):
        assert step.trials
        assert all(step.name in TRIALS or f"{step.name}/{trial}" in TRIALS for trial in step.trials)


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.name)
def test_figures_are_judged(step: Step) -> None:
    assert step.verdict(GOOD[step.number]) is Verdict.EXPECTED
    assert step.verdict(spoilt(step)) is (Verdict.WRONG if step.number == 1 else Verdict.OTHERWISE)


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.name)
def test_a_trial_without_figures_leaves_a_step_without_a_verdict(step: Step) -> None:
    good = GOOD[step.number]
    lost = next(iter(good))
    told = Verdict.WRONG if step.number == 1 else Verdict.NO_FIGURE
    assert step.verdict({**good, lost: {"fault": "it died"}}) is told
    assert step.verdict({name: one for name, one in good.items() if name != lost}) is told


def test_a_session_without_cudnn_that_is_had_all_the_same_stops_nothing() -> None:
    assert STEPS[1].verdict({**GOOD[1], "without cuDNN": {"error": ""}}) is Verdict.OTHERWISE
    assert STEPS[1].verdict({**GOOD[1], "without cuDNN": {"fault": "it died"}}) is Verdict.NO_FIGURE


def test_without_clip_and_networks_there_is_nothing_to_measure() -> None:
    assert MATERIAL.verdict({"clip and networks": {"backgrounds": 32}}) is Verdict.EXPECTED
    assert MATERIAL.verdict({"clip and networks": {"fault": "no such file"}}) is Verdict.WRONG


def test_the_fastest_layout_goes_on() -> None:
    assert best_workers({"4 workers": {"fps": 900.0}, "8 workers": {"fps": 1500.0}}) == 8
    assert best_workers({"4 workers": {"fps": 900.0}, "8 workers": {"fault": "it died"}}) == 4
    assert best_workers({}) == 4
