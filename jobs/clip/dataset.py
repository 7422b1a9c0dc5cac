"""Form (b), the SyncTalk_2D dataset folder: ``full_body_img/`` with ``landmarks/``."""

from __future__ import annotations

from actors.core.clip import Clip
from actors.core.kind import ModelKind
from jobs.clip.assembly import Subject, whole_clip
from jobs.clip.backgrounds import Candidates, find_frames
from jobs.clip.notes import Notes
from jobs.clip.package_info import check_package_info


def is_dataset(there: Candidates) -> bool:
    """Whether the folder has images in ``full_body_img/``."""
    return bool(there.numbered)


def read_dataset(subject: Subject, there: Candidates, kind: ModelKind, notes: Notes) -> Clip:
    """The clip in such a folder; raises `InputError` for anything that cannot be used.

    The folder may be an unpacked package, so its ``package_info.json`` is compared too.
    """
    frames, label = find_frames(there, notes)
    check_package_info(there.folder, frames, notes)
    return whole_clip(subject, "dataset", frames, label, kind, notes)
