"""Everything that was found in some footage, read from a prepared folder; whatever reads it needs no Ray."""

from __future__ import annotations

from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from jobs.faces.prepared_folder import PreparedFolder, unsearched
from jobs.faces.seen_faces import Gathered, SeenFaces
from jobs.faces.smaller_faces import seen_closely_alone
from jobs.faces.stored_shapes import StoredShapes


def read_faces(folder: PreparedFolder) -> SeenFaces:
    """Everything that was found in the footage of a prepared folder, but for faces that a single look shows.

    Raises:
        InputError: it holds none, or not all frames have been searched.
    """
    return believed(folder, all_found(folder))


def believed(folder: PreparedFolder, seen: SeenFaces) -> SeenFaces:
    """What was found on all frames of a folder's footage, but for faces that a single look shows."""
    return seen if looked_alike(folder) else seen.without(seen_closely_alone(seen))


def looked_alike(folder: PreparedFolder) -> bool:
    """Whether all frames were looked at equally closely, as a detector of the user's does."""
    record = folder.searched()
    return record.thorough or record.own_detector


def all_found(folder: PreparedFolder) -> SeenFaces:
    """The same with those faces; raises as `read_faces`."""
    gathered, _ = gather(folder)
    frames = folder.searched().footage.frames
    if missing := unsearched(gathered.spans, frames):
        problem = f"{frames - sum(map(len, missing))} of {frames} frames have been searched for faces"
        raise InputError(str(folder), problem, "run the command that made it again: it goes on from here")
    return gathered.faces(StoredShapes.of(folder, gathered))


def gather(folder: PreparedFolder) -> tuple[Gathered, list[FrameRange]]:
    """What was found so far, and the ranges whose files are of no use."""
    gathered, useless = Gathered(), []
    for span, found in folder.parts():
        if found is None:
            useless.append(span)
        else:
            gathered.add(found)
    return gathered, useless
