"""Spans, rates and gaps of made-up tables of timings."""

from __future__ import annotations

from pathlib import Path
from random import Random

import made_run
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.timings import to_parquet, to_table
from jobs.benchmark.worked_time import Span, gaps_ms, read_spans, rendering_seconds, spans

BEGAN = made_run.BEGAN
# What `made_run` has a frame take.
FRAME_S = sum(made_run.STAGES.values()) / 1e3


def test_a_batch_lasts_as_long_as_all_stages_of_its_frames() -> None:
    rows = [
        *(made_run.timing(frame, BEGAN, range_id="0-2", batch_id=0, pid=7) for frame in (0, 1)),
        made_run.timing(2, BEGAN + 1, range_id="2-3", batch_id=0, pid=7),
        made_run.timing(3, BEGAN + 1, range_id="3-4", batch_id=0, pid=8),
    ]
    found = spans("walker", to_table(rows))
    assert [(span.process, span.frames) for span in found] == [
        ((made_run.NODE, 7), 2),
        ((made_run.NODE, 7), 1),
        ((made_run.NODE, 8), 1),
    ]
    assert {span.clip for span in found} == {"walker"}
    assert [span.end - span.start for span in found] == pytest.approx([2 * FRAME_S, FRAME_S, FRAME_S], abs=1e-6)
    assert rendering_seconds(found) == pytest.approx(1 + FRAME_S, abs=1e-6)


def test_spans_of_a_run_come_from_all_of_its_fragments(tmp_path: Path) -> None:
    timings = tmp_path / "timings"
    timings.mkdir()
    for first in (0, 4):
        table = to_table([made_run.timing(frame, BEGAN + frame, batch_id=frame) for frame in range(first, first + 4)])
        (timings / f"{first:09d}-{first + 4:09d}.parquet").write_bytes(to_parquet(table))
    assert sum(span.frames for span in read_spans("walker", tmp_path)) == 8
    (timings / "000000008-000000009.parquet").write_bytes(b"torn")
    with pytest.raises(ValueError, match="000000008-000000009"):
        read_spans("walker", tmp_path)


def span(clip: str, start: float, end: float, pid: int = 1) -> Span:
    return Span(clip, ("node", pid), start, end, 1)


def test_a_gap_lies_where_a_process_goes_from_one_clip_to_another() -> None:
    some = [
        span("a", 0.0, 1.0),
        # A wait within a clip is none.
        span("a", 1.5, 2.0),
        span("b", 2.01, 3.0),
        # Another process sees another gap, whatever the first did in between.
        span("a", 0.0, 2.5, pid=2),
        span("c", 2.75, 3.0, pid=2),
        # Where ranges overlap there is none.
        span("d", 2.9, 4.0),
    ]
    assert sorted(gaps_ms(some)) == pytest.approx([0.0, 10.0, 250.0])
    assert gaps_ms(some[:2]) == []


clips = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=20)


@given(clips, st.randoms())
def test_gaps_and_work_of_one_process_fill_its_time(parts: list[tuple[str, int, int]], chance: Random) -> None:
    some: list[Span] = []
    clock, between = 0.0, 0.0
    for place, (clip, wait, work) in enumerate(parts):
        begun = clock + (wait / 1e3 if place else 0.0)
        if place and some[-1].clip != clip:
            between += wait
        some.append(span(clip, begun, begun + work / 1e3))
        clock = some[-1].end
    shuffled = [*some]
    chance.shuffle(shuffled)
    assert sum(gaps_ms(shuffled)) == pytest.approx(between, abs=1e-6)
    assert rendering_seconds(shuffled) == pytest.approx(clock, abs=1e-9)
