"""Which stage limits, and what is advised: one sentence, from the statistics alone, with no figure of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.timings import STAGES
from jobs.cluster.layout import Layout
from jobs.inputs.options import CompositeOptions
from jobs.run.advice import AdviceFacts, NotRendering, limit, limiting_stage, not_rendering
from jobs.run.figures import StageStats

ALONE = ("gather", "inference", "composite", "encode", "write", "video")
CPU = AdviceFacts(
    layout=Layout(workers=2, threads=1, batch=1),
    compositing_threads=0,
    cuda=False,
    cores=2,
    image_format="png",
    video=False,
    precision="fp32",
    ranges=34,
    blocks_fit=True,
    deaths=0,
)
GPU = replace(CPU, layout=Layout(workers=4, threads=1, batch=8), cuda=True, compositing_threads=4, cores=16)


def stats(**shares: float) -> list[StageStats]:
    return [
        StageStats(stage=stage, mean_ms=1.0, p50_ms=1.0, p99_ms=1.0, share=share) for stage, share in shares.items()
    ]


def test_the_sentence_has_the_measured_share_and_the_gain_at_most() -> None:
    found = limit(stats(inference=0.3, encode=0.52, waiting=0.18), CPU)
    assert found.stage == "encode"
    assert found.sentence == "Encoding images limits: 52% of the workers' time."
    # 52 of 100 parts are gone: 48 remain.
    assert found.bound == "If that cost nothing at all, rendering would be at most 2.1 times as fast."


@pytest.mark.parametrize(
    ("stage", "facts", "words"),
    [
        ("encode", CPU, ["--format jpg", "--format none --video"]),
        (
            "encode",
            replace(CPU, image_format="webp", video=True),
            ["--format jpg", "leave the files out: --format none."],
        ),
        ("encode", replace(CPU, image_format="jpg"), ["2 cores", "--format none --video"]),
        ("inference", CPU, ["All 2 cores", "--device cuda"]),
        ("inference", replace(CPU, cores=16), ["16 cores for 2 workers", "--workers"]),
        ("inference", replace(CPU, cores=16, layout=Layout(2, 4, 1)), ["2 workers with 4 threads each"]),
        ("inference", replace(CPU, cores=16, layout=Layout(1, 1, 1)), ["16 cores for 1 worker:"]),
        ("inference", GPU, ["--batch above 8", "--precision fp16"]),
        ("inference", replace(GPU, precision="fp16"), ["--batch above 8", "faster or more GPUs"]),
        ("composite", CPU, ["All 2 cores"]),
        ("composite", GPU, ["--gpus-per-worker"]),
        ("gather", GPU, ["beside the GPU"]),
        ("write", CPU, ["disk under --out", "--format jpg"]),
        ("write", replace(CPU, image_format="jpg"), ["disk under --out"]),
        ("video", CPU, ["leave --video out", "in parallel"]),
        ("waiting", CPU, ["fewer workers"]),
        ("waiting", replace(CPU, ranges=3), ["only 3 ranges for 2 workers"]),
        ("waiting", replace(CPU, blocks_fit=False), ["--object-store-memory"]),
        ("waiting", replace(CPU, deaths=1), ["died"]),
    ],
)
def test_advice_differs_by_stage_and_layout(stage: str, facts: AdviceFacts, words: list[str]) -> None:
    others = {name: 0.01 for name in (*ALONE, "waiting") if name != stage}
    # Each of several compositing threads counts.
    found = limit(stats(**others, **{stage: 0.9 * max(1, facts.compositing_threads)}), facts)
    assert found.stage == stage
    assert all(word in found.advice for word in words), found.advice


def test_what_is_done_already_is_not_advised() -> None:
    jpg = limit(stats(encode=0.9), replace(CPU, image_format="jpg", video=True))
    assert "jpg" not in jpg.advice
    assert "none --video" not in jpg.advice
    half = limit(stats(inference=0.9), replace(GPU, precision="fp16"))
    assert "fp16" not in half.advice
    # A run of an older version had no such choice.
    assert "precision" not in limit(stats(inference=0.9), replace(GPU, precision="")).advice
    only_video = limit(stats(video=0.9), replace(CPU, image_format="none", video=True))
    assert "leave --video out" not in only_video.advice
    assert "--device cuda" not in limit(stats(inference=0.9), GPU).advice


def test_threads_beside_the_network_are_compared_by_how_busy_they_are() -> None:
    # The four compositing threads have more work than the network, and are busy for less of the time.
    shares = {"gather": 0.2, "inference": 0.95, "composite": 0.5, "encode": 1.2, "write": 0.4}
    found = limit(stats(**shares), GPU)
    assert found.sentence == "The network limits: its threads were busy for 95% of the time."
    # Two threads with the same work would not have come so far.
    found = limit(stats(**shares), replace(GPU, compositing_threads=2))
    assert found.sentence == "Encoding images limits: its threads were busy for 105% of the time."
    # What the rest would take beside each other, these shares do not tell.
    assert found.bound == ""
    idle = limit(stats(inference=0.3, encode=0.4, waiting=0.3), GPU)
    assert idle.sentence == "Waiting limits: for 70% of the time workers had nothing to do."


def test_nothing_rendered_is_said_so() -> None:
    found = limit([], CPU)
    assert (found.stage, found.sentence, found.advice, found.bound) == ("", "Nothing was rendered.", "", "")


FACTS = st.builds(
    AdviceFacts,
    layout=st.builds(Layout, workers=st.integers(1, 64), threads=st.integers(1, 8), batch=st.integers(1, 64)),
    compositing_threads=st.integers(0, 8),
    cuda=st.booleans(),
    cores=st.integers(1, 256).map(float),
    image_format=st.sampled_from(["png", "jpg", "webp", "none"]),
    video=st.booleans(),
    precision=st.sampled_from(["", "fp32", "fp16"]),
    ranges=st.integers(1, 1000),
    blocks_fit=st.booleans(),
    deaths=st.integers(0, 3),
)


@given(st.dictionaries(st.sampled_from(ALONE), st.floats(0.001, 0.16), min_size=1), FACTS)
def test_every_number_was_given(shares: dict[str, float], facts: AdviceFacts) -> None:
    waiting = 1 - sum(shares.values())
    found = limit(stats(**shares, waiting=waiting), facts)
    layout = facts.layout
    given_ = {layout.workers, layout.threads, layout.batch, int(facts.cores), facts.ranges, 16}
    assert {int(number) for number in re.findall(r"\d+", found.advice)} <= given_
    everything = stats(**shares, waiting=waiting)
    largest = max(stat.share for stat in everything)
    if not facts.compositing_threads:
        assert f"{largest:.0%}" in found.sentence
        gains = re.findall(r"(\d+\.\d) times", found.bound)
        assert [float(gain) for gain in gains] == ([round(1 / (1 - largest), 1)] if largest <= 0.95 else [])


def test_every_flag_that_is_advised_exists() -> None:
    flags = set()
    for stage, image_format, cuda, video, fit in product(
        (*ALONE, "waiting"), ("png", "jpg", "webp", "none"), (True, False), (True, False), (True, False)
    ):
        for cores in (1, 64):
            facts = replace(CPU, image_format=image_format, cuda=cuda, video=video, blocks_fit=fit, cores=cores)
            flags |= set(re.findall(r"--([a-z-]+[a-z])", limit(stats(**{stage: 0.9}), facts).advice))
    # Ray's own is named with its command.
    assert flags - {"object-store-memory"} <= {name.replace("_", "-") for name in CompositeOptions.model_fields}
    assert {"format", "workers", "batch", "device", "video", "out"} <= flags


def test_what_took_longer_than_rendering_comes_first() -> None:
    short = limit(stats(encode=0.6, waiting=0.4), CPU, NotRendering("start-up", 11.8, 12.2))
    assert short.sentence.startswith("Start-up limits: 11.8 s of 12.2 s were not rendering. While rendering: Encoding")
    assert short.advice.startswith("Longer runs come closer to fps_steady. Try --format jpg")
    # Nothing is made of what its workers waited for.
    idle = limit(stats(encode=0.1, waiting=0.9), CPU, NotRendering("start-up", 11.8, 12.2))
    assert (idle.stage, idle.advice) == ("start-up", "Longer runs come closer to fps_steady.")
    time = "1 min 20 s of 1 min 40 s"
    late = limit(stats(encode=0.1, waiting=0.9), GPU, NotRendering("placement", 80, 100))
    assert late.sentence == f"Placement limits: the first worker waited for {time} for room on the cluster."
    assert "GPUs" in late.advice


@pytest.mark.parametrize(
    ("seconds", "steady", "place", "stage"),
    [
        (12, 0.4, 2.0, "start-up"),
        (12, 6.0, 2.0, ""),
        (12, 7.0, 9.9, ""),
        (60, 50, 15.0, "placement"),
        (60, 50, 14.9, ""),
        (60, 5, 14.9, "start-up"),
        (60, 5, 40.0, "placement"),
        (0, 0, 0, ""),
    ],
)
def test_a_short_run_is_limited_by_its_start_and_a_crowded_one_by_its_place(
    seconds: float, steady: float, place: float, stage: str
) -> None:
    found = not_rendering(seconds, steady, place)
    assert (found.stage if found else "") == stage


def test_a_stage_that_each_worker_does_alone_limits_by_its_share_of_their_time() -> None:
    shares = stats(inference=0.2, encode=0.625, waiting=0.175)
    assert limiting_stage(shares, 0) == ("encode", 0.625)


def test_the_line_is_all_of_it() -> None:
    found = limit(stats(inference=0.3, encode=0.52, waiting=0.18), CPU)
    assert found.line == f"{found.sentence} {found.advice} {found.bound}"
    assert limit([], CPU).line == "Nothing was rendered."
    assert "\n" not in found.line


@pytest.mark.parametrize("stage", [stage.removesuffix("_ms") for stage in STAGES])
@pytest.mark.parametrize("facts", [CPU, GPU])
def test_every_stage_of_the_table_has_its_words_and_its_colour(stage: str, facts: AdviceFacts) -> None:
    # Of stages that share threads the parts are divided by their number.
    shares = {stage: 0.95 * max(1, facts.compositing_threads), "waiting": 0.05}
    found = limit(stats(**shares), facts)
    assert found.stage == stage
    assert found.advice != limit(stats(waiting=1.0), facts).advice
    css = (Path(__file__).parents[2] / "jobs" / "report" / "page.css").read_text(encoding="utf-8")
    assert len(re.findall(rf"--{stage}: #", css)) == 2, "light and dark"
    assert f'"{stage}"' in css
