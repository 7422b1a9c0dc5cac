"""Comparing a prepared folder's files with its record."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.errors import InputError
from actors.files import storage
from actors.files.digests import file_facts
from jobs.faces.prepared_folder import PreparedFolder, unsearched


@dataclass(frozen=True, slots=True)
class FacesVerdict:
    """What stands in a prepared folder.

    Attributes:
        expected: frames of the footage.
        searched: of these, searched for faces, with files that are whole.
        missing: ranges of frames that have not been searched, as ``a..b``.
        damaged: files that are missing or differ, one line each.
        extra: files that no record mentions.
    """

    expected: int
    searched: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing, damaged or extra."""
        return not (self.missing or self.damaged or self.extra)


def verify_faces(folder: PreparedFolder) -> FacesVerdict:
    """Re-reads every file that was made of some footage.

    Raises:
        InputError: the folder has no record, or cannot be read.
    """
    record = folder.searched()
    try:
        whole = {span: found is not None for span, found in folder.parts()}
        damaged = [f"frames {span} have no whole file of what was found" for span, good in whole.items() if not good]
        for name, before in record.files.items():
            path = folder.path / name
            try:
                facts = file_facts(path)
            except FileNotFoundError:
                damaged.append(f"{path} is missing")
                continue
            if facts != {"bytes": before.bytes, "checksum": before.checksum}:
                damaged.append(f"{path} has changed")
        known = {span.id for span in folder.ranges()}
        entries = storage.children(folder.detections)
    except OSError as error:
        raise InputError(str(folder), f"cannot be read ({error})", "mend it and verify again") from error
    missing = unsearched([span for span, good in whole.items() if good], record.footage.frames)
    return FacesVerdict(
        expected=record.footage.frames,
        searched=record.footage.frames - sum(map(len, missing)),
        missing=tuple(f"{gap.start}..{gap.stop - 1}" for gap in missing),
        damaged=tuple(damaged),
        extra=tuple(entry.path for entry in entries if entry.name.partition(".")[0] not in known),
    )
