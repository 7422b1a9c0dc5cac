"""The dubbed face on every frame: as it was found, interpolated over a short gap, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import KEY_POINTS, MESH_POINTS, FaceOrigin
from jobs.faces.cuts import unlike
from jobs.faces.seen_faces import ReadShapes, SeenFaces, Shapes
from jobs.faces.windows import windows

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
        extents: ``(frames, 4)`` float32, the box around the mesh.
        shapes: makes the points and meshes of some frames, a slice.
    """

    origins: tuple[FaceOrigin, ...]
    tracks: NDArray[np.int64]
    scores: NDArray[np.float32]
    presence: NDArray[np.float32]
    boxes: NDArray[np.float32]
    extents: NDArray[np.float32]
    shapes: Callable[[slice], Shapes]

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
    found: SeenFaces,
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
    blend = _Blend(numbers > 0, early, late, share)
    return FacePath(
        tuple(origins),
        numbers,
        blend.column(found.scores),
        blend.column(found.presence),
        blend.column(found.boxes),
        blend.column(found.extents),
        partial(blend.shapes, found.shapes),
    )


@dataclass(frozen=True, slots=True)
class _Blend:
    """Of which faces that of every frame is made.

    Attributes:
        known: ``(frames,)`` bool, whether there is one.
        early: ``(frames,)`` int64, the row of the one before, or of the face itself.
        late: ``(frames,)`` int64, the row of the one behind, or of the face itself.
        share: ``(frames,)`` float64 in [0, 1], of the late one.
    """

    known: NDArray[np.bool_]
    early: NDArray[np.int64]
    late: NDArray[np.int64]
    share: NDArray[np.float64]

    def column(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, ...)``, the values of all rows, to ``(frames, ...)``, those of every frame; NaN where there is none."""
        made = np.full((len(self.known), *values.shape[1:]), np.nan, np.float32)
        for part in windows(len(made)):
            self._fill(made[part], part, values, self.early[part], self.late[part])
        return made

    def shapes(self, read: ReadShapes, frames: slice) -> Shapes:
        """Points and meshes of some frames."""
        count = len(self.known[frames])
        start = range(len(self.known))[frames].start
        points = np.full((count, KEY_POINTS, 2), np.nan, np.float32)
        mesh = np.full((count, len(MESH_POINTS), 2), np.nan, np.float32)
        for part in windows(start + count, start):
            known = self.known[part]
            rows = np.unique([self.early[part][known], self.late[part][known]])
            found = read(rows)
            early, late = (np.searchsorted(rows, each[part]) for each in (self.early, self.late))
            here = slice(part.start - start, part.stop - start)
            for made, values in ((points, found.points), (mesh, found.mesh)):
                self._fill(made[here], part, values, early, late)
        return Shapes(points, mesh)

    def _fill(
        self,
        made: NDArray[np.float32],
        part: slice,
        values: NDArray[np.float32],
        early: NDArray[np.int64],
        late: NDArray[np.int64],
    ) -> None:
        known = self.known[part]
        share = self.share[part][known].reshape(-1, *[1] * (values.ndim - 1))
        made[known] = values[early[known]] * (1 - share) + values[late[known]] * share
