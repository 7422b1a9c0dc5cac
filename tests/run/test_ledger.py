"""The ledger: what is recorded, what the files say about it, and how it is mended."""

from __future__ import annotations

import os
import socket
from collections import Counter
from pathlib import Path

import pytest
import xxhash
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from written_ranges import PNG, change_one_bit, content_of, fragments, listed, path_of, reasons, record, write_range

from actors.core.choices import ImageFormat
from actors.core.ranges import FrameRange
from actors.core.timings import SCHEMA
from actors.files.run_folder import RunFolder
from jobs.run.ledger import Ledger, missing


def test_what_is_recorded_is_done(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), (4, 9))
    audit = ledger.audit()
    assert audit.done == set(range(9))
    assert audit.faults == ()
    assert audit.broken == ()
    assert missing(range(12), audit) == [9, 10, 11]
    assert fragments(tmp_path) == {
        "000000000-000000004.parquet": [0, 1, 2, 3],
        "000000004-000000009.parquet": [*range(4, 9)],
    }


def test_the_table_has_every_row_in_order(tmp_path: Path) -> None:
    ledger = record(tmp_path, (5, 8), (0, 3))
    table = ledger.table()
    assert table.schema == SCHEMA
    assert table["frame"].to_pylist() == [0, 1, 2, 5, 6, 7]
    assert table["checksum"].to_pylist() == [xxhash.xxh3_64_hexdigest(content_of(i)) for i in (0, 1, 2, 5, 6, 7)]


def test_an_empty_folder_is_an_empty_ledger(tmp_path: Path) -> None:
    ledger = Ledger(RunFolder.at(tmp_path / "new"), PNG, None)
    assert ledger.audit().done == frozenset()
    assert ledger.table().schema == SCHEMA
    assert len(ledger.table()) == 0
    ledger.mend(ledger.audit())
    assert not (tmp_path / "new").exists()


def test_failed_frames_are_not_done(tmp_path: Path) -> None:
    ledger = Ledger(RunFolder.at(tmp_path), PNG, None)
    ledger.record(write_range(tmp_path, FrameRange(0, 4), failed=[2]))
    ledger.record(write_range(tmp_path, FrameRange(4, 6), failed=[4, 5]))
    assert missing(range(6), ledger.audit()) == [2, 4, 5]
    # A range that delivered nothing leaves nothing behind.
    assert list(fragments(tmp_path)) == ["000000000-000000004.parquet"]


def test_files_that_no_fragment_lists_are_not_done(tmp_path: Path) -> None:
    write_range(tmp_path, FrameRange(0, 4))
    assert Ledger(RunFolder.at(tmp_path), PNG, None).audit().done == frozenset()


def test_every_kind_of_damage_is_found_and_named(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 8))
    path_of(tmp_path, 1).unlink()
    path_of(tmp_path, 2).write_bytes(content_of(2)[:-1])
    path_of(tmp_path, 3).write_bytes(b"")
    change_one_bit(path_of(tmp_path, 4))
    path_of(tmp_path, 5).write_bytes(content_of(6)[: len(content_of(5))])
    path_of(tmp_path, 6).write_bytes(content_of(6) + b"\0")
    found = reasons(ledger)
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert found[1].endswith("is missing")
    assert "201 bytes instead of 202" in found[2]
    assert "0 bytes" in found[3]
    assert found[4].endswith("has changed")
    assert found[5].endswith("has changed")
    assert "207 bytes instead of 206" in found[6]
    assert all("frame_00000" in reason and "\n" not in reason for reason in found.values())
    assert missing(range(8), ledger.audit()) == [1, 2, 3, 4, 5, 6]


def test_a_folder_in_the_place_of_a_frame_is_a_fault(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 2))
    path_of(tmp_path, 1).unlink()
    path_of(tmp_path, 1).mkdir()
    assert "cannot be read" in reasons(ledger)[1]


def test_mending_takes_damaged_frames_out_and_leaves_the_rest(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), (4, 8), (8, 10))
    untouched = (tmp_path / "timings" / "000000000-000000004.parquet").read_bytes()
    path_of(tmp_path, 5).unlink()
    for frame in (8, 9):
        change_one_bit(path_of(tmp_path, frame))
    ledger.mend(ledger.audit())
    assert fragments(tmp_path) == {
        "000000000-000000004.parquet": [0, 1, 2, 3],
        "000000004-000000008.parquet": [4, 6, 7],
    }
    assert (tmp_path / "timings" / "000000000-000000004.parquet").read_bytes() == untouched
    audit = ledger.audit()
    assert audit.faults == ()
    assert missing(range(10), audit) == [5, 8, 9]
    # Mending touches the ledger only: a damaged file is replaced when its frame is rendered again.
    assert path_of(tmp_path, 8).exists()


def test_mending_twice_changes_nothing_more(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 6))
    path_of(tmp_path, 2).unlink()
    ledger.mend(ledger.audit())
    before = {path.name: path.read_bytes() for path in (tmp_path / "timings").iterdir()}
    ledger.mend(ledger.audit())
    assert {path.name: path.read_bytes() for path in (tmp_path / "timings").iterdir()} == before


def test_rendering_what_is_missing_completes_the_ledger(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 6), (6, 12))
    for frame in (1, 2, 7):
        path_of(tmp_path, frame).unlink()
    ledger.mend(ledger.audit())
    for start, stop in ((1, 3), (7, 8)):
        ledger.record(write_range(tmp_path, FrameRange(start, stop)))
    assert ledger.audit().done == set(range(12))
    assert set(listed(tmp_path).values()) == {1}


@settings(max_examples=examples(10), deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 15), max_size=6), st.integers(2, 9)), min_size=1, max_size=3))
def test_after_any_damage_resuming_completes_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[set[int], int]]
) -> None:
    """Damage, mend, render what is missing in ranges of another size, again and again."""
    out = tmp_path_factory.mktemp("run")
    ledger = Ledger(RunFolder.at(out), PNG, None)
    for damaged, size in rounds:
        for frame in damaged & ledger.audit().done:
            change_one_bit(path_of(out, frame))
        audit = ledger.audit()
        ledger.mend(audit)
        assert set(listed(out)) == audit.done
        todo = missing(range(16), audit)
        for part in [todo[i : i + size] for i in range(0, len(todo), size)]:
            for start, stop in runs(part):
                ledger.record(write_range(out, FrameRange(start, stop)))
        assert listed(out) == Counter(range(16))
        assert ledger.audit().done == set(range(16))


def runs(frames: list[int]) -> list[tuple[int, int]]:
    """Stretches without gaps."""
    starts = [frame for frame in frames if frame - 1 not in frames]
    stops = [frame + 1 for frame in frames if frame + 1 not in frames]
    return list(zip(starts, stops, strict=True))


def test_what_is_no_file_is_a_fault_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """A pipe nobody writes to, a socket, a device without an end, links to nowhere and to themselves."""
    ledger = record(tmp_path, (0, 6))
    for frame in range(1, 6):
        path_of(tmp_path, frame).unlink()
    os.mkfifo(path_of(tmp_path, 1))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path_of(tmp_path, 2)))
        path_of(tmp_path, 3).symlink_to("/dev/zero")
        path_of(tmp_path, 4).symlink_to("/nowhere")
        path_of(tmp_path, 5).symlink_to(path_of(tmp_path, 5).name)
        found = reasons(ledger)
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert all("no regular file" in found[frame] for frame in (1, 2, 3))
    assert "is missing" in found[4]
    assert "symbolic links" in found[5]


def test_unfinished_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 2))
    folder = tmp_path / "timings"
    (folder / ".000000002-000000004.parquet.12-ab.partial").write_bytes(b"half")
    (folder / ".hidden.parquet").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    audit = ledger.audit()
    assert audit.done == {0, 1}
    assert audit.broken == ()
    ledger.mend(audit)
    assert len(list(folder.iterdir())) == 4


def test_without_frame_files_there_is_nothing_to_read(tmp_path: Path) -> None:
    ledger = Ledger(RunFolder.at(tmp_path), ImageFormat.NONE, None)
    ledger.record(write_range(tmp_path, FrameRange(0, 3)))
    for frame in range(3):
        path_of(tmp_path, frame).unlink()
    assert ledger.audit().done == {0, 1, 2}
