"""The frames on which faces come, go, or change their size."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jobs.faces.dubbing import DubbedFace

# A face changes its size where its height differs by this factor from what it was when it came or last changed.
FACTOR = 1.25


class Change(StrEnum):
    """What happens, in the order in which it is told of one frame."""

    GOES = "goes"
    COMES = "comes"
    GROWS = "grows"
    SHRINKS = "shrinks"


@dataclass(frozen=True, slots=True)
class FaceChange:
    """Something that happens to a face.

    Attributes:
        frame: the first frame of the new state.
        change: what it is.
        face: the face's number.
        dubbed: whether the face is one that is dubbed.
        heights: of a change in size, the heights of its mesh before and after in pixels.
    """

    frame: int
    change: Change
    face: int
    dubbed: bool
    heights: tuple[float, float] | None = None


def face_changes(dubbed: DubbedFace) -> tuple[FaceChange, ...]:
    """All changes in the order of frames.

    Faces that are dubbed come and go as they do on the path, where short gaps are interpolated, and only they have
    their size looked at. Of all others the first and the last frame count.
    """
    frames = len(dubbed.path)
    found: list[FaceChange] = []
    spans = [(int(dubbed.path.tracks[first]), first, stop, True) for first, stop in dubbed.path.stretches]
    spans += [
        (track.number, track.first, track.last + 1, False)
        for track in dubbed.tracks
        if track.number not in dubbed.numbers
    ]
    for face, first, stop, chosen in spans:
        found.append(FaceChange(first, Change.COMES, face, chosen))
        if chosen:
            found += _sizes(dubbed, face, first, stop)
        if stop < frames:
            found.append(FaceChange(stop, Change.GOES, face, chosen))
    order = list(Change)
    return tuple(sorted(found, key=lambda each: (each.frame, order.index(each.change), each.face)))


def _sizes(dubbed: DubbedFace, face: int, first: int, stop: int) -> list[FaceChange]:
    extents = dubbed.path.extents[first:stop]
    heights = (extents[:, 3] - extents[:, 1]).tolist()
    found = []
    before = heights[0]
    for frame, height in enumerate(heights, first):
        if height > before * FACTOR or height * FACTOR < before:
            change = Change.GROWS if height > before else Change.SHRINKS
            found.append(FaceChange(frame, change, face, dubbed=True, heights=(before, height)))
            before = height
    return found
