"""Faces on frames: which looks are taken at a frame, what counts as a face, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.faces import MESH_POINTS, THUMBNAIL, FoundFaces
from actors.core.pixels import Image
from actors.faces.blazeface import BlazeFace
from actors.faces.detections import Detections, Floats, joined
from actors.faces.mesh import POINTS, FaceMesh
from actors.faces.suppression import SAME_FACE, best_of_overlapping, overlaps
from actors.faces.views import letterboxed, shrunk, squares
from actors.faces.weights import FaceWeights
from actors.faces.yunet import YuNet

# Sides of the detectors' pictures. The near one finds faces from an eighth of its picture on, the far one from a
# twentieth, for five times the time.
NEAR, FAR = 128, 256

# Where one face is clear, nobody looks closer for smaller ones beside it, but on frames of these numbers.
EVERY = 32

# Faces of one frame that are kept, best first.
MOST = 8

# The scores that are enough where the mesh sees a face too. Patterns reach them, but the mesh sees no face in those.
NEAR_LEAST, FAR_LEAST, OWN_LEAST = 0.5, 0.6, 0.5
PRESENT = 0.5
# The score that is enough where the mesh sees none.
SURE = 0.85
# A lower score of the near detector is often that of a face too small for it.
CLEAR = 0.75


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces of one frame, best first, in its pixels.

    Attributes:
        best: the best score of anything on the frame.
        detected: what the detector says.
        presence: ``(n,)`` float32 in [0, 1].
        mesh: ``(n, 468, 2)`` float32.
        thumbnail: ``(9, 16)`` uint8, the frame's brightness.
    """

    best: float
    detected: Detections
    presence: Floats
    mesh: Floats
    thumbnail: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.detected)


class FaceFinder:
    """The networks, ready to look at one frame after the other; nothing is kept from frame to frame."""

    def __init__(self, weights: FaceWeights) -> None:
        """Reads the networks.

        Raises:
            InputError: this OpenCV does not run them.
        """
        # Each process has a core: more threads would only wait for each other.
        cv2.setNumThreads(1)
        self._mesh = FaceMesh(weights.mesh)
        self._own = YuNet(weights.detector) if weights.detector else None
        self._near, self._far = BlazeFace(weights.near, NEAR), BlazeFace(weights.far, FAR)

    def find(self, frame: Image, *, thorough: bool = False) -> FrameFaces:
        """The faces on a frame.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            thorough: whether to look closer for smaller faces also where one is clear.

        Raises:
            InputError: the user's own detector fails.
        """
        small = shrunk(frame, NEAR)
        grey = cv2.resize(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)
        thumbnail = np.asarray(grey, np.uint8)
        if self._own is None:
            return self._look(frame, small, thumbnail, thorough=thorough)
        found = self._own.find(frame, OWN_LEAST)
        return self._believed(frame, found, thumbnail)

    def _look(self, frame: Image, small: Image, thumbnail: NDArray[np.uint8], *, thorough: bool) -> FrameFaces:
        """Looks closer until there is a face: at the whole frame, at more of its pixels, at squares of it.

        A ``thorough`` look adds the faces that the second look alone finds.
        """
        height, width = frame.shape[:2]
        view = letterboxed(small, (width, height))
        found = self._near.find(view.picture, NEAR_LEAST).moved(view.offset, view.scale)
        faces = self._believed(frame, found, thumbnail)
        if np.any(faces.detected.scores >= CLEAR):
            if not thorough:
                return faces
            more = self._closer(frame, 0, 0, max(width, height))
            # The detectors' boxes of one face differ by a twentieth of it: it would jump on each such frame.
            apart = [i for i, box in enumerate(more.boxes) if (overlaps(box, found.boxes) <= SAME_FACE).all()]
            if not apart:
                return faces
            both = joined([found, more.chosen(np.array(apart, np.int64))])
            return self._believed(frame, both.chosen(np.argsort(-both.scores, kind="stable")), thumbnail)
        best = found.best
        for parts in ([(0, 0, max(width, height))], squares(width, height)):
            found = best_of_overlapping(joined([self._closer(frame, *part) for part in parts]))
            best = max(best, found.best)
            closer = self._believed(frame, found, thumbnail)
            faces = replace(closer if len(closer) else faces, best=best)
            if len(faces):
                break
        return faces

    def _closer(self, frame: Image, x: int, y: int, side: int) -> Detections:
        """What the far detector finds in a square of the frame."""
        part = frame[y : y + side, x : x + side]
        view = letterboxed(shrunk(part, FAR), (part.shape[1], part.shape[0]), (x, y))
        return self._far.find(view.picture, FAR_LEAST).moved(view.offset, view.scale)

    def _believed(self, frame: Image, found: Detections, thumbnail: NDArray[np.uint8]) -> FrameFaces:
        """The faces among the detections, which are best first."""
        height, width = frame.shape[:2]
        places = np.flatnonzero(_mostly_inside(found.boxes, width, height))[:MOST]
        fits = [(i, *self._mesh.fit(frame, found.boxes[i], found.points[i, :2])) for i in places]
        faces = [fit for fit in fits if found.scores[fit[0]] >= SURE or fit[2] >= PRESENT]
        return FrameFaces(
            found.best,
            found.chosen(np.array([i for i, _, _ in faces], np.int64)),
            np.array([presence for _, _, presence in faces], np.float32),
            np.array([points for _, points, _ in faces], np.float32).reshape(-1, POINTS, 2),
            thumbnail,
        )


def _mostly_inside(boxes: Floats, width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes ``(n, 4)`` have area, at least half of it within the frame."""
    sides = boxes[:, 2:] - boxes[:, :2]
    frame = np.array([width, height], np.float32)
    inside = np.clip(np.minimum(boxes[:, 2:], frame) - np.maximum(boxes[:, :2], 0), 0, None)
    area = np.prod(sides, axis=1)
    return np.asarray((sides > 0).all(axis=1) & (np.prod(inside, axis=1) >= area / 2))


def find_faces(finder: FaceFinder, frames: Iterable[Image], first: int, *, thorough: bool = False) -> FoundFaces:
    """Looks at frames ``(H, W, 3)`` uint8 BGR, one at a time.

    Args:
        finder: the networks.
        frames: in order; each may be let go of when the next is taken.
        first: number of the first of them.
        thorough: whether to look closer at all of them for smaller faces; otherwise at every `EVERY`-th of the footage.

    Raises:
        InputError: the user's own detector fails.
    """
    looks = (thorough or number % EVERY == 0 for number in count(first))
    seen = [finder.find(frame, thorough=look) for frame, look in zip(frames, looks, strict=False)]
    found = joined([faces.detected for faces in seen])
    counts = np.array([len(faces) for faces in seen], np.int64)
    mesh = np.concatenate([np.empty((0, POINTS, 2), np.float32), *(faces.mesh for faces in seen)])
    return FoundFaces(
        first=first,
        thumbnails=np.array([faces.thumbnail for faces in seen], np.uint8).reshape(-1, *THUMBNAIL),
        best=np.array([faces.best for faces in seen], np.float32),
        frame=np.repeat(np.arange(first, first + len(seen)), counts),
        boxes=found.boxes,
        scores=found.scores,
        points=found.points,
        presence=np.concatenate([np.empty(0, np.float32), *(faces.presence for faces in seen)]),
        extents=np.concatenate([mesh.min(axis=1), mesh.max(axis=1)], axis=1),
        mesh=mesh[:, list(MESH_POINTS)],
    )
