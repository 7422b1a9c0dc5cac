"""The figures at the end of a run, from the timing table alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import record
from rich.console import Console

from actors.core.timings import STAGES, FrameTiming, numbers, to_table
from jobs.run.figures import ColdStart, SeamStats, StageStats, Totals
from jobs.run.record import RunRecord
from jobs.run.statistics import (
    face_stats,
    seam_stats,
    stage_stats,
    stage_times,
    worker_stats,
)
from jobs.run.summary import print_summary


def row(frame: int, worker: int = 0, pid: int = 100, *, stages: Mapping[str, float]) -> FrameTiming:
    place = {
        "face": "given",
        "range_id": "r",
        "batch_id": 0,
        "batch_size": 1,
        "worker": worker,
        "node": "n",
        "pid": pid,
    }
    rest = {"device": "cpu", "provider": "CPU", "started_at": 1.5, "bytes": 1, "checksum": "ab"}
    segment = {"seam": 1.0, "seam_at": "mask", "segment": "", "segment_bytes": 0, "segment_checksum": ""}
    values = {"frame": frame, "background": 1, **place, **rest, **dict.fromkeys(STAGES, 0.0), **stages, **segment}
    return FrameTiming(**values)  # type: ignore[arg-type]


def seen(frame: int, seam: float, edge: str) -> FrameTiming:
    return replace(row(frame, stages={}), seam=seam, seam_at=edge)


def frames(*rows: FrameTiming) -> pa.Table:
    return to_table(rows)


def by_name(stats: list[StageStats]) -> Mapping[str, StageStats]:
    return {stat.stage: stat for stat in stats}


def test_stages_have_mean_median_tail_and_share() -> None:
    table = frames(*(row(i, stages={"inference_ms": float(i), "encode_ms": 2.0}) for i in range(101)))
    stats = by_name(stage_stats(stage_times(table), workers=2, steady_s=10.0))
    inference = stats["inference"]
    assert (inference.mean_ms, inference.p50_ms, inference.p99_ms) == (50.0, 50.0, 99.0)
    # Two workers for ten seconds have 20,000 ms to give.
    assert inference.share == pytest.approx(5050 / 20_000)
    assert stats["encode"].share == pytest.approx(202 / 20_000)
    assert stats["waiting"].share == pytest.approx(1 - 5252 / 20_000)
    assert stats["waiting"].mean_ms == pytest.approx((20_000 - 5252) / 101)
    # What nobody did is no stage.
    assert set(stats) == {"inference", "encode", "waiting"}


@settings(max_examples=examples(30), deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(0, 50)] * len(STAGES)), min_size=1, max_size=20),
    st.integers(1, 8),
    st.floats(0.001, 100),
)
def test_shares_are_shares(rows: list[tuple[float, ...]], workers: int, steady: float) -> None:
    table = frames(*(row(i, stages=dict(zip(STAGES, values, strict=True))) for i, values in enumerate(rows)))
    stats = stage_stats(stage_times(table), workers, steady)
    assert all(stat.share >= 0 for stat in stats)
    assert all(stat.p50_ms <= stat.p99_ms for stat in stats)
    assert sum(stat.share for stat in stats) >= 1 - 1e-9
    # Stages and waiting together are the workers' time, where they did not work longer than that.
    if stats[-1].share > 0:
        assert sum(stat.share for stat in stats) == pytest.approx(1)
        assert sum(stat.mean_ms for stat in stats) * len(rows) == pytest.approx(workers * steady * 1e3)


def test_nothing_rendered_has_no_stages() -> None:
    assert stage_stats(stage_times(frames()), 0, 0.0) == []
    assert worker_stats(frames()) == []


def test_workers_are_told_by_process() -> None:
    """A worker that died and was started anew is two lines."""
    table = frames(
        row(0, 0, 100, stages={"inference_ms": 5.0, "write_ms": 1.0}),
        row(1, 1, 200, stages={"inference_ms": 7.0}),
        row(2, 0, 100, stages={"inference_ms": 6.0}),
        row(3, 0, 300, stages={"inference_ms": 9.0}),
    )
    found = {(stat.worker, stat.pid): (stat.frames, stat.busy_ms) for stat in worker_stats(table)}
    assert found == {(0, 100): (2, 12.0), (0, 300): (1, 9.0), (1, 200): (1, 7.0)}
    assert {(stat.node, stat.device) for stat in worker_stats(table)} == {("n", "cpu")}


COLD = ColdStart(
    import_s=1.0, read_s=0.5, ray_s=2.0, session_s=0.25, warm_s=0.125, cache_s=3.0, wait_s=4.0, finish_s=0.75
)
TOTALS = Totals(
    frames=1000,
    rendered=588,
    failed=2,
    seconds=20.0,
    steady_s=10.0,
    prepare_s=0.2,
    fps_total=29.4,
    fps_steady=58.8,
    cold=COLD,
)


def seam_of(table: pa.Table) -> SeamStats | None:
    return seam_stats(table["frame"].to_pylist(), numbers(table, "seam"), table["seam_at"].to_pylist())


def printed(totals: Totals, table: pa.Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    stages = stage_stats(stage_times(table), 2, totals.steady_s)
    faces = face_stats(table["face"].to_pylist())
    print_summary(console, totals, stages, worker_stats(table), faces, seam_of(table), "The network limits.")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_names_everything_that_is_promised() -> None:
    table = frames(
        *(row(i, i % 2, 100 + i % 2, stages={"inference_ms": 20.0 + i, "encode_ms": 3.0}) for i in range(50))
    )
    text = printed(TOTALS, table)
    for promised in ("cache load", "warm-up", "fps_total", "fps_steady", "p50", "p99", "workers", "limits"):
        assert promised in text
    for figure in ("29.40", "58.80", "588 rendered now", "2 failed", "44.50", "100", "101"):
        assert figure in text


def test_a_run_with_nothing_to_do_prints_a_summary_too() -> None:
    idle = {"rendered": 0, "failed": 0, "seconds": 1.0, "steady_s": 0.0, "prepare_s": 0.0, "fps_total": 0.0}
    totals = TOTALS.model_copy(update={"frames": 8, "fps_steady": 0.0, **idle})
    assert "8 (0 rendered now, 0 failed)" in printed(totals, frames())


def test_the_seam_is_told_by_its_median_and_its_worst_frame() -> None:
    table = frames(
        seen(7, 1.5, "mask"), seen(3, 1.5, "inner"), seen(4, 1.0, "square"), *(seen(i, 1.02, "mask") for i in (8, 9))
    )
    stats = seam_of(table)
    assert stats == SeamStats(p50=1.02, p99=1.5, worst=1.5, frame=3, edge="inner")
    assert stats.sentence == "1.02 median, 1.50 at most (frame 3, the network's edge)"
    assert "1.02   median, 1.0 is invisible; at most 1.50, frame 3" in printed(TOTALS, table)


def test_without_compositing_there_is_no_seam() -> None:
    table = frames(seen(1, 0.0, ""), seen(2, 0.0, ""))
    assert seam_of(table) is None
    assert "seam" not in printed(TOTALS, table)
    assert seam_of(frames()) is None


def test_frames_without_a_face_and_interpolated_ones_are_told_where_there_are_any() -> None:
    def with_faces(*faces: str) -> pa.Table:
        return frames(*(replace(row(i, stages={}), face=face) for i, face in enumerate(faces)))

    assert "faces  " not in printed(TOTALS, with_faces("given", "detected"))
    assert face_stats(["given", "detected"]) is None
    told = {
        ("none", "given", "none"): "2 without a face",
        ("interpolated", "detected"): "1 interpolated",
        ("none", "interpolated", "detected"): "1 without a face, 1 interpolated",
    }
    for faces, sentence in told.items():
        assert re.search(rf"faces +{sentence} *\n", printed(TOTALS, with_faces(*faces)))


def test_the_record_holds_the_same_figures() -> None:
    table = frames(*(row(i, stages={"inference_ms": 20.0}) for i in range(5)))
    stages = stage_stats(stage_times(table), 1, 1.0)
    ended = {"totals": TOTALS, "stages": stages, "workers": worker_stats(table), "seam": seam_of(table)}
    whole = RunRecord.model_validate({**record(5), **ended})
    back = json.loads(json.dumps(whole.as_json()))
    assert back["totals"]["fps_steady"] == 58.8
    assert back["totals"]["cold"]["ray_s"] == 2.0
    assert [stage["stage"] for stage in back["stages"]] == ["inference", "waiting"]
    assert back["workers"][0]["frames"] == 5
    assert back["seam"] == {"p50": 1.0, "p99": 1.0, "worst": 1.0, "frame": 0, "edge": "mask"}
