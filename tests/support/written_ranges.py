"""Ranges as workers deliver them, without workers, and what their files and fragments hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import xxhash

from actors.core.choices import ImageFormat
from actors.core.ranges import ClipRange, FrameRange
from actors.core.timings import STAGES, FrameTiming
from actors.core.worker_reports import FrameFailure, RangeReport
from actors.files import storage
from actors.files.run_folder import RunFolder, segment_name
from jobs.run.ledger import Ledger

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


def change_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
