"""Faces that were found on single frames, linked to tracks: one face of one shot each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import FoundFaces

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
        rows: rows of `FoundFaces`, at most one for each frame, ascending.
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


def link_tracks(found: FoundFaces, cuts: Sequence[int]) -> tuple[Track, ...]:
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
    frames, boxes = found.frame.tolist(), [(b[0], b[1], b[2], b[3]) for b in found.boxes.tolist()]
    edges = np.searchsorted(found.frame, [0, *cuts, found.stop]).tolist()
    linked = [
        (shot, rows)
        for shot, (start, stop) in enumerate(pairwise(edges))
        for rows in _link_shot(range(start, stop), frames, boxes)
    ]
    sides = np.maximum(found.boxes[:, 2:] - found.boxes[:, :2], 0).astype(np.float64)
    areas = sides.prod(axis=1)
    tracks = [(float(areas[rows].sum()), shot, rows) for shot, rows in linked]
    tracks.sort(key=lambda track: (-track[0], track[2][0]))
    return tuple(
        Track(number, shot, np.array(rows, np.int64), frames[rows[0]], frames[rows[-1]], area)
        for number, (area, shot, rows) in enumerate(tracks, 1)
    )


def _link_shot(rows: Iterable[int], frames: Sequence[int], boxes: Sequence[Box]) -> list[list[int]]:
    """The rows of every track of one shot, in the order in which the tracks begin."""
    tracks: list[list[int]] = []
    recent: list[list[int]] = []
    absent: list[list[int]] = []
    for frame, group in groupby(rows, key=lambda row: frames[row]):
        absent += [track for track in recent if frame - frames[track[-1]] > MOVES_ON]
        recent = [track for track in recent if frame - frames[track[-1]] <= MOVES_ON]
        moved = [_moved_on(track, frame, frames, boxes) for track in recent]
        left = _extend(recent, list(group), moved, boxes, OVERLAP)
        if left and absent:
            left = _extend(absent, left, [boxes[track[-1]] for track in absent], boxes, OVERLAP_AFTER_ABSENCE)
            recent += [track for track in absent if frames[track[-1]] == frame]
            absent = [track for track in absent if frames[track[-1]] != frame]
        begun = [[row] for row in left]
        recent += begun
        tracks += begun
    return tracks


def _extend(
    tracks: Sequence[list[int]], rows: Sequence[int], expected: Sequence[Box], boxes: Sequence[Box], least: float
) -> list[int]:
    """Gives rows of one frame to tracks, the most alike first, of equal ones to the earliest; returns those left."""
    alike = [
        (-overlap * size, tracks[which][0], row, which)
        for which, box in enumerate(expected)
        for row in rows
        if (overlap := box_overlap(box, boxes[row])) >= least
        and (size := size_likeness(box, boxes[row])) >= SIZE_LIKENESS
    ]
    extended: set[int] = set()
    given: set[int] = set()
    for _, _, row, which in sorted(alike):
        if which not in extended and row not in given:
            tracks[which].append(row)
            extended.add(which)
            given.add(row)
    return [row for row in rows if row not in given]


def _moved_on(track: Sequence[int], frame: int, frames: Sequence[int], boxes: Sequence[Box]) -> Box:
    """Where a track's box is expected on a later frame."""
    last = track[-1]
    earlier = next(row for row in track[-MOVES_ON - 1 :] if frames[last] - frames[row] <= MOVES_ON)
    x0, y0, x1, y1 = boxes[last]
    if earlier == last:
        return boxes[last]
    ax0, ay0, ax1, ay1 = boxes[earlier]
    share = (frame - frames[last]) / (frames[last] - frames[earlier]) / 2
    right, down = (x0 + x1 - ax0 - ax1) * share, (y0 + y1 - ay0 - ay1) * share
    return x0 + right, y0 + down, x1 + right, y1 + down


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
