"""The search among layouts: every step keeps the best, time that is up ends it, drift does not decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cluster.connection import ClusterResources
from jobs.cluster.layout import Layout
from jobs.cluster.placement import CPU, CUDA
from jobs.cluster.tuned_layout import LayoutTrial
from jobs.tune.search import CPU_BATCHES, CUDA_BATCHES, CUDA_SHARES, WORTH, best_of, explain, search

MACHINE = ClusterResources(
    cpus=8, gpus=0, nodes=("a",), rendering=("a",), store=1 << 30, smallest_node_cpus=8, gpu_node_cpus=0
)
GPUS = replace(MACHINE, gpus=2.0, gpu_node_cpus=8)


def run(
    resources: ClusterResources, provider: str, speeds: dict[tuple[int, int], float], most: int = 100
) -> list[LayoutTrial]:
    """Searches on a made-up machine; ``speeds`` is by threads (on GPUs: workers) and batch."""
    count = 0

    def measure(layout: Layout) -> LayoutTrial | None:
        nonlocal count
        count += 1
        place = (layout.threads if provider == CPU else layout.workers, layout.batch)
        return LayoutTrial(layout=layout, fps=speeds.get(place, 1.0)) if count <= most else None

    return search(resources, provider, measure)


def test_cores_are_divided_first_then_batches_are_tried() -> None:
    trials = run(MACHINE, CPU, {(2, 1): 5.0, (2, 4): 7.0})
    assert [(t.layout.workers, t.layout.threads) for t in trials[:4]] == [(8, 1), (4, 2), (2, 4), (1, 8)]
    assert {t.layout.threads for t in trials[4:]} == {2}
    assert best_of(trials).layout == Layout(workers=4, threads=2, batch=4)


def test_on_gpus_the_batch_comes_first_then_how_many_share_one() -> None:
    trials = run(GPUS, CUDA, {(4, 8): 5.0, (16, 8): 7.0})
    assert [t.layout.batch for t in trials[: len(CUDA_BATCHES)]] == list(CUDA_BATCHES)
    assert {t.layout.gpus for t in trials} == set(CUDA_SHARES)
    assert best_of(trials).layout == Layout(workers=16, threads=1, batch=8, gpus=0.125)


layouts = st.dictionaries(st.tuples(st.integers(1, 16), st.sampled_from([1, 2, 4, 8, 16, 32])), st.floats(0, 1e4))


@given(layouts, st.integers(0, 30), st.sampled_from([CPU, CUDA]))
def test_whatever_is_measured_the_search_ends_and_tries_nothing_twice(
    speeds: dict[tuple[int, int], float], most: int, provider: str
) -> None:
    resources = MACHINE if provider == CPU else GPUS
    trials = run(resources, provider, speeds, most)
    assert len(trials) <= most
    assert len({trial.layout for trial in trials}) == len(trials)
    if trials:
        best = best_of(trials)
        assert best.fps * WORTH ** len(trials) >= max(trial.fps for trial in trials)
        assert str(best.layout) in explain(trials)
    for trial in trials:
        assert trial.layout.workers >= 1
        assert trial.layout.workers * trial.layout.threads <= 8 or provider == CUDA


def test_the_first_of_equals_is_kept_and_the_reason_says_so() -> None:
    trials = run(MACHINE, CPU, {(1, 1): 10.0, (2, 1): 10.1})
    assert best_of(trials).layout.threads == 1
    assert "less than 2%" in explain(trials)
    assert len(CPU_BATCHES) > 1


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
