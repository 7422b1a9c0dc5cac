"""The ledger's fragments: which of those in a folder count, and that each frame stands in one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from written_ranges import content_of, listed, path_of, record, write_range

from actors.core.ranges import FrameRange
from actors.core.timings import MOST_BYTES, SCHEMA, to_table
from actors.files import storage
from jobs.run.ledger import missing


def as_before(path: Path) -> None:
    """Makes a fragment what versions before the column `face` wrote."""
    pq.write_table(pq.read_table(path).drop_columns(["face"]), path, write_page_checksum=True)


def test_fragments_of_before_count_and_their_faces_are_given(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), (4, 8))
    as_before(tmp_path / "timings" / "000000000-000000004.parquet")
    assert ledger.audit().done == set(range(8))
    assert ledger.audit().broken == ()
    table = ledger.table()
    assert table.schema == SCHEMA
    assert table["face"].to_pylist() == ["given"] * 4 + ["interpolated"] * 4
    # What is left of one after a frame was lost is written as it is now.
    path_of(tmp_path, 2).unlink()
    ledger.mend(ledger.audit())
    mended = pq.read_table(tmp_path / "timings" / "000000000-000000004.parquet")
    assert mended["face"].to_pylist() == ["given"] * 3
    assert missing(range(8), ledger.audit()) == [2]


@pytest.mark.parametrize("name", [name for name in SCHEMA.names if name != "face"])
def test_a_fragment_that_lacks_another_column_counts_for_nothing(tmp_path: Path, name: str) -> None:
    ledger = record(tmp_path, (0, 2))
    path = tmp_path / "timings" / "000000000-000000002.parquet"
    pq.write_table(pq.read_table(path).drop_columns([name]), path)
    assert ledger.audit().done == frozenset()
    pq.write_table(to_table([]).drop_columns(["face"]).append_column("face", pa.array([], pa.int64())), path)
    assert [str(broken) for broken in ledger.audit().broken] == [str(path)]


def test_torn_fragments_count_for_nothing(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), (4, 8))
    whole = tmp_path / "timings" / "000000004-000000008.parquet"
    content = whole.read_bytes()
    for keep in [*range(0, len(content), 97), len(content) - 1]:
        whole.write_bytes(content[:keep])
        audit = ledger.audit()
        assert audit.done == {0, 1, 2, 3}
        assert [*map(str, audit.broken)] == [str(whole)]
        assert ledger.table()["frame"].to_pylist() == [0, 1, 2, 3]
    ledger.mend(audit)
    assert not whole.exists()
    assert ledger.audit().broken == ()


def test_fragments_of_another_schema_count_for_nothing(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 2))
    folder = tmp_path / "timings"
    table = to_table(write_range(tmp_path, FrameRange(2, 4)).timings)
    names = [f"00000000{i}-00000000{i + 2}.parquet" for i in (2, 4, 6)]
    pq.write_table(table.drop_columns(["checksum"]), folder / names[0])
    pq.write_table(table.set_column(0, "frame", pa.array(["x", "y"])), folder / names[1])
    (folder / names[2]).write_bytes(b"PAR1")
    audit = ledger.audit()
    assert audit.done == {0, 1}
    assert [Path(str(path)).name for path in audit.broken] == names


def test_files_without_a_fragments_name_are_neither_read_nor_removed(tmp_path: Path) -> None:
    """Whatever they hold: the frames of a range stand in the file of that range."""
    ledger = record(tmp_path, (0, 2))
    folder = tmp_path / "timings"
    fragment = to_table(write_range(tmp_path, FrameRange(2, 4)).timings)
    strangers = ["other.parquet", "2-4.parquet", "000000004-000000002.parquet", "x000000002-000000004.parquet"]
    for name in strangers:
        pq.write_table(fragment, folder / name)
    (folder / "000000006-000000008.parquet").mkdir()
    ledger.mend(ledger.audit())
    assert ledger.audit().done == {0, 1}
    assert {path.name for path in folder.iterdir()} >= {*strangers, "000000006-000000008.parquet"}


@pytest.mark.parametrize("frames", [[0, 2], [-1, 0], [1, 1], [2**62, 0]], ids=str)
def test_a_fragment_lists_frames_of_its_own_range_once(tmp_path: Path, frames: list[int]) -> None:
    ledger = record(tmp_path, (0, 2))
    path = tmp_path / "timings" / "000000000-000000002.parquet"
    pq.write_table(pq.read_table(path).set_column(0, SCHEMA.field("frame"), pa.array(frames, pa.int64())), path)
    assert ledger.audit().broken == (storage.locate(str(path)),)
    assert len(ledger.table()) == 0


@pytest.mark.parametrize("how", ["a long text", "many rows", "many bytes"])
def test_a_fragment_larger_than_any_is_not_unpacked(tmp_path: Path, how: str) -> None:
    """A few kilobytes that would become gigabytes: only their own description is read."""
    ledger = record(tmp_path, (0, 2))
    path = tmp_path / "timings" / "000000000-999999999.parquet"
    row = pq.read_table(tmp_path / "timings" / "000000000-000000002.parquet").slice(0, 1).to_pylist()[0]
    count = 1_000_000 if how == "many rows" else 2000
    column = {name: pa.array([value], SCHEMA.field(name).type) for name, value in row.items()}
    if how == "a long text":
        column["device"] = pa.array(["x" * 1_000_000])
    many = [pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), values) for values in column.values()]
    pq.write_table(pa.Table.from_arrays(many, list(column)), path)
    if how == "many bytes":
        os.truncate(path, MOST_BYTES + 1)
    before = pa.total_allocated_bytes()
    assert ledger.audit().broken == (storage.locate(str(path)),)
    assert ledger.audit().done == {0, 1}
    assert pa.total_allocated_bytes() - before < 64 << 20


def test_a_fragment_with_a_wrong_byte_is_no_traceback(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 3))
    fragment = tmp_path / "timings" / "000000000-000000003.parquet"
    content = fragment.read_bytes()
    text = content.index(xxhash.xxh3_64_hexdigest(content_of(1)).encode())
    for place in [*range(0, len(content), 31), *range(text, text + 16)]:
        damaged = bytearray(content)
        damaged[place] ^= 0x80
        fragment.write_bytes(damaged)
        # A frame that still counts as done has the file that was written for it.
        assert ledger.audit().done <= {0, 1, 2}
    ledger.mend(ledger.audit())
    assert ledger.audit().faults == ()


def test_a_frame_in_two_fragments_is_found(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), (3, 6))
    audit = ledger.audit()
    assert [(fault.frame, fault.reason) for fault in audit.faults] == [(3, "is listed twice")]


def test_after_mending_no_frame_is_in_two_fragments(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), (3, 6))
    ledger.mend(ledger.audit())
    assert max(listed(tmp_path).values()) == 1
    assert ledger.audit().faults == ()
