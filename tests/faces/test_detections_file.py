from __future__ import annotations

import io
from dataclasses import fields, replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_faces import made_up

from actors.core.faces import FoundFaces
from actors.core.ranges import FrameRange
from jobs.faces.detections_file import from_parquet, to_parquet


def check_same(one: FoundFaces, other: FoundFaces | None) -> None:
    assert other is not None
    for field in fields(FoundFaces):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(mine, theirs, err_msg=field.name)
        assert np.asarray(mine).dtype == np.asarray(theirs).dtype, field.name


@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=6), first=st.integers(0, 10**6))
def test_what_is_written_is_read(counts: list[int], first: int) -> None:
    found = made_up(counts, first)
    check_same(found, from_parquet(to_parquet(found), FrameRange(first, first + len(counts))))


def test_a_notebook_sees_a_row_for_each_frame() -> None:
    found = made_up([1, 0, 2], first=7)
    rows = pq.read_table(io.BytesIO(to_parquet(found))).to_pylist()
    assert [row["frame"] for row in rows] == [7, 8, 9]
    assert [len(row["faces"]) for row in rows] == [1, 0, 2]
    assert rows[2]["faces"][1]["box"] == found.boxes[2].tolist()
    assert rows[0]["thumbnail"] == found.thumbnails[0].tobytes()


def test_other_frames_are_no_such_range() -> None:
    content = to_parquet(made_up([1, 1]))
    assert from_parquet(content, FrameRange(0, 3)) is None
    assert from_parquet(content, FrameRange(1, 3)) is None


@pytest.mark.parametrize("place", range(5, 3000, 150))
def test_a_damaged_byte_is_seen(place: int) -> None:
    found = made_up([1, 0, 2])
    content = bytearray(to_parquet(found))
    place %= len(content)
    content[place] ^= 0x20
    read = from_parquet(bytes(content), FrameRange(0, 3))
    if read is not None:
        # A byte of the description that changes nothing of what is read.
        check_same(found, read)


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_part_of_a_file_is_none(kept: int) -> None:
    assert from_parquet(to_parquet(made_up([1, 2]))[:kept], FrameRange(0, 2)) is None


@pytest.mark.parametrize("name", ["boxes", "scores", "presence", "extents", "mesh", "best"])
def test_numbers_that_are_none_are_refused(name: str) -> None:
    found = made_up([1, 2])
    broken = getattr(found, name).copy()
    broken.flat[0] = np.nan
    content = to_parquet(replace(found, **{name: broken}))
    assert from_parquet(content, FrameRange(0, 2)) is None
