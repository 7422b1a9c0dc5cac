"""The frame that shows a face best, for its picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.faces.seen_faces import SeenFaces
from jobs.faces.windows import windows


def best_row(found: SeenFaces, rows: NDArray[np.int64], size: tuple[int, int]) -> int:
    """The row of a track on which the face is surest, whole, frontal and large; of equal ones the first.

    The product of four figures, each from 0 to 1 or in pixels: the detector's score times the mesh's presence; the part
    of the mesh's extent that lies inside of the frame; how frontal it is; and the square root of the extent's area.

    Args:
        found: what was found on the whole footage.
        rows: of the track, at least one.
        size: width and height of the frames in pixels.
    """
    best, row = -1.0, -1
    for part in windows(len(rows)):
        quality = _quality(found, rows[part], size)
        place = int(quality.argmax())
        if quality[place] > best:
            best, row = float(quality[place]), int(rows[part][place])
    return row


def _quality(found: SeenFaces, rows: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.float64]:
    x0, y0, x1, y1 = found.extents[rows].astype(np.float64).T
    width, height = size
    whole = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
    across, down = np.clip((x0, x1), 0, width), np.clip((y0, y1), 0, height)
    visible = np.maximum(across[1] - across[0], 0) * np.maximum(down[1] - down[0], 0)
    inside = np.divide(visible, whole, out=np.zeros_like(whole), where=whole > 0)
    sure = found.scores[rows].astype(np.float64) * found.presence[rows]
    quality: NDArray[np.float64] = sure * inside * found.frontal[rows] * np.sqrt(whole)
    return quality
