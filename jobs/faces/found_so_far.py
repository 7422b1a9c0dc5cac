"""Everything that was found in some footage, read from a prepared folder; whatever reads it needs no Ray."""

from __future__ import annotations

from actors.core.errors import InputError
from actors.core.faces import FoundFaces
from jobs.faces.detections_file import joined
from jobs.faces.prepared_folder import PreparedFolder, unsearched
from jobs.faces.smaller_faces import seen_closely_alone, without


def read_faces(folder: PreparedFolder) -> FoundFaces:
    """Everything that was found in the footage of a prepared folder, but for faces that a single look shows.

    Raises:
        InputError: it holds none, or not all frames have been searched.
    """
    found = all_found(folder)
    return found if looked_alike(folder) else without(found, seen_closely_alone(found))


def looked_alike(folder: PreparedFolder) -> bool:
    """Whether all frames were looked at equally closely, as a detector of the user's does."""
    record = folder.searched()
    return record.thorough or record.own_detector


def all_found(folder: PreparedFolder) -> FoundFaces:
    """The same with those faces; raises as `read_faces`."""
    record = folder.searched()
    parts, _ = folder.parts()
    frames = record.footage.frames
    if missing := unsearched(parts, frames):
        problem = f"{frames - len(missing)} of {frames} frames have been searched for faces"
        raise InputError(str(folder), problem, "run the command that made it again: it goes on from here")
    return joined(parts)
