"""Form (a), the avatar package: ``full_body_video.mp4`` with face boxes or landmarks."""

from __future__ import annotations

from actors.core.clip import Clip
from actors.core.kind import ModelKind
from jobs.clip.assembly import Subject, whole_clip
from jobs.clip.backgrounds import Candidates, find_frames
from jobs.clip.notes import Notes
from jobs.clip.package_info import check_package_info


def is_package(there: Candidates) -> bool:
    """Whether the folder has ``full_body_video.mp4``; with images as well it is a dataset."""
    return there.package_video


def read_package(subject: Subject, there: Candidates, kind: ModelKind, notes: Notes) -> Clip:
    """The clip in such a folder; raises `InputError` for anything that cannot be used."""
    frames, label = find_frames(there, notes)
    check_package_info(there.folder, frames, notes)
    return whole_clip(subject, "package", frames, label, kind, notes)
