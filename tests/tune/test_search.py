"""The search among layouts: every step keeps the best, time that is up ends it, drift does not decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.choices import PLAIN, GpuTuning
from jobs.cluster.layout import Layout
from jobs.cluster.tuned_layout import LayoutTrial
from jobs.tune.search import BATCHES, DIMENSIONS, SHARES, WORTH, best_of, explain, search


def run(
    gpus: int, speeds: dict[tuple[int, int], float], most: int = 100, said: list[str] | None = None
) -> list[LayoutTrial]:
    """Searches on a made-up machine, from 4 workers a GPU at batch 16; ``speeds`` is by workers and batch."""
    count = 0

    def measure(layout: Layout) -> LayoutTrial | None:
        nonlocal count
        count += 1
        fps = speeds.get((layout.workers, layout.batch), 1.0)
        return LayoutTrial(layout=layout, fps=fps) if count <= most else None

    first = Layout(workers=4 * gpus, threads=1, batch=BATCHES[0], gpus=0.25)
    return search(first, gpus, measure, lambda line: None if said is None else said.append(line), DIMENSIONS)


def test_the_batch_comes_first_then_how_many_share_a_gpu() -> None:
    said: list[str] = []
    trials = run(2, {(8, 8): 5.0, (16, 8): 7.0}, said=said)
    assert [t.layout.batch for t in trials[: len(BATCHES)]] == list(BATCHES)
    assert {t.layout.gpus for t in trials} == set(SHARES)
    assert best_of(trials).layout == Layout(workers=16, threads=1, batch=8, gpus=0.125)
    # What each step found is told when it has.
    assert said == [
        "batch: best so far: 8 workers x 1 threads, batch 8, 0.25 of a GPU each, 5.0 fps",
        "share of a GPU: best so far: 16 workers x 1 threads, batch 8, 0.125 of a GPU each, 7.0 fps",
        *(
            f"{name}: nothing better than 16 workers x 1 threads, batch 8, 0.125 of a GPU each, 7.0 fps"
            for name in ("NHWC with fused bias", "heuristic search", "CUDA graph")
        ),
    ]


def test_options_of_sessions_are_tried_one_by_one_from_the_best_so_far() -> None:
    fused, graph = GpuTuning(fused_nhwc=True), GpuTuning(fused_nhwc=True, graph=True)
    first = Layout(workers=8, threads=1, batch=16, gpus=0.125)
    speeds = {replace(first, tuning=fused): 5.0, replace(first, tuning=graph, batch=4): 9.0}
    trials = search(first, 1, lambda one: LayoutTrial(layout=one, fps=speeds.get(one, 1.0)), lambda _: None, DIMENSIONS)
    tried = [(one.layout.batch, one.layout.tuning) for one in trials if one.layout.tuning != PLAIN]
    assert tried == [
        (16, fused),
        (16, GpuTuning(fused_nhwc=True, heuristic_search=True)),
        (4, graph),
        (8, graph),
    ]
    best = best_of(trials).layout
    assert best.tuning == graph
    assert str(best) == "8 workers x 1 threads, batch 4, 0.125 of a GPU each, NHWC with fused bias, CUDA graph"
    # What is kept comes back as it was, and what was kept before there were such options is plain.
    kept = LayoutTrial.model_validate_json(LayoutTrial(layout=best, fps=9.0).model_dump_json())
    assert kept.layout == best
    earlier = {"layout": {"workers": 8, "threads": 1, "batch": 16, "gpus": 0.125}, "fps": 1.0}
    assert LayoutTrial.model_validate(earlier).layout == first


def test_a_step_that_finds_nothing_or_is_not_ended_says_so() -> None:
    said: list[str] = []
    run(1, {(4, 16): 9.0}, most=len(BATCHES) + 1, said=said)
    assert said == [
        "batch: nothing better than 4 workers x 1 threads, batch 16, 0.25 of a GPU each, 9.0 fps",
        "time is up; not searched to the end: share of a GPU, NHWC with fused bias, heuristic search, CUDA graph",
    ]
    said.clear()
    run(1, {}, most=2, said=said)
    assert said == [f"time is up; not searched to the end: {', '.join(each.name for each in DIMENSIONS)}"]


layouts = st.dictionaries(st.tuples(st.integers(1, 16), st.sampled_from(BATCHES)), st.floats(0, 1e4))


@given(layouts, st.integers(0, 30), st.integers(1, 4))
def test_whatever_is_measured_the_search_ends_and_tries_nothing_twice(
    speeds: dict[tuple[int, int], float], most: int, gpus: int
) -> None:
    trials = run(gpus, speeds, most)
    assert len(trials) <= most
    assert len({trial.layout for trial in trials}) == len(trials)
    if trials:
        best = best_of(trials)
        assert best.fps * WORTH ** len(trials) >= max(trial.fps for trial in trials)
        assert str(best.layout) in explain(trials)
    for trial in trials:
        assert trial.layout.workers * trial.layout.gpus == gpus


def test_the_first_of_equals_is_kept_and_the_reason_says_so() -> None:
    trials = run(1, {(4, 16): 10.0, (4, 8): 10.1})
    assert best_of(trials).layout.batch == 16
    assert "less than 2%" in explain(trials)


def test_a_layout_that_fails_is_never_the_best_of_others() -> None:
    failed, good = (
        LayoutTrial(layout=Layout(workers=n, threads=1, batch=1), fps=fps) for n, fps in ((1, 0.0), (2, 3.0))
    )
    assert best_of([failed, good]) is good
    assert "only one that worked" in explain([good, failed])


def test_a_kept_layout_needs_workers() -> None:
    kept = {"layout": {"workers": 0, "threads": 1, "batch": 1}, "fps": 1.0}
    with pytest.raises(ValueError, match="workers"):
        LayoutTrial.model_validate(kept)
