"""Faces that were found on the frames of some footage, in pixels of the upright frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# Points of the 468-point face mesh that are kept: 36 of the face's oval, then brows, eyes, nose and lips.
OVAL_POINTS = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
INNER_POINTS = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(33, 159, 133, 145, 362, 386, 263, 374),
    *(168, 6, 1, 2, 129, 358),
    *(61, 291, 0, 13, 14, 17),
)
MESH_POINTS = OVAL_POINTS + INNER_POINTS

# Points that a detector gives with a box: the eye on the left of the picture, the other, nose, mouth, ears likewise.
KEY_POINTS = 6

# Rows and columns of the thumbnail by which cuts are told.
THUMBNAIL = (9, 16)


class FaceOrigin(StrEnum):
    """How the face box of a frame came about; the words of the timing table."""

    GIVEN = "given"
    """By a file or a flag of the user's."""
    DETECTED = "detected"
    """The face was found on this frame."""
    INTERPOLATED = "interpolated"
    """The face was found shortly before and shortly after."""
    NONE = "none"
    """There is no face: the frame's own pixels are shown."""


@dataclass(frozen=True, slots=True)
class FoundFaces:
    """What was found on the frames ``first <= frame < first + frames``, one row for each face on each frame.

    Rows are in the order of frames, and of one frame by descending score.

    Attributes:
        first: the first frame that was looked at.
        thumbnails: ``(frames, 9, 16)`` uint8, the brightness of every frame that was looked at.
        best: ``(frames,)`` float32 in [0, 1], the best score of anything on the frame, also where that is no face.
        frame: ``(n,)`` int64, the frame that a face is on.
        boxes: ``(n, 4)`` float32, the detector's box: left, top, right, bottom.
        scores: ``(n,)`` float32 in [0, 1], how sure the detector is.
        points: ``(n, 6, 2)`` float32, the detector's key points, x and y; NaN where it gives none.
        presence: ``(n,)`` float32 in [0, 1], how sure the mesh is that it sees a whole face.
        extents: ``(n, 4)`` float32, the box around all 468 points of the mesh.
        mesh: ``(n, 66, 2)`` float32, the mesh's points `MESH_POINTS`, x and y.
    """

    first: int
    thumbnails: NDArray[np.uint8]
    best: NDArray[np.float32]
    frame: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    points: NDArray[np.float32]
    presence: NDArray[np.float32]
    extents: NDArray[np.float32]
    mesh: NDArray[np.float32]

    @property
    def stop(self) -> int:
        """Behind the last frame that was looked at."""
        return self.first + len(self.thumbnails)
