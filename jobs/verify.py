"""Comparing a run's files with its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xxhash

from actors import storage
from actors.core.errors import InputError
from actors.core.timeline import FrameRange
from actors.encoding import ImageFormat
from actors.layout import frame_path, frames_folder, segments_folder, timings_folder, video_path
from jobs.ledger import Ledger
from jobs.options import CompositeOptions
from jobs.record import read_record

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in a run's folder.

    Attributes:
        expected: output frames that the run was asked for.
        intact: of these, recorded and with files that agree.
        missing: frames that are not recorded, as ranges.
        damaged: recorded files that are missing or differ, one line each.
        extra: files that no record mentions.
        on_disk: whether the run writes anything besides timings that could be compared.
    """

    expected: int
    intact: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    extra: tuple[str, ...]
    on_disk: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, damaged or extra."""
        return not (self.missing or self.damaged or self.extra)


def verify_run(out: str) -> Verdict:
    """Re-reads every file of a run.

    Raises:
        InputError: there is no run.
    """
    record = read_record(out)
    if record is None:
        raise InputError(out, "holds no run of mouthpiece", "name the folder that was given as --out")
    options = CompositeOptions.model_validate(record["options"])
    frames = FrameRange(*record["frames"])
    ledger = Ledger(out, options.image_format, frames if options.video else None)
    audit = ledger.audit()
    recorded = {fault.frame for fault in audit.faults} | audit.done
    damaged = [f"frame {fault.frame}: {fault.reason}" for fault in audit.faults if fault.frame in frames]
    damaged += [f"{path} cannot be read" for path in audit.broken]
    damaged += _video_fault(out, record) if options.video and record["status"] == "complete" else []
    return Verdict(
        expected=len(frames),
        intact=len(audit.done.intersection(frames)),
        missing=_as_ranges(sorted(set(frames) - recorded)),
        damaged=tuple(damaged),
        extra=tuple(_extra(out, options.image_format, ledger, recorded)),
        on_disk=options.image_format is not ImageFormat.NONE or options.video,
    )


def file_facts(path: str) -> dict[str, Any]:
    """Size and xxh3-64 of a file, as run.json keeps them."""
    digest = xxhash.xxh3_64()
    size = 0
    with storage.open_input(path) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "checksum": digest.hexdigest()}


def _video_fault(out: str, record: dict[str, Any]) -> list[str]:
    path = video_path(out)
    if not storage.is_file(path):
        return [f"{path} is missing"]
    return [] if file_facts(path) == record.get("video") else [f"{path} has changed"]


def _extra(out: str, image_format: ImageFormat, ledger: Ledger, recorded: set[int]) -> list[str]:
    """Files in the run's own folders that nothing accounts for: remains of a crash, or another's."""
    table = ledger.table()
    frames = {frame_path(out, frame, image_format) for frame in recorded}
    segments = {storage.join(segments_folder(out), name) for name in set(table["segment"].to_pylist())}
    found = []
    for folder, known in ((frames_folder(out), frames), (segments_folder(out), segments)):
        found += [entry.path for entry in storage.children(folder) if entry.path not in known]
    found += [entry.path for entry in storage.children(timings_folder(out)) if not entry.name.endswith(".parquet")]
    return found


def _as_ranges(frames: list[int]) -> tuple[str, ...]:
    """Ascending frames as ``a`` or ``a..b``."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and runs[-1][1] == frame - 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return tuple(f"{first}" if first == last else f"{first}..{last}" for first, last in runs)
