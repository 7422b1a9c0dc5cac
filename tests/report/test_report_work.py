"""Who was busy when, from a table that says when batches began and how long stages took."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import BEGAN, milliseconds, one_range, timing, with_a_death

from actors.core.timings import FrameTiming, to_table
from jobs.report.busy_times import finish_times, last_session, spans
from jobs.report.frame_rate import rate


def table(rows: Iterable[FrameTiming]) -> pd.DataFrame:
    frames: pd.DataFrame = to_table(list(rows)).to_pandas()
    return frames


def test_a_range_lasts_as_long_as_its_stages() -> None:
    found = spans(table(with_a_death()))
    assert found[["pid", "first", "last", "frames"]].to_numpy().tolist() == [
        [100, 0, 9, 10],
        [200, 10, 19, 10],
        [100, 20, 29, 10],
        [200, 30, 39, 10],
        [200, 40, 49, 10],
        [300, 50, 59, 10],
    ]
    # Ten frames of 65 ms.
    assert (found["end"] - found["start"]).tolist() == pytest.approx([0.65] * 6, abs=1e-6)
    assert found["inference_ms"].tolist() == pytest.approx([200.0] * 6)


def test_a_worker_that_does_several_things_at_once_is_not_in_two_ranges() -> None:
    # Stages of 65 ms every 20 ms: the network alone paces this worker.
    rows = [
        timing(10 * r + i, BEGAN + 0.2 * r + 0.02 * i, range_id=f"r{r}", batch_id=i)
        for r in range(5)
        for i in range(10)
    ]
    found = spans(table(rows))
    assert (found["end"] - found["start"]).tolist() == pytest.approx([0.2] * 5, abs=1e-6)
    done = finish_times(table(rows), found) - BEGAN
    # Ten frames in each fifth of a second, and none after the last range.
    assert [bucket.frames for bucket in rate(done.to_list(), 1.0)] == pytest.approx([8, 9, 8, 8, 9, 8], abs=2)
    assert done.iloc[-1] == pytest.approx(1.0, abs=1e-6)


@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=9))
def test_ranges_of_one_process_never_overlap(pauses: list[float]) -> None:
    """Stages beside each other, at an uneven pace."""
    starts = [BEGAN + sum(pauses[:i]) for i in range(len(pauses))]
    rows = [row for i, start in enumerate(starts) for row in one_range(10 * i, 10, start)]
    found = spans(table(rows))
    assert (found["end"].iloc[:-1].to_numpy() <= found["start"].iloc[1:].to_numpy() + 1e-6).all()
    assert (found["end"] >= found["start"]).all()
    assert (found["end"] - found["start"]).max() <= 0.65 + 1e-6
    done = finish_times(table(rows), found)
    assert done.is_monotonic_increasing
    assert done.iloc[-1] <= found["end"].max()


@settings(max_examples=examples(30))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.floats(0, 2),
            st.lists(st.tuples(*[st.floats(0, 50)] * 4), min_size=1, max_size=5),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_one_thing_after_the_other_is_found_as_it_was(
    work: list[tuple[int, float, list[tuple[float, ...]]]],
) -> None:
    """Workers that render ranges with pauses between them; the truth is kept while the table is made."""
    clock = dict.fromkeys(range(4), BEGAN)
    rows: list[FrameTiming] = []
    truth: dict[str, tuple[float, float]] = {}
    finished: list[float] = []
    for number, (worker, pause, frames) in enumerate(work):
        clock[worker] += pause
        start = clock[worker]
        for i, (gather, inference, encode, video) in enumerate(frames):
            stages = {"gather_ms": gather, "inference_ms": inference, "encode_ms": encode, "video_ms": video}
            row = timing(
                100 * number + i, clock[worker], worker=worker, pid=worker, range_id=str(number), batch_id=i, **stages
            )
            rows.append(row)
            clock[worker] += milliseconds(row) / 1e3
            finished.append(clock[worker])
        truth[str(number)] = (start, clock[worker])
    found = spans(table(rows))
    for name, start, end in found[["range_id", "start", "end"]].itertuples(index=False):
        assert (start, end) == pytest.approx(truth[name], abs=1e-5)
    done = finish_times(table(rows), found)
    assert done.to_list() == pytest.approx(sorted(finished), abs=1e-5)
    length = max(finished) - min(start for start, _ in truth.values())
    if length > 0.01:
        first = min(start for start, _ in truth.values())
        buckets = rate([time - first for time in done], length + 1e-5)
        assert sum(bucket.frames for bucket in buckets) == len(rows)
        assert sum(bucket.fps * (bucket.stop - bucket.start) for bucket in buckets) == pytest.approx(len(rows))


def test_earlier_commands_are_left_out() -> None:
    rows = table([*one_range(0, 10, BEGAN - 5000), *one_range(10, 5, BEGAN)])
    session = last_session(rows, BEGAN - 1)
    assert (sorted(session.rows["frame"]), session.earlier, session.by_command) == ([*range(10, 15)], 10, True)


def test_where_the_last_command_rendered_nothing_the_newest_frames_are_shown() -> None:
    rows = table([*one_range(0, 10, BEGAN - 5000), *one_range(10, 5, BEGAN), *one_range(20, 5, BEGAN + 60)])
    session = last_session(rows, BEGAN + 9000)
    assert (len(session.rows), session.earlier, session.by_command) == (10, 10, False)
    # With no pause in it the table is one session.
    session = last_session(table(one_range(0, 10, BEGAN)), BEGAN + 9000)
    assert (len(session.rows), session.earlier, session.by_command) == (10, 0, False)


def test_an_empty_table_is_an_empty_session() -> None:
    session = last_session(table([]), BEGAN)
    assert (len(session.rows), session.earlier, session.by_command) == (0, 0, True)
    assert spans(session.rows).empty
    assert finish_times(session.rows, spans(session.rows)).empty
