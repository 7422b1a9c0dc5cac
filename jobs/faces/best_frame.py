"""The frame that shows a face best, for its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import MESH_POINTS, FoundFaces

# Of the 468 points: the tip of the nose, and the edge of the face on either side of it.
NOSE, SIDES = 1, (234, 454)


def best_row(found: FoundFaces, rows: NDArray[np.int64], size: tuple[int, int]) -> int:
    """The row of a track on which the face is surest, whole, frontal and large; of equal ones the first.

    The product of four figures, each from 0 to 1 or in pixels: the detector's score times the mesh's presence; the part
    of the mesh's extent that lies inside of the frame; the ratio of the nose's distances to the two edges of the face,
    which is 1 from the front and near 0 from the side; and the square root of the extent's area.

    Args:
        found: what was found on the whole footage.
        rows: of the track, at least one.
        size: width and height of the frames in pixels.
    """
    x0, y0, x1, y1 = found.extents[rows].astype(np.float64).T
    width, height = size
    whole = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
    across, down = np.clip((x0, x1), 0, width), np.clip((y0, y1), 0, height)
    visible = np.maximum(across[1] - across[0], 0) * np.maximum(down[1] - down[0], 0)
    inside = np.divide(visible, whole, out=np.zeros_like(whole), where=whole > 0)
    sure = found.scores[rows].astype(np.float64) * found.presence[rows]
    quality = sure * inside * _frontal(found.mesh[rows]) * np.sqrt(whole)
    return int(rows[quality.argmax()])


def _frontal(mesh: NDArray[np.float32]) -> NDArray[np.float64]:
    """The ratio of the nose's distances to the two edges of the face, ``(n,)`` in [0, 1], of meshes ``(n, 66, 2)``."""
    nose = mesh[:, MESH_POINTS.index(NOSE)].astype(np.float64)
    away = [np.linalg.norm(mesh[:, MESH_POINTS.index(side)] - nose, axis=1) for side in SIDES]
    far = np.maximum(*away)
    ratio: NDArray[np.float64] = np.divide(np.minimum(*away), far, out=np.zeros_like(far), where=far > 0)
    return ratio
