"""Recognises what a clip is by its content and reads it."""

from __future__ import annotations

from pathlib import PurePosixPath

from actors.core.clip import Clip, FaceBox
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.files import storage
from jobs.clip.assembly import Subject
from jobs.clip.backgrounds import candidates
from jobs.clip.binary import is_binary, read_binary
from jobs.clip.dataset import is_dataset, read_dataset
from jobs.clip.face_boxes import GivenBoxes
from jobs.clip.files import entry_at
from jobs.clip.frames import read_lone_video, read_loose_frames
from jobs.clip.notes import Notes
from jobs.clip.package import is_package, read_package


def read_clip(
    path: str, *, boxes: str | None, box: FaceBox | None, kind: ModelKind, faces_follow: bool = False
) -> Clip:
    """Finds, counts and checks everything a clip is made of; decodes at most one frame.

    A folder's form is told by its content: the binary export by its ``.bin`` files, else the dataset by
    ``full_body_img/``, else the package by ``full_body_video.mp4``, else loose images or a video.

    Args:
        path: folder or video file, as the user gave it.
        boxes: ``--rects``, a JSON file of face boxes that beats those of the folder.
        box: ``--rect``, one face box for all frames.
        kind: the contract of the network it is read for.
        faces_follow: whether full frames may come without boxes, because faces will be found on them.

    Raises:
        InputError: something in it cannot be used; names the file and what to do.
    """
    where = storage.resolve(path).rstrip("/") or "/"
    entry = entry_at(where)
    if entry is None:
        raise InputError(path, "there is no such clip", "name a clip folder or a video file")
    name = PurePosixPath(where).name or "clip"
    given = GivenBoxes(boxes, box)
    notes = Notes()
    if not entry.is_folder:
        subject = Subject(PurePosixPath(name).stem, path, None, given, faces_follow)
        return read_lone_video(subject, where, kind, notes)
    subject = Subject(name, path, where, given, faces_follow)
    there = candidates(where)
    if is_binary(where):
        return read_binary(subject, there, kind, notes)
    if is_dataset(there):
        return read_dataset(subject, there, kind, notes)
    if is_package(there):
        return read_package(subject, there, kind, notes)
    return read_loose_frames(subject, there, kind, notes)
