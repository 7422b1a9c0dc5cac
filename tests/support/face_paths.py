"""The dubbed face on every frame, made of boxes alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import KEY_POINTS, MESH_POINTS, FaceOrigin
from jobs.faces.gaps import FacePath
from jobs.faces.seen_faces import Shapes

Box = tuple[float, float, float, float]


def face_path_of(
    extents: Sequence[Box | None],
    tracks: Sequence[int] | None = None,
    boxes: Sequence[Box | None] | None = None,
    mesh: NDArray[np.float64] | None = None,
) -> FacePath:
    """Extents of the mesh by frame, None where there is no face; by default of one track, the detector's box alike."""
    frames = len(extents)
    here = np.array([extent is not None for extent in extents], bool)
    nothing = (np.nan,) * 4
    around = np.array([extent or nothing for extent in extents], np.float32).reshape(frames, 4)
    points = np.full((frames, KEY_POINTS, 2), np.nan, np.float32)
    meshes = np.full((frames, len(MESH_POINTS), 2), np.nan, np.float32) if mesh is None else mesh.astype(np.float32)
    return FacePath(
        origins=tuple(FaceOrigin.DETECTED if there else FaceOrigin.NONE for there in here),
        tracks=np.where(here, np.ones(frames, np.int64) if tracks is None else np.array(tracks, np.int64), 0),
        scores=np.where(here, 0.9, np.nan).astype(np.float32),
        presence=np.where(here, 1.0, np.nan).astype(np.float32),
        boxes=around if boxes is None else np.array([box or nothing for box in boxes], np.float32).reshape(frames, 4),
        extents=around,
        shapes=lambda part: Shapes(points[part], meshes[part]),
    )
