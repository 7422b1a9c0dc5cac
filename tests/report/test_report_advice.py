"""Which stage limits, and what is advised: one sentence, from the statistics alone, with no figure of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.inputs.options import CompositeOptions
from jobs.report.advice import AdviceFacts, limit
from jobs.run.statistics import NotRendering, StageStats

ALONE = ("gather", "inference", "composite", "encode", "write", "video")
CPU = AdviceFacts(
    cuda=False,
    workers=2,
    threads=1,
    finishers=0,
    batch=1,
    cores=2,
    image_format="png",
    video=False,
    precision="fp32",
    ranges=34,
    blocks_fit=True,
    deaths=0,
)
GPU = replace(CPU, cuda=True, workers=4, finishers=4, batch=8, cores=16)


def stats(**shares: float) -> list[StageStats]:
    return [StageStats(stage, 1.0, 1.0, 1.0, share) for stage, share in shares.items()]


def test_the_sentence_has_the_measured_share_and_the_gain_at_most() -> None:
    found = limit(stats(inference=0.3, encode=0.52, waiting=0.18), CPU)
    assert found.stage == "encode"
    assert found.sentence == "Encoding images limits: 52% of the workers' time."
    # 52 of 100 parts are gone: 48 remain.
    assert found.bound == "If that cost nothing at all, rendering would be at most 2.1 times as fast."


@pytest.mark.parametrize(
    ("stage", "layout", "words"),
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
        ("inference", replace(CPU, cores=16, threads=4), ["2 workers with 4 threads each"]),
        ("inference", replace(CPU, cores=16, workers=1), ["16 cores for 1 worker:"]),
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
def test_advice_differs_by_stage_and_layout(stage: str, layout: AdviceFacts, words: list[str]) -> None:
    others = {name: 0.01 for name in (*ALONE, "waiting") if name != stage}
    # Each of several finishing threads counts.
    found = limit(stats(**others, **{stage: 0.9 * max(1, layout.finishers)}), layout)
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
    # The four finishing threads have more work than the network, and are busy for less of the time.
    shares = {"gather": 0.2, "inference": 0.95, "composite": 0.5, "encode": 1.2, "write": 0.4}
    found = limit(stats(**shares), GPU)
    assert found.sentence == "The network limits: its threads were busy for 95% of the time."
    # Two threads with the same work would not have come so far.
    found = limit(stats(**shares), replace(GPU, finishers=2))
    assert found.sentence == "Encoding images limits: its threads were busy for 105% of the time."
    # What the rest would take beside each other, these shares do not tell.
    assert found.bound == ""
    idle = limit(stats(inference=0.3, encode=0.4, waiting=0.3), GPU)
    assert idle.sentence == "Waiting limits: for 70% of the time workers had nothing to do."


def test_nothing_rendered_is_said_so() -> None:
    found = limit([], CPU)
    assert (found.stage, found.sentence, found.advice, found.bound) == ("", "Nothing was rendered.", "", "")


LAYOUTS = st.builds(
    AdviceFacts,
    cuda=st.booleans(),
    workers=st.integers(1, 64),
    threads=st.integers(1, 8),
    finishers=st.integers(0, 8),
    batch=st.integers(1, 64),
    cores=st.integers(1, 256).map(float),
    image_format=st.sampled_from(["png", "jpg", "webp", "none"]),
    video=st.booleans(),
    precision=st.sampled_from(["", "fp32", "fp16"]),
    ranges=st.integers(1, 1000),
    blocks_fit=st.booleans(),
    deaths=st.integers(0, 3),
)


@given(st.dictionaries(st.sampled_from(ALONE), st.floats(0.001, 0.16), min_size=1), LAYOUTS)
def test_every_number_was_given(shares: dict[str, float], layout: AdviceFacts) -> None:
    waiting = 1 - sum(shares.values())
    found = limit(stats(**shares, waiting=waiting), layout)
    given_ = {layout.workers, layout.threads, layout.batch, int(layout.cores), layout.ranges, 16}
    assert {int(number) for number in re.findall(r"\d+", found.advice)} <= given_
    everything = stats(**shares, waiting=waiting)
    largest = max(stat.share for stat in everything)
    if not layout.finishers:
        assert f"{largest:.0%}" in found.sentence
        gains = re.findall(r"(\d+\.\d) times", found.bound)
        assert [float(gain) for gain in gains] == ([round(1 / (1 - largest), 1)] if largest <= 0.95 else [])


def test_every_flag_that_is_advised_exists() -> None:
    flags = set()
    for stage, image_format, cuda, video, fit in product(
        (*ALONE, "waiting"), ("png", "jpg", "webp", "none"), (True, False), (True, False), (True, False)
    ):
        for cores in (1, 64):
            layout = replace(CPU, image_format=image_format, cuda=cuda, video=video, blocks_fit=fit, cores=cores)
            flags |= set(re.findall(r"--([a-z-]+[a-z])", limit(stats(**{stage: 0.9}), layout).advice))
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
