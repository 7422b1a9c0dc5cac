"""Faces that only a closer look finds: whether there are so many that every frame needs one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.faces.finder import CLEAR, EVERY
from jobs.faces.seen_faces import SeenFaces
from jobs.faces.tracks import box_overlap

# So many looks, and this part of all, must show a face that the frames beside them do not: somebody is there for a
# while, and not a pattern on a single frame.
LEAST = 2
SHARE = 0.04

# A face that overlaps another by this part of their union is the same.
SAME = 0.3


def seen_closely_alone(found: SeenFaces) -> NDArray[np.bool_]:
    """Which rows are of faces that a closer look found, and that are not there on the frames beside it.

    Only a frame with a clear face gets a closer look besides.

    Args:
        found: on the whole footage, from frame 0, with closer looks at every `EVERY`-th frame.

    Returns:
        ``(n,)``.
    """
    alone = np.zeros(len(found.frame), np.bool_)
    if found.stop < 2:
        return alone
    edges = np.searchsorted(found.frame, np.arange(found.stop + 1))
    for frame in range(0, found.stop, EVERY):
        beside = [i for i in (frame - 1, frame + 1) if 0 <= i < found.stop]
        others = [box for i in beside for box in found.boxes[edges[i] : edges[i + 1]].tolist()]
        here = range(edges[frame], edges[frame + 1])
        clear = {row for row in here if found.scores[row] >= CLEAR}
        for row, box in zip(here, found.boxes[here.start : here.stop].tolist(), strict=True):
            alone[row] = bool(clear - {row}) and all(box_overlap(box, other) < SAME for other in others)
    return alone


def needs_closer_looks(found: SeenFaces) -> bool:
    """Whether all frames must be searched thoroughly; see `seen_closely_alone`."""
    looks = -(-found.stop // EVERY)
    frames = len(np.unique(found.frame[seen_closely_alone(found)]))
    return frames >= max(LEAST, SHARE * looks)
