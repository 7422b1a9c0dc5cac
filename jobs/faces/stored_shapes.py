"""Points and meshes of faces, read from a prepared folder when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from actors.core.errors import StoppedError
from actors.core.faces import KEY_POINTS, MESH_POINTS, FoundFaces
from actors.core.ranges import FrameRange
from jobs.faces.prepared_folder import PreparedFolder
from jobs.faces.seen_faces import Gathered, Shapes


@dataclass(frozen=True, slots=True)
class StoredShapes:
    """Reads the shapes of rows, one file at a time.

    Attributes:
        folder: that holds them, for messages.
        read: reads a range of it, the last one from memory.
        spans: the ranges of its files, ascending.
        edges: ``(spans + 1,)`` int64, the row that each range begins with, and the number of all rows.
    """

    folder: PreparedFolder
    read: Callable[[FrameRange], FoundFaces | None]
    spans: tuple[FrameRange, ...]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, folder: PreparedFolder, gathered: Gathered) -> StoredShapes:
        """The shapes of what was gathered from a folder."""
        return cls(folder, lru_cache(maxsize=1)(folder.read), tuple(gathered.spans), np.cumsum([0, *gathered.rows]))

    def __call__(self, rows: NDArray[np.int64]) -> Shapes:
        """The points and meshes of some rows.

        Raises:
            StoppedError: a file is no longer what it was.
        """
        points = np.empty((len(rows), KEY_POINTS, 2), np.float32)
        mesh = np.empty((len(rows), len(MESH_POINTS), 2), np.float32)
        places = np.searchsorted(self.edges, rows, side="right") - 1
        for place in np.unique(places).tolist():
            here = places == place
            first, stop = self.edges[place : place + 2]
            found = self.read(self.spans[place])
            if found is None or len(found.frame) != stop - first:
                problem = f"what was found on frames {self.spans[place]} has changed in {self.folder}"
                raise StoppedError(problem, "run the same command again")
            points[here], mesh[here] = found.points[rows[here] - first], found.mesh[rows[here] - first]
        return Shapes(points, mesh)
