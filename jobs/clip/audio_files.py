"""The audio beside a clip's frames: its features and its recording."""

from __future__ import annotations

from actors.core.kind import ModelKind
from actors.files import storage
from jobs.clip.files import is_file
from jobs.clip.notes import Notes

RECORDING = "aud.wav"


def find_features(folder: str, kind: ModelKind, notes: Notes) -> str | None:
    """Path of the folder's own audio features for a kind of network, if it has them."""
    if kind.features_file is None:
        return None
    return _found(folder, kind.features_file, "the clip's own audio features", notes)


def find_recording(folder: str, notes: Notes) -> str | None:
    """Path of the folder's own recording, if it has one."""
    return _found(folder, RECORDING, "the clip's own recording", notes)


def _found(folder: str, name: str, what: str, notes: Notes) -> str | None:
    path = storage.join(folder, name)
    if not is_file(path):
        return None
    notes.recognised(name, what)
    return path
