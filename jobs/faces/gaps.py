"""The dubbed face on every frame: as it was found, interpolated over a short gap, or none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import KEY_POINTS, MESH_POINTS, FaceOrigin, FoundFaces
from jobs.faces.cuts import unlike

# Seconds without the face that are interpolated where the user says nothing.
SHORT_GAP = 0.2

# Below this the mesh says that it does not see a whole face: the mouth is covered.
COVERED = 0.5

# Times are sums of fractions; a gap of exactly the limit is within it.
TIME_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class FacePath:
    """The dubbed face on every frame of the footage, in pixels of the upright frame; NaN on frames without it.

    Attributes:
        origins: ``(frames,)``, detected, interpolated or none.
        tracks: ``(frames,)`` int64, the number of the face's track, 0 where there is none.
        scores: ``(frames,)`` float32 in [0, 1], how sure the detector is.
        presence: ``(frames,)`` float32 in [0, 1], how sure the mesh is that it sees a whole face.
        boxes: ``(frames, 4)`` float32, the detector's box: left, top, right, bottom.
        points: ``(frames, 6, 2)`` float32, the detector's key points.
        extents: ``(frames, 4)`` float32, the box around the mesh.
        mesh: ``(frames, 66, 2)`` float32, the mesh's points `MESH_POINTS`.
    """

    origins: tuple[FaceOrigin, ...]
    tracks: NDArray[np.int64]
    scores: NDArray[np.float32]
    presence: NDArray[np.float32]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    extents: NDArray[np.float32]
    mesh: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """First frame and frame behind the last of every unbroken run of frames with one and the same track."""
        return unbroken(self.tracks)


def unbroken(numbers: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """First place and place behind the last of every run of one and the same number that is not 0."""
    edges = np.flatnonzero(np.diff(numbers, prepend=0, append=0)).tolist()
    return tuple((first, stop) for first, stop in pairwise(edges) if numbers[first])


def face_path(
    found: FoundFaces,
    rows: NDArray[np.int64],
    tracks: NDArray[np.int64],
    times: NDArray[np.float64],
    gap: float = SHORT_GAP,
    *,
    covered_passthrough: bool = False,
) -> FacePath:
    """Fills short gaps of the dubbed face.

    Where a face is missing for at most ``gap`` seconds, from the first frame without it to the one that it is back on,
    and is of the same track before and after, every value is interpolated linearly in time. A track ends with its shot,
    so nothing is interpolated over a cut. A frame of the gap that shows another picture than both its ends, as a black
    frame does, has no face.

    Args:
        found: what was found on the whole footage, from frame 0.
        rows: ``(frames,)``, the row of the dubbed face, -1 where there is none.
        tracks: ``(frames,)``, the number of its track, or 0.
        times: ``(frames,)``, when every frame is shown, in seconds, ascending.
        gap: seconds, at least 0.
        covered_passthrough: whether a face whose `presence` is below `COVERED` counts as none.
    """
    seen = rows >= 0
    if covered_passthrough:
        seen[seen] = found.presence[rows[seen]] >= COVERED
    there = np.flatnonzero(seen)
    frames = len(rows)
    origins = [FaceOrigin.DETECTED if here else FaceOrigin.NONE for here in seen]
    numbers = np.where(seen, tracks, 0)
    # Of every frame the faces that it is made of, and the share of the later one.
    early = np.where(seen, rows, 0)
    late = early.copy()
    share = np.zeros(frames, np.float64)
    for start, stop in pairwise(there.tolist()):
        if stop - start == 1 or tracks[start] != tracks[stop] or times[stop] - times[start + 1] > gap + TIME_TOLERANCE:
            continue
        span = times[stop] - times[start]
        strange = [unlike(found.thumbnails[start + 1 : stop], found.thumbnails[end]) for end in (start, stop)]
        for frame in (start + 1 + np.flatnonzero(~(strange[0] & strange[1]))).tolist():
            origins[frame] = FaceOrigin.INTERPOLATED
            numbers[frame] = tracks[start]
            early[frame], late[frame] = rows[start], rows[stop]
            share[frame] = (times[frame] - times[start]) / span if span > 0 else 0.5
    known = numbers > 0

    def values(column: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        made = np.full((frames, *shape), np.nan, np.float32)
        part = share[known].reshape(-1, *[1] * len(shape))
        made[known] = column[early[known]] * (1 - part) + column[late[known]] * part
        return made

    return FacePath(
        tuple(origins),
        numbers,
        values(found.scores, ()),
        values(found.presence, ()),
        values(found.boxes, (4,)),
        values(found.points, (KEY_POINTS, 2)),
        values(found.extents, (4,)),
        values(found.mesh, (len(MESH_POINTS), 2)),
    )
