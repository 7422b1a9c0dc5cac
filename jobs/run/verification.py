"""Comparing a run's files with its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from actors.core.choices import ImageFormat
from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.digests import file_facts
from actors.files.run_folder import RunFolder, is_data_file
from jobs.run.attempts import history
from jobs.run.ledger import Ledger
from jobs.run.record import RunRecord
from jobs.run.record_file import find_run


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
        history: how the run came about, where more than one command had a part in it or something happened; or empty.
    """

    expected: int
    intact: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    extra: tuple[str, ...]
    on_disk: bool
    history: str

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, damaged or extra."""
        return not (self.missing or self.damaged or self.extra)


def verify_run(out: str) -> Verdict:
    """Re-reads every file of a run. Memory depends on what is there, not on how many frames were asked for.

    Raises:
        InputError: there is no run, or it cannot be read.
    """
    folder = RunFolder.at(out)
    record = find_run(folder)
    try:
        return _verify(folder, record)
    except OSError as error:
        raise InputError(out, f"cannot be read ({error})", "mend it and verify again") from error


def _verify(folder: RunFolder, record: RunRecord) -> Verdict:
    frames = record.wanted
    ledger = Ledger(folder, record.image_format, frames if record.joins_video else None)
    audit = ledger.audit()
    recorded = {fault.frame for fault in audit.faults} | audit.done
    damaged = [f"frame {fault.frame}: {fault.reason}" for fault in audit.faults if fault.frame in frames]
    damaged += [f"{path} is no fragment of that range's timings" for path in audit.broken]
    # A video that an earlier command joined is still the run's.
    joined = record.joins_video or record.video is not None
    damaged += _video_fault(folder, record) if joined and record.status == "complete" else []
    return Verdict(
        expected=len(frames),
        intact=sum(frame in frames for frame in audit.done),
        missing=_gaps(frames, recorded),
        damaged=tuple(damaged),
        extra=tuple(_extra(folder, record.image_format, ledger, recorded)),
        on_disk=record.image_format is not ImageFormat.NONE or record.joins_video,
        history=history(record),
    )


def _video_fault(folder: RunFolder, record: RunRecord) -> list[str]:
    path = folder.video
    try:
        facts = file_facts(path)
    except FileNotFoundError:
        return [f"{path} is missing"]
    except OSError as error:
        return [f"{path} cannot be read ({error})"]
    before = record.video
    same = before is not None and facts == {"bytes": before.bytes, "checksum": before.checksum}
    return [] if same else [f"{path} has changed"]


def _extra(folder: RunFolder, image_format: ImageFormat, ledger: Ledger, recorded: set[int]) -> list[str]:
    """Files in the run's own folders that nothing accounts for: remains of a crash, or another's."""
    table = ledger.table()
    known = {folder.frame(frame, image_format) for frame in recorded}
    known |= {folder.segments / name for name in set(table["segment"].to_pylist())}
    found = []
    for data in folder.data_folders:
        for entry in storage.children(data):
            # Fragments speak for themselves, and features for their recording, which is not looked at here.
            alone = data in {folder.timings, folder.features} and is_data_file(entry) and entry.name[0] != "."
            if not alone and data / entry.name not in known:
                found.append(entry.path)
    return found


def _gaps(frames: FrameRange, recorded: set[int]) -> tuple[str, ...]:
    """What is missing of ``frames``, ascending, as ``a`` or ``a..b``."""
    ends = [frames.start - 1, *sorted(frame for frame in recorded if frame in frames), frames.stop]
    return tuple(
        f"{before + 1}" if after == before + 2 else f"{before + 1}..{after - 1}"
        for before, after in pairwise(ends)
        if after > before + 1
    )
