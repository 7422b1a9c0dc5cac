"""The ledger of a run with a video: frames and the segments that hold them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import xxhash
from written_ranges import change_one_bit, listed, path_of, reasons, record, with_video, write_range

from actors.core.choices import ImageFormat
from actors.core.ranges import FrameRange
from actors.core.worker_reports import RangeReport
from actors.files.run_folder import RunFolder
from jobs.run.ledger import Ledger, missing


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
