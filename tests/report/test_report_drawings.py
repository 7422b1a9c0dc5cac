"""Lanes, bars, marks, axes and numbers: everything is drawn where it was, and said in words too."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import BEGAN, DIED, one_range, timing, with_a_death

from actors.core.timings import FrameTiming, to_table
from jobs.report import charts, scale
from jobs.report.busy_times import spans
from jobs.report.frame_rate import rate
from jobs.report.worker_lanes import MOST_BARS, MOST_LANES, Lane, lanes
from jobs.run.figures import StageStats
from jobs.run.record import WorkerDeath


def ranges_of(rows: list[FrameTiming]) -> pd.DataFrame:
    return spans(to_table(rows).to_pandas())


def drawn(rows: list[FrameTiming], deaths: tuple[dict[str, Any], ...], length: float) -> list[Lane]:
    return lanes(ranges_of(rows), [WorkerDeath.model_validate(death) for death in deaths], length)


def test_each_worker_has_a_lane_through_all_of_its_processes() -> None:
    first, second = drawn(with_a_death(), (DIED,), 3.65)
    assert (first.worker, first.pids, first.frames) == (0, (100, 300), 30)
    assert (second.worker, second.pids, second.frames) == (1, (200,), 30)
    assert [(bar.first, bar.last) for bar in first.bars] == [(0, 9), (20, 29), (50, 59)]
    assert [bar.start for bar in first.bars] == pytest.approx([0.0, 0.7, 3.0], abs=1e-6)
    assert first.busy == pytest.approx(3 * 0.65 / 3.65)
    assert dict(first.bars[0].parts) == pytest.approx(
        {"gather": 1 / 65, "inference": 20 / 65, "composite": 3 / 65, "encode": 40 / 65, "write": 1 / 65}, abs=1e-6
    )


def test_a_death_is_marked_between_the_process_and_its_replacement() -> None:
    first, second = drawn(with_a_death(), (DIED,), 3.65)
    (death,) = first.deaths
    assert (death.pid, second.deaths) == (100, ())
    assert (death.after, death.until) == pytest.approx((1.35, 3.0), abs=1e-6)
    lane = charts.draw_lane(first, 3.65, name_node=False)
    assert lane.text == "30 frames, busy 53% of the time; process 100 died between 1.35 and 3.00 s"
    assert lane.deaths[0].left == pytest.approx(135 / 3.65, abs=0.01)
    assert lane.deaths[0].width == pytest.approx(165 / 3.65, abs=0.02)


def test_the_death_of_a_worker_that_was_not_replaced_lasts_to_the_end() -> None:
    (lane,) = drawn(one_range(0, 10, BEGAN), (DIED,), 2.0)
    (death,) = lane.deaths
    assert (death.after, death.until) == pytest.approx((0.65, 2.0), abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"pid": None},  # it had no process that rendered
        {"pid": 999},  # one that never finished a range
        {"worker": 1},  # another worker's
    ],
)
def test_a_death_whose_place_is_not_known_is_not_drawn(change: dict[str, Any]) -> None:
    assert [lane.deaths for lane in drawn(with_a_death(), ({**DIED, **change},), 3.65)] == [(), ()]


def test_a_worker_without_rest_fills_its_bars() -> None:
    # Stages beside each other: three times the bar's own time, in their proportions.
    rows = [timing(i, BEGAN + 0.02 * i, range_id=f"{i:03d}") for i in range(9)]
    bars = drawn(rows, (), 0.2)[0].bars
    assert all(sum(part for _, part in bar.parts) == pytest.approx(1.0) for bar in bars)
    assert dict(bars[0].parts)["encode"] == pytest.approx(40 / 65)


def test_many_ranges_share_bars_and_many_workers_a_page() -> None:
    rows = [
        timing(1000 * worker + i, BEGAN + 0.1 * i, worker=worker, pid=worker, range_id=f"{i:04d}")
        for worker in range(80)
        for i in range(50)
    ]
    found = drawn(rows, (), 5.0)
    assert len(found) == MOST_LANES
    assert all(lane.frames == 50 for lane in found)
    assert all(sum(bar.frames for bar in lane.bars) == 50 for lane in found)
    assert all(sum(bar.ranges for bar in lane.bars) == 50 for lane in found)
    # 65 ms of work in each 100: what lies between the ranges of a bar is not painted.
    assert sum(part for _, part in found[0].bars[0].parts) == pytest.approx(0.65, rel=0.25)
    one = drawn([timing(i, BEGAN + 0.1 * i, range_id=f"{i:05d}") for i in range(5000)], (), 500.0)
    assert MOST_BARS / 2 < len(one[0].bars) <= MOST_BARS


def test_workers_of_several_nodes_are_told_apart() -> None:
    rows = [*one_range(0, 5, BEGAN, node="aaaaaaaaaaaa"), *one_range(5, 5, BEGAN, node="bbbbbbbbbbbb")]
    labels = [charts.draw_lane(lane, 1.0, name_node=True).label for lane in drawn(rows, (), 1.0)]
    assert labels == ["worker 0, node aaaaaaaa", "worker 0, node bbbbbbbb"]


@settings(max_examples=examples(30))
@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100), st.floats(0, 500)), min_size=1, max_size=60),
)
def test_nothing_is_drawn_outside_of_the_drawing(work: list[tuple[int, float, float]]) -> None:
    rows = [
        timing(i, BEGAN + at, worker=worker, pid=worker, range_id=str(i), inference_ms=inference)
        for i, (worker, at, inference) in enumerate(work)
    ]
    found = ranges_of(rows)
    length = max(float(found["end"].max() - found["start"].min()), 1e-3)
    for lane in lanes(found, (), length):
        for bar in charts.draw_lane(lane, length, name_node=False).bars:
            for box in bar.boxes:
                assert 0 <= box.x <= box.x + box.width <= 1000.3
                assert -0.1 <= box.y <= box.y + box.height <= 100.1
            assert [box.name for box in bar.boxes][:1] == ["gather"]


def test_the_curve_is_counted_frames() -> None:
    done = [0.5] * 8 + [2.5] * 24
    curve = charts.draw_rate(rate(done, 4.0))
    # Four buckets of one second: 8, 0, 24 and 0 frames, on an axis to 30.
    assert curve.path == "M0.0,73.3H250.0L250.0,100.0H500.0L500.0,20.0H750.0L750.0,100.0H1000.0"
    assert [mark.text for mark in curve.marks] == ["0", "10", "20", "30"]
    assert curve.mean == pytest.approx(100 - 800 / 30, abs=0.01)
    assert curve.text == (
        "Frames per second over 4.00 s: 8.00 on average (dashed), between 0 and 24.0 in steps of 1.00 s."
    )
    assert curve.parts[2][1] == "2.00 to 3.00 s: 24.0 fps (24 frames)"


def test_stage_bars_are_measured_by_the_longest_p99() -> None:
    stats = [
        StageStats(stage="inference", mean_ms=20.0, p50_ms=10.0, p99_ms=50.0, share=0.4),
        StageStats(stage="encode", mean_ms=40.0, p50_ms=25.0, p99_ms=200.0, share=0.5),
        StageStats(stage="waiting", mean_ms=999.0, p50_ms=999.0, p99_ms=999.0, share=0.1),
    ]
    first, second, third = charts.draw_stages(stats)
    assert (first.p50_width, first.p99_width, second.p50_width, second.p99_width) == (5.0, 25.0, 12.5, 100.0)
    assert (second.share, second.mean, second.p50, second.p99) == ("50%", "40.00", "25.00", "200.00")
    # Nobody measured how long one frame waited.
    assert (third.mean, third.p50, third.p99, third.p99_width) == ("999.00", "", "", 0.0)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.floats(0, 1e6)), min_size=1, max_size=9))
def test_a_stack_fills_its_width(parts: list[tuple[str, float]]) -> None:
    boxes = charts.stack(parts)
    assert [box.name for box in boxes] == [name for name, _ in parts]
    if sum(value for _, value in parts) > 0:
        assert sum(box.width for box in boxes) == pytest.approx(1000, abs=1)
    assert all(after.x == pytest.approx(before.x + before.width, abs=0.2) for before, after in pairwise(boxes))


@given(st.floats(1e-3, 1e7), st.integers(2, 10))
def test_axes_have_round_marks_within(length: float, most: int) -> None:
    across = scale.time_axis(length, most)
    assert across.end == length
    assert 1 <= len(across.ticks) <= most + 1
    assert across.ticks[0] == 0
    assert across.ticks[-1] <= length * (1 + 1e-6)
    assert across.percent(length) == 100
    up = scale.value_axis(length, most)
    assert up.end >= length * (1 - 1e-6)
    assert up.ticks[-1] == pytest.approx(up.end)
    assert len(up.ticks) <= most + 1
    step = up.ticks[1]
    assert re.fullmatch(r"[125]\.0*e[+-]\d+", f"{step:.9e}"), step


@pytest.mark.parametrize(("value", "text"), [(0.30000000000000004, "0.3"), (2000.0, "2,000"), (200000.0, "200,000")])
def test_marks_have_no_needless_digits(value: float, text: str) -> None:
    assert scale.tick(value) == text
