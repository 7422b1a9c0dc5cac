"""One face out of the many overlapping boxes that a detector gives for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.faces.detections import Detections, Floats

# Boxes of which intersection over union is above this are of one face.
SAME_FACE = 0.3


def overlaps(box: Floats, boxes: Floats) -> NDArray[np.float64]:
    """Intersection over union of a box ``(4,)`` with each of ``(n, 4)``; 0 where both have no area."""
    one, many = box.astype(np.float64), boxes.astype(np.float64)
    sides = np.maximum(np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2]), 0.0)
    shared = sides[:, 0] * sides[:, 1]
    areas = (many[:, 2] - many[:, 0]) * (many[:, 3] - many[:, 1])
    union = (one[2] - one[0]) * (one[3] - one[1]) + areas - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def mean_of_overlapping(found: Detections) -> Detections:
    """One face for each group of overlapping boxes: their mean, weighted by their scores.

    The group is the best box that is left and everything that overlaps it; its score is the best. The mean trembles
    less than the best box alone: the suppression of the BlazeFace paper (Bazarevsky et al. 2019, section 4).
    """
    left = np.argsort(-found.scores, kind="stable")
    kept: list[np.int64] = []
    boxes, points = found.boxes.copy(), found.points.copy()
    while len(left):
        best = left[0]
        same = overlaps(found.boxes[best], found.boxes[left]) > SAME_FACE
        # A box without area overlaps nothing, not even itself.
        same[0] = True
        group = left[same]
        weights = found.scores[group].astype(np.float64)
        weights /= weights.sum()
        boxes[best] = np.tensordot(weights, found.boxes[group], axes=1)
        points[best] = np.tensordot(weights, found.points[group], axes=1)
        kept.append(best)
        left = left[~same]
    return Detections(boxes, found.scores, points, found.best).chosen(np.array(kept, np.int64))


def best_of_overlapping(found: Detections) -> Detections:
    """The best box of each group of overlapping ones, as it is, in the order of scores."""
    left = np.argsort(-found.scores, kind="stable")
    kept: list[np.int64] = []
    while len(left):
        kept.append(left[0])
        left = left[1:][overlaps(found.boxes[left[0]], found.boxes[left[1:]]) <= SAME_FACE]
    return found.chosen(np.array(kept, np.int64))
