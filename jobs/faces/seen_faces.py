"""Everything that was found in some footage, as far as faces are followed by it.

Of an hour this is some megabytes. The points and meshes are ten times as much, so they stay where they are and are read
again for the frames of which they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from actors.core.faces import MESH_POINTS, THUMBNAIL, FoundFaces
from actors.core.ranges import FrameRange

# Of the 468 points: the tip of the nose, and the edge of the face on either side of it.
NOSE, SIDES = 1, (234, 454)


class Shapes(NamedTuple):
    """Points and meshes of some faces.

    Attributes:
        points: ``(n, 6, 2)`` float32, the detector's key points.
        mesh: ``(n, 66, 2)`` float32, the mesh's points `MESH_POINTS`.
    """

    points: NDArray[np.float32]
    mesh: NDArray[np.float32]


ReadShapes: TypeAlias = Callable[[NDArray[np.int64]], Shapes]


@dataclass(frozen=True, slots=True)
class SeenFaces:
    """What was found on the frames of some footage from frame 0 on, one row for each face on each frame.

    Attributes:
        thumbnails: ``(frames, 9, 16)`` uint8; this and what follows as in `FoundFaces`.
        best: ``(frames,)`` float32.
        frame: ``(n,)`` int64.
        boxes: ``(n, 4)`` float32.
        scores: ``(n,)`` float32.
        presence: ``(n,)`` float32.
        extents: ``(n, 4)`` float32.
        frontal: ``(n,)`` float64, `frontal` of each mesh.
        shapes: reads the points and meshes of some rows, ascending.
    """

    thumbnails: NDArray[np.uint8]
    best: NDArray[np.float32]
    frame: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    presence: NDArray[np.float32]
    extents: NDArray[np.float32]
    frontal: NDArray[np.float64]
    shapes: ReadShapes

    @property
    def stop(self) -> int:
        """Behind the last frame."""
        return len(self.thumbnails)

    @classmethod
    def of(cls, parts: Iterable[FoundFaces], shapes: ReadShapes) -> SeenFaces:
        """Of what was found on ranges that follow each other from frame 0 on; see `Gathered`."""
        gathered = Gathered()
        for part in parts:
            gathered.add(part)
        return gathered.faces(shapes)

    def without(self, rows: NDArray[np.bool_]) -> SeenFaces:
        """All but some rows."""
        if not rows.any():
            return self
        left = np.flatnonzero(~rows)
        names = ("frame", "boxes", "scores", "presence", "extents", "frontal")
        columns = {name: getattr(self, name)[left] for name in names}
        return replace(self, **columns, shapes=lambda wanted: self.shapes(left[wanted]))


_COLUMNS: dict[str, tuple[DTypeLike, tuple[int, ...]]] = {
    "thumbnails": (np.uint8, THUMBNAIL),
    "best": (np.float32, ()),
    "frame": (np.int64, ()),
    "boxes": (np.float32, (4,)),
    "scores": (np.float32, ()),
    "presence": (np.float32, ()),
    "extents": (np.float32, (4,)),
    "frontal": (np.float64, ()),
}


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found on one range after the other, ascending.

    Attributes:
        spans: the ranges.
        rows: faces on each.
    """

    spans: list[FrameRange] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    # These grow in place, where joining arrays would hold all of them twice.
    _columns: dict[str, bytearray] = field(default_factory=lambda: {name: bytearray() for name in _COLUMNS})

    def add(self, found: FoundFaces) -> None:
        """Takes what is needed of a range."""
        self.spans.append(FrameRange(found.first, found.stop))
        self.rows.append(len(found.frame))
        for name, column in self._columns.items():
            column.extend((frontal(found.mesh) if name == "frontal" else getattr(found, name)).tobytes())

    def faces(self, shapes: ReadShapes) -> SeenFaces:
        """All of it.

        Raises:
            ValueError: a range does not begin where the one before it ends, or the first not at frame 0.
        """
        if [span.start for span in self.spans] != [0, *(span.stop for span in self.spans)][:-1]:
            raise ValueError("the ranges do not follow each other")
        columns = {
            name: np.frombuffer(self._columns[name], dtype).reshape(-1, *shape)
            for name, (dtype, shape) in _COLUMNS.items()
        }
        return SeenFaces(**columns, shapes=shapes)


def frontal(mesh: NDArray[np.float32]) -> NDArray[np.float64]:
    """The ratio of the nose's distances to the two edges of the face: 1 from the front, and near 0 from the side.

    Args:
        mesh: ``(n, 66, 2)``.

    Returns:
        ``(n,)`` in [0, 1].
    """
    nose = mesh[:, MESH_POINTS.index(NOSE)].astype(np.float64)
    away = [np.linalg.norm(mesh[:, MESH_POINTS.index(side)] - nose, axis=1) for side in SIDES]
    far = np.maximum(*away)
    ratio: NDArray[np.float64] = np.divide(np.minimum(*away), far, out=np.zeros_like(far), where=far > 0)
    return ratio
