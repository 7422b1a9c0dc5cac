"""The ledger of a run: its timing fragments. A frame is done exactly when one fragment lists it and its file agrees."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.core.choices import ImageFormat
from actors.core.ranges import FrameRange
from actors.core.timings import MOST_BYTES, SCHEMA, column, from_parquet, numbers, to_parquet
from actors.core.worker_reports import FrameFailure, RangeReport
from actors.files import storage
from actors.files.digests import stream_checksum
from actors.files.run_folder import RunFolder, fragment_range, segment_range
from actors.files.storage import StoragePath

# Reading and hashing run outside of the interpreter lock; more threads hide the latency of network storage.
READERS = 16

# Of a row, what says which files it stands for.
FILES = ["frame", "bytes", "checksum", "segment", "segment_bytes", "segment_checksum"]


@dataclass(frozen=True, slots=True)
class Audit:
    """What the files say about the ledger.

    Attributes:
        kept: by fragment, the frames whose record and files agree; each frame in at most one fragment.
        faults: frames that are listed but whose record cannot stand, with the reason; ascending.
        broken: files with a fragment's name that hold no fragment of that range, by path.
    """

    kept: Mapping[StoragePath, frozenset[int]]
    faults: tuple[FrameFailure, ...]
    broken: tuple[StoragePath, ...]

    @property
    def done(self) -> frozenset[int]:
        """The frames that need not be rendered."""
        return frozenset().union(*self.kept.values())


class Ledger:
    """The fragments of one run's folder.

    Args:
        folder: the run's.
        image_format: format of the frame files; ``none`` where there are none to check.
        joined: the frames that a video is to be joined of, or ``None`` without one. A frame among them is done only
            with a sound segment that lies wholly within them and whose every frame is done.
    """

    def __init__(self, folder: RunFolder, image_format: ImageFormat, joined: FrameRange | None) -> None:
        self._folder = folder
        self._format = image_format
        self._joined = joined

    def record(self, report: RangeReport) -> None:
        """Writes the fragment of a range, after its files stand under their names."""
        if report.fragment:
            storage.write_atomic(self._folder.fragment(report.range.frames), report.fragment)

    def table(self) -> pa.Table:
        """Every recorded frame, ascending by number, as `SCHEMA`; unreadable fragments are left out."""
        tables = [table for table in self._fragments().values() if table is not None]
        return pa.concat_tables([pa.Table.from_batches([], SCHEMA), *tables]).sort_by("frame")

    def audit(self) -> Audit:
        """Re-reads every recorded file, in parallel, and compares size and checksum."""
        fragments = self._fragments()
        rows = [
            (path, row)
            for path, table in fragments.items()
            if table is not None
            for row in table.select(FILES).to_pylist()
        ]
        with ThreadPoolExecutor(READERS) as pool:
            faults = list(pool.map(self._frame_fault, (row for _, row in rows)))
            segments = self._segment_faults([row for _, row in rows], faults, pool)
        kept: dict[StoragePath, set[int]] = {path: set() for path in fragments}
        done: set[int] = set()
        found: dict[int, str] = {}
        twice: dict[int, str] = {}
        for (path, row), fault in zip(rows, faults, strict=True):
            frame = row["frame"]
            joins = self._joined is not None and frame in self._joined
            reason = fault or (segments.get(row["segment"]) if joins else None)
            if reason is not None:
                found[frame] = reason
            elif frame not in done:
                done.add(frame)
                kept[path].add(frame)
            else:
                twice[frame] = "is listed twice"
        # What one record gets wrong does not matter where another of the same frame is right.
        found = {frame: reason for frame, reason in found.items() if frame not in done} | twice
        return Audit(
            kept={path: frozenset(frames) for path, frames in kept.items()},
            faults=tuple(FrameFailure(frame, reason) for frame, reason in sorted(found.items())),
            broken=tuple(path for path, table in fragments.items() if table is None),
        )

    def mend(self, audit: Audit) -> None:
        """Takes frames that are not done out of their fragments, so that they can be recorded anew.

        This comes before they are rendered again: at no moment does a frame stand in two fragments. Segments that no
        record names any more go too. Files without a fragment's name are not the ledger's, and are left alone.
        """
        for path in audit.broken:
            storage.remove_file(path)
        for path, table in self._fragments().items():
            frames = audit.kept.get(path)
            if table is None or frames is None:
                continue
            kept = table.filter(pc.is_in(table["frame"], column(pa.int64(), sorted(frames))))
            if len(kept) == 0:
                storage.remove_file(path)
            elif len(kept) < len(table):
                storage.write_atomic(path, to_parquet(kept))
        self.drop_orphans()

    def drop_orphans(self) -> None:
        """Removes segments that no record names: their ranges were split, or rendered again."""
        entries = [
            entry
            for entry in storage.children(self._folder.segments)
            if not entry.is_folder and segment_range(entry.name) is not None
        ]
        if not entries:
            return
        named = set(self.table()["segment"].to_pylist())
        for entry in entries:
            if entry.name not in named:
                storage.remove_file(self._folder.segments / entry.name)

    def _fragments(self) -> dict[StoragePath, pa.Table | None]:
        folder = self._folder.timings
        return {
            (path := folder / entry.name): _read(path, entry.size, frames)
            for entry in storage.children(folder)
            if not entry.is_folder and (frames := fragment_range(entry.name)) is not None
        }

    def _frame_fault(self, row: dict[str, Any]) -> str | None:
        if self._format is ImageFormat.NONE:
            return None
        path = self._folder.frame(row["frame"], self._format)
        return _file_fault(path, row["bytes"], row["checksum"])

    def _segment_faults(
        self, rows: list[dict[str, Any]], faults: list[str | None], pool: ThreadPoolExecutor
    ) -> dict[str, str]:
        """Why segments cannot be joined as they are, by name; the empty name stands for frames without one."""
        if self._joined is None:
            return {}
        found: dict[str, str] = {"": "has no video segment yet"}
        listed = Counter(row["segment"] for row in rows)
        sound: list[tuple[str, StoragePath, int, str]] = []
        for row in rows:
            name = row["segment"]
            if row["frame"] not in self._joined or name in found:
                continue
            span = segment_range(name)
            if span is None:
                found[name] = f"its record names no segment ({name})"
            elif not self._joined.covers(span):
                found[name] = "its video segment reaches beyond --frames"
            elif listed[name] != len(span):
                found[name] = "its video segment holds frames that were rendered anew"
            else:
                path = self._folder.segments / name
                sound.append((name, path, row["segment_bytes"], row["segment_checksum"]))
        checks = {name: (path, size, checksum) for name, path, size, checksum in sound}
        if checks:
            answers = pool.map(_file_fault, *zip(*checks.values(), strict=True))
            found |= {name: fault for name, fault in zip(checks, answers, strict=True) if fault}
        for row, fault in zip(rows, faults, strict=True):
            if fault and row["segment"]:
                found.setdefault(row["segment"], "its video segment holds a frame that must be rendered anew")
        return found


def missing(wanted: Iterable[int], audit: Audit) -> list[int]:
    """The wanted frames that are not done, ascending."""
    return sorted(set(wanted) - audit.done)


def _file_fault(path: StoragePath, size: int, checksum: str) -> str | None:
    """Why a file is not the one that was recorded, or ``None`` if it is."""
    try:
        with storage.open_input(path) as file:
            # The size first: what was put in its place may be of any length.
            found = file.seek(0, os.SEEK_END)
            if found != size:
                return f"{path} has {found} bytes instead of {size}"
            file.seek(0)
            same = stream_checksum(file) == checksum
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path} cannot be read ({error})"
    return None if same else f"{path} has changed"


def _read(path: StoragePath, size: int, span: FrameRange) -> pa.Table | None:
    """A fragment; ``None`` when it is torn, of another schema, or of other frames: these then count as not done.

    Raises:
        OSError: it cannot be read for now, which says nothing of what it holds.
    """
    table = from_parquet(storage.read_bytes(path)) if size <= MOST_BYTES else None
    if table is None or len(table) == 0:
        return table
    frames = numbers(table, "frame")
    inside = span.start <= frames.min() and frames.max() < span.stop
    return table if inside and len(set(frames.tolist())) == len(frames) else None
