"""The ledger of a run: its timing fragments. A frame is done exactly when one fragment lists it and its file agrees."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from actors import storage
from actors.core.report import FrameFailure, RangeReport
from actors.core.timeline import FrameRange
from actors.core.timings import SCHEMA, to_table
from actors.encoding import ImageFormat
from actors.layout import frame_path, segments_folder, timings_folder, timings_path

# Reading and hashing run outside of the interpreter lock; more threads hide the latency of network storage.
READERS = 16


@dataclass(frozen=True, slots=True)
class Audit:
    """What the files say about the ledger.

    Attributes:
        done: frames that are listed once and whose files agree.
        faults: frames that are listed but whose file is missing or differs, with the reason; ascending.
        broken: fragments that cannot be read, by path.
    """

    done: frozenset[int]
    faults: tuple[FrameFailure, ...]
    broken: tuple[str, ...]


class Ledger:
    """The fragments of one run's folder.

    Args:
        out: the run's folder.
        image_format: format of the frame files; ``none`` where there are none to check.
        joined: the frames that a video is to be joined of, or ``None`` without one. A frame among them is done only
            with a sound segment that lies wholly within them and whose every frame is done.
    """

    def __init__(self, out: str, image_format: ImageFormat, joined: FrameRange | None) -> None:
        self._out = out
        self._format = image_format
        self._joined = joined

    def record(self, report: RangeReport) -> None:
        """Writes the fragment of a range, after its files stand under their names."""
        if report.timings:
            _write(timings_path(self._out, report.range), to_table(report.timings))

    def table(self) -> pa.Table:
        """Every recorded frame, ascending by number, as `SCHEMA`; unreadable fragments are left out."""
        tables = [table for table in self._fragments().values() if table is not None]
        return pa.concat_tables([SCHEMA.empty_table(), *tables]).sort_by("frame")

    def audit(self) -> Audit:
        """Re-reads every recorded file, in parallel, and compares size and checksum."""
        fragments = self._fragments()
        rows = [row for table in fragments.values() if table is not None for row in table.to_pylist()]
        with ThreadPoolExecutor(READERS) as pool:
            faults = list(pool.map(self._frame_fault, rows))
            segments = self._segment_faults(rows, faults, pool)
        done: set[int] = set()
        found: list[FrameFailure] = []
        for row, fault in zip(rows, faults, strict=True):
            reason = fault or segments.get(row["segment"]) or ("is listed twice" if row["frame"] in done else None)
            if reason is None:
                done.add(row["frame"])
            else:
                found.append(FrameFailure(row["frame"], reason))
        broken = tuple(path for path, table in fragments.items() if table is None)
        return Audit(frozenset(done), tuple(sorted(found, key=lambda fault: fault.frame)), broken)

    def mend(self, audit: Audit) -> None:
        """Takes frames that are not done out of their fragments, so that they can be recorded anew.

        This comes before they are rendered again: at no moment does a frame stand in two fragments.
        """
        for path in audit.broken:
            storage.remove_file(path)
        keep = pa.array(sorted(audit.done), pa.int64())
        for path, table in self._fragments().items():
            if table is None:
                continue
            kept = table.filter(pc.is_in(table["frame"], keep))
            if len(kept) == 0:
                storage.remove_file(path)
            elif len(kept) < len(table):
                _write(path, kept)

    def _fragments(self) -> dict[str, pa.Table | None]:
        paths = [
            entry.path
            for entry in storage.children(timings_folder(self._out))
            if entry.name.endswith(".parquet") and not entry.name.startswith(".")
        ]
        return {path: _read(path) for path in paths}

    def _frame_fault(self, row: dict[str, Any]) -> str | None:
        if self._format is ImageFormat.NONE:
            return None
        path = frame_path(self._out, row["frame"], self._format)
        return _file_fault(path, row["bytes"], row["checksum"])

    def _segment_faults(
        self, rows: list[dict[str, Any]], faults: list[str | None], pool: ThreadPoolExecutor
    ) -> dict[str, str]:
        """Why segments cannot be joined as they are, by name; the empty name stands for frames without one."""
        if self._joined is None:
            return {}
        found: dict[str, str] = {"": "has no video segment yet"}
        listed = Counter(row["segment"] for row in rows)
        recorded = {row["segment"]: (row["segment_bytes"], row["segment_checksum"]) for row in rows if row["segment"]}
        paths = [storage.join(segments_folder(self._out), name) for name in recorded]
        sizes, checksums = zip(*recorded.values(), strict=True) if recorded else ((), ())
        for name, fault in zip(recorded, pool.map(_file_fault, paths, sizes, checksums), strict=True):
            span = FrameRange.parse(name.partition(".")[0])
            if fault:
                found[name] = fault
            elif span.start < self._joined.stop and self._joined.start < span.stop and not self._joined.covers(span):
                found[name] = "its video segment reaches beyond --frames"
            elif listed[name] != len(span):
                found[name] = "its video segment holds frames that were rendered anew"
        for row, fault in zip(rows, faults, strict=True):
            if fault and row["segment"]:
                found.setdefault(row["segment"], "its video segment holds a frame that must be rendered anew")
        return found


def missing(wanted: Iterable[int], audit: Audit) -> list[int]:
    """The wanted frames that are not done, ascending."""
    return sorted(set(wanted) - audit.done)


def _file_fault(path: str, size: int, checksum: str) -> str | None:
    """Why a file is not the one that was recorded, or ``None`` if it is."""
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path} cannot be read ({error})"
    if len(content) != size:
        return f"{path} has {len(content)} bytes instead of {size}"
    return None if xxhash.xxh3_64_hexdigest(content) == checksum else f"{path} has changed"


def _write(path: str, table: pa.Table) -> None:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    storage.write_atomic(path, sink.getbuffer())


def _read(path: str) -> pa.Table | None:
    """A fragment, or ``None`` when it is torn or of another schema: its frames then count as not done."""
    try:
        table = pq.read_table(io.BytesIO(storage.read_bytes(path)))
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
