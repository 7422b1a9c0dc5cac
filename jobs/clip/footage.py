"""Footage: full frames of which nobody has said yet where the face is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from actors.core.clip import FrameSource, ImageFrames
from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.backgrounds import candidates, find_frames, open_video
from jobs.clip.files import entry_at
from jobs.clip.identity import with_digests
from jobs.clip.notes import Notes


@dataclass(frozen=True, slots=True)
class Footage:
    """Full frames alone.

    Attributes:
        path: what the user named.
        name: of the file or folder.
        frames: the frames; images with their digests.
        found: what was recognised, one line each.
        warnings: what the user should know, one line each.
    """

    path: str
    name: str
    frames: FrameSource
    found: tuple[str, ...]
    warnings: tuple[str, ...]


def read_footage(path: str) -> Footage:
    """The full frames of a video file, or of a folder in any of a clip's forms; decodes at most one of them.

    Args:
        path: as the user gave it.

    Raises:
        InputError: there are none, or they cannot be used; names the file and what to do.
    """
    where = storage.resolve(path).rstrip("/") or "/"
    entry = entry_at(where)
    if entry is None:
        raise InputError(path, "there is no such footage", "name a video file or a folder of images")
    notes = Notes()
    frames = find_frames(candidates(where), notes)[0] if entry.is_folder else open_video(where, notes)
    return Footage(
        path=path,
        name=PurePosixPath(where).name or "footage",
        frames=with_digests(frames) if isinstance(frames, ImageFrames) else frames,
        found=tuple(notes.found),
        warnings=tuple(notes.warnings),
    )
