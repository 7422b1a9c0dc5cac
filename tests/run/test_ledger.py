"""The ledger: what is recorded, what the files say about it, and how it is mended."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.choices import ImageFormat
from actors.core.ranges import ClipRange, FrameRange
from actors.core.timings import MOST_BYTES, SCHEMA, STAGES, FrameTiming, to_table
from actors.core.worker_reports import FrameFailure, RangeReport
from actors.files import storage
from actors.files.run_folder import RunFolder, segment_name
from jobs.run.ledger import Ledger, missing

PNG = ImageFormat.PNG


def content_of(frame: int) -> bytes:
    return np.random.default_rng(frame).bytes(200 + frame)


def timing(frame: int, frames: FrameRange, content: bytes, segment: bytes | None) -> FrameTiming:
    place = {"range_id": frames.id, "batch_id": 0, "batch_size": 1, "worker": 0, "node": "n", "pid": 7}
    rest = {"device": "cpu", "provider": "CPU", "started_at": 1.0, **dict.fromkeys(STAGES, 1.0)}
    seam = {"seam": 1.0, "seam_at": "mask"}
    file = {"bytes": len(content), "checksum": xxhash.xxh3_64_hexdigest(content)}
    video = {
        "segment": "" if segment is None else segment_name(frames),
        "segment_bytes": 0 if segment is None else len(segment),
        "segment_checksum": "" if segment is None else xxhash.xxh3_64_hexdigest(segment),
    }
    values = {"frame": frame, "background": frame, "face": "interpolated", **place, **rest, **seam, **file, **video}
    return FrameTiming(**values)  # type: ignore[arg-type]


def write_range(out: Path, frames: FrameRange, *, video: bool = False, failed: Iterable[int] = ()) -> RangeReport:
    """What a worker does: files under their names, then a report."""
    folder = RunFolder.at(out)
    folder.make_folders(frames=True, segments=True)
    delivered = [frame for frame in frames if frame not in set(failed)]
    segment = b"segment of %s" % frames.id.encode() if video and len(delivered) == len(frames) else None
    for frame in delivered:
        storage.write_atomic(folder.frame(frame, PNG), content_of(frame))
    if segment is not None:
        storage.write_atomic(folder.segment(frames), segment)
    timings = tuple(timing(frame, frames, content_of(frame), segment) for frame in delivered)
    return RangeReport.of(ClipRange("clip", frames), timings, tuple(FrameFailure(frame, "NaN") for frame in failed))


def record(out: Path, *ranges: tuple[int, int], video: bool = False) -> Ledger:
    ledger = Ledger(RunFolder.at(out), PNG, None)
    for start, stop in ranges:
        ledger.record(write_range(out, FrameRange(start, stop), video=video))
    return ledger


def with_video(out: Path, start: int, stop: int) -> Ledger:
    return Ledger(RunFolder.at(out), PNG, FrameRange(start, stop))


def reasons(ledger: Ledger) -> Mapping[int, str]:
    audit = ledger.audit()
    found = {fault.frame: fault.reason for fault in audit.faults}
    assert [fault.frame for fault in audit.faults] == sorted(fault.frame for fault in audit.faults)
    assert audit.done.isdisjoint(found)
    return found


def fragments(out: Path) -> dict[str, list[int]]:
    """The frames in every fragment, read without the ledger."""
    paths = sorted((out / "timings").glob("*.parquet"))
    return {path.name: pq.read_table(path)["frame"].to_pylist() for path in paths}


def listed(out: Path) -> Counter[int]:
    return Counter(frame for frames in fragments(out).values() for frame in frames)


def path_of(out: Path, frame: int) -> Path:
    return Path(str(RunFolder.at(out).frame(frame, PNG)))


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


def change_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


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


@settings(max_examples=10, deadline=None)
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


def test_without_frame_files_there_is_nothing_to_read(tmp_path: Path) -> None:
    ledger = Ledger(RunFolder.at(tmp_path), ImageFormat.NONE, None)
    ledger.record(write_range(tmp_path, FrameRange(0, 3)))
    for frame in range(3):
        path_of(tmp_path, frame).unlink()
    assert ledger.audit().done == {0, 1, 2}


def test_segments_are_nobodys_business_without_a_video(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 3), video=True)
    Path(str(RunFolder.at(tmp_path).segment(FrameRange(0, 3)))).unlink()
    assert ledger.audit().done == {0, 1, 2}


def test_frames_with_sound_segments_are_done(tmp_path: Path) -> None:
    record(tmp_path, (0, 3), (3, 4), (4, 8), video=True)
    audit = with_video(tmp_path, 0, 8).audit()
    assert audit.done == set(range(8))
    assert audit.faults == ()


def test_frames_of_an_earlier_run_without_video_are_rendered_again_for_one(tmp_path: Path) -> None:
    record(tmp_path, (0, 3))
    record(tmp_path, (3, 6), video=True)
    assert reasons(with_video(tmp_path, 0, 6)) == dict.fromkeys(range(3), "has no video segment yet")


def test_a_damaged_segment_takes_its_frames_along(tmp_path: Path) -> None:
    record(tmp_path, (0, 3), (3, 6), (6, 9), video=True)
    change_one_bit(Path(str(RunFolder.at(tmp_path).segment(FrameRange(0, 3)))))
    Path(str(RunFolder.at(tmp_path).segment(FrameRange(6, 9)))).unlink()
    found = reasons(with_video(tmp_path, 0, 9))
    assert sorted(found) == [0, 1, 2, 6, 7, 8]
    assert all(found[frame].endswith("has changed") for frame in range(3))
    assert all(found[frame].endswith("is missing") for frame in range(6, 9))


def test_a_damaged_frame_takes_its_segment_along(tmp_path: Path) -> None:
    record(tmp_path, (0, 3), (3, 6), video=True)
    path_of(tmp_path, 4).unlink()
    found = reasons(with_video(tmp_path, 0, 6))
    assert sorted(found) == [3, 4, 5]
    assert found[4].endswith("is missing")
    assert "must be rendered anew" in found[3]


def test_a_segment_that_reaches_beyond_the_frames_cannot_be_used(tmp_path: Path) -> None:
    record(tmp_path, (0, 4), (4, 8), (8, 12), video=True)
    found = reasons(with_video(tmp_path, 2, 8))
    assert {2, 3} <= found.keys()
    assert set(range(4, 8)).isdisjoint(found)
    assert all("beyond --frames" in found[frame] for frame in (2, 3))


def test_a_segment_of_which_a_frame_was_rendered_anew_cannot_be_used(tmp_path: Path) -> None:
    ledger = record(tmp_path, (0, 4), video=True)
    path_of(tmp_path, 1).unlink()
    # Without a video the segment does not matter: frame 1 alone is rendered again.
    ledger.mend(ledger.audit())
    ledger.record(write_range(tmp_path, FrameRange(1, 2)))
    assert ledger.audit().done == {0, 1, 2, 3}
    found = reasons(with_video(tmp_path, 0, 4))
    assert sorted(found) == [0, 1, 2, 3]
    assert "rendered anew" in found[0]
    assert found[1] == "has no video segment yet"


def test_after_mending_for_a_video_whole_ranges_are_missing(tmp_path: Path) -> None:
    record(tmp_path, (0, 3), (3, 6), video=True)
    path_of(tmp_path, 4).unlink()
    ledger = with_video(tmp_path, 0, 6)
    ledger.mend(ledger.audit())
    assert missing(range(6), ledger.audit()) == [3, 4, 5]
    ledger.record(write_range(tmp_path, FrameRange(3, 6), video=True))
    assert ledger.audit().done == set(range(6))


def test_segments_alone_prove_frames_where_no_frames_are_written(tmp_path: Path) -> None:
    out = RunFolder.at(tmp_path)
    report = write_range(tmp_path, FrameRange(0, 3), video=True)
    bare = RangeReport.of(report.range, [replace(row, bytes=0, checksum="") for row in report.timings])
    ledger = Ledger(out, ImageFormat.NONE, FrameRange(0, 3))
    ledger.record(bare)
    assert ledger.audit().done == {0, 1, 2}
    change_one_bit(Path(str(out.segment(FrameRange(0, 3)))))
    assert ledger.audit().done == frozenset()


def test_frames_outside_of_the_video_need_no_segment(tmp_path: Path) -> None:
    """A finished run of 8 frames without video; then a video of the first 4 is asked for."""
    record(tmp_path, (0, 4), (4, 8))
    ledger = with_video(tmp_path, 0, 4)
    audit = ledger.audit()
    assert audit.done == {4, 5, 6, 7}
    ledger.mend(audit)
    assert set(listed(tmp_path)) == {4, 5, 6, 7}


def test_frames_beyond_the_video_stay_done(tmp_path: Path) -> None:
    record(tmp_path, (0, 4), (4, 8), video=True)
    assert with_video(tmp_path, 0, 6).audit().done == {0, 1, 2, 3, 6, 7}


def test_a_segment_with_an_impossible_name_is_no_traceback(tmp_path: Path) -> None:
    ledger = with_video(tmp_path, 0, 2)
    report = write_range(tmp_path, FrameRange(0, 2))
    (tmp_path / "segments" / "intro.mp4").write_bytes(b"video")
    named = {"segment": "intro.mp4", "segment_bytes": 5, "segment_checksum": xxhash.xxh3_64_hexdigest(b"video")}
    timings = tuple(replace(row, **named) for row in report.timings)  # type: ignore[arg-type]
    ledger.record(RangeReport.of(report.range, timings))
    assert sorted(fault.frame for fault in ledger.audit().faults) == [0, 1]
