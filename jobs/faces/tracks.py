"""Faces that were found on single frames, linked to tracks: one face of one shot each."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jobs.faces.seen_faces import SeenFaces
from jobs.faces.windows import windows

# Boxes of one face on consecutive frames overlap by at least this part of their union: it has moved by less than two
# thirds of its side.
OVERLAP = 0.2

# Of a face that was away for longer the place is all that is known, so it must come back nearer to it.
OVERLAP_AFTER_ABSENCE = 0.3

# For so many frames a face is expected to move on as before. Afterwards it is expected where it was last seen.
MOVES_ON = 5

# A face seldom grows or shrinks faster: the ratio of the shorter to the longer of two heights.
SIZE_LIKENESS = 0.6

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Track:
    """One face over the frames of one shot.

    Attributes:
        number: from 1, over the whole footage: the more pixels a track covers over time, the lower; of equal ones the
            earlier.
        shot: place of its shot in the footage, from 0.
        rows: rows of `SeenFaces`, at most one for each frame, ascending.
        first: its first frame.
        last: its last frame.
        area: pixels of its boxes, summed over its frames.
    """

    number: int
    shot: int
    rows: NDArray[np.int64]
    first: int
    last: int
    area: float


def link_tracks(found: SeenFaces, cuts: Sequence[int]) -> tuple[Track, ...]:
    """Links faces that overlap from frame to frame within a shot.

    On every frame the faces are given to tracks in the order of their likeness: the overlap of the face's box and the
    box expected of the track (intersection over union), times the ratio of their heights. A track that was seen within
    the last `MOVES_ON` frames goes first and is expected to have moved on by its mean step over as many frames, so that
    two faces that cross stay apart. A track that was seen longer ago is expected at its last place, for as long as the
    shot lasts. A face that no track is like begins a track.

    Args:
        found: what was found on the whole footage, from frame 0.
        cuts: the frames at which a new shot begins, ascending, without 0.

    Returns:
        All tracks, by number.
    """
    edges = np.searchsorted(found.frame, [0, *cuts, found.stop]).tolist()
    linked = [
        (shot, np.array(track.rows, np.int64))
        for shot, (start, stop) in enumerate(pairwise(edges))
        for track in _link_shot(_faces(found, start, stop))
    ]
    sides = np.maximum(found.boxes[:, 2:] - found.boxes[:, :2], 0).astype(np.float64)
    areas = sides.prod(axis=1)
    tracks = [(float(areas[rows].sum()), shot, rows) for shot, rows in linked]
    tracks.sort(key=lambda track: (-track[0], track[2][0]))
    return tuple(
        Track(number, shot, rows, int(found.frame[rows[0]]), int(found.frame[rows[-1]]), area)
        for number, (area, shot, rows) in enumerate(tracks, 1)
    )


class _Face(NamedTuple):
    """A face on a frame."""

    row: int
    frame: int
    box: Box


def _faces(found: SeenFaces, start: int, stop: int) -> Iterator[_Face]:
    """The faces of some rows."""
    for part in windows(stop, start):
        rows = range(part.start, part.stop)
        for row, frame, (x0, y0, x1, y1) in zip(
            rows, found.frame[part].tolist(), found.boxes[part].tolist(), strict=True
        ):
            yield _Face(row, frame, (x0, y0, x1, y1))


class _Linked:
    """A track to which faces are linked."""

    __slots__ = ("last", "recent", "rows")

    def __init__(self, face: _Face) -> None:
        # Eight bytes for each: a shot may last for hours.
        self.rows = array("q")
        self.recent: deque[_Face] = deque(maxlen=MOVES_ON + 1)
        self.add(face)

    def add(self, face: _Face) -> None:
        """Goes on with a face."""
        self.rows.append(face.row)
        self.recent.append(face)
        self.last = face

    def moved_on(self, frame: int) -> Box:
        """Where the box is expected on a later frame."""
        last = self.last
        earlier = next(face for face in self.recent if last.frame - face.frame <= MOVES_ON)
        x0, y0, x1, y1 = last.box
        if earlier is last:
            return last.box
        ax0, ay0, ax1, ay1 = earlier.box
        share = (frame - last.frame) / (last.frame - earlier.frame) / 2
        right, down = (x0 + x1 - ax0 - ax1) * share, (y0 + y1 - ay0 - ay1) * share
        return x0 + right, y0 + down, x1 + right, y1 + down


def _link_shot(faces: Iterable[_Face]) -> list[_Linked]:
    """The tracks of one shot, in the order in which they begin."""
    tracks: list[_Linked] = []
    recent: list[_Linked] = []
    absent: list[_Linked] = []
    for frame, group in groupby(faces, key=attrgetter("frame")):
        absent += [track for track in recent if frame - track.last.frame > MOVES_ON]
        recent = [track for track in recent if frame - track.last.frame <= MOVES_ON]
        left = _extend(recent, list(group), [track.moved_on(frame) for track in recent], OVERLAP)
        if left and absent:
            left = _extend(absent, left, [track.last.box for track in absent], OVERLAP_AFTER_ABSENCE)
            recent += [track for track in absent if track.last.frame == frame]
            absent = [track for track in absent if track.last.frame != frame]
        begun = [_Linked(face) for face in left]
        recent += begun
        tracks += begun
    return tracks


def _extend(tracks: Sequence[_Linked], faces: Sequence[_Face], expected: Sequence[Box], least: float) -> list[_Face]:
    """Gives faces of one frame to tracks, the most alike first, of equal ones to the earliest; returns those left."""
    alike = [
        (-overlap * size, tracks[which].rows[0], face, which)
        for which, box in enumerate(expected)
        for face in faces
        if (overlap := box_overlap(box, face.box)) >= least and (size := size_likeness(box, face.box)) >= SIZE_LIKENESS
    ]
    extended: set[int] = set()
    given: set[int] = set()
    for _, _, face, which in sorted(alike):
        if which not in extended and face.row not in given:
            tracks[which].add(face)
            extended.add(which)
            given.add(face.row)
    return [face for face in faces if face.row not in given]


def box_overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 where either has no area."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    union = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)) - wide * high
    return wide * high / union


def size_likeness(one: Box, other: Box) -> float:
    """The ratio of the shorter to the longer of two boxes' heights, in [0, 1]."""
    low, high = sorted((one[3] - one[1], other[3] - other[1]))
    return max(low, 0.0) / high if high > 0 else 0.0
