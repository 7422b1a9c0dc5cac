"""Faces as a detector might have found them, made of boxes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from actors.core.choices import Covered, FaceRule
from actors.core.faces import KEY_POINTS, MESH_POINTS, THUMBNAIL, FoundFaces
from jobs.faces.choice import FaceChoice
from jobs.faces.dubbing import DubbedFace, FaceRules, follow_faces
from jobs.faces.seen_faces import SeenFaces, Shapes

Face = tuple[int, tuple[float, float, float, float]]


def found_faces(faces: Sequence[Face], frames: int, presence: Sequence[float] | None = None) -> FoundFaces:
    """Frame and box of every face, in the order of frames; meshes and extents fill the box."""
    count = len(faces)
    boxes = np.array([box for _, box in faces], np.float32).reshape(count, 4)
    places = np.random.default_rng(5).uniform(size=(len(MESH_POINTS), 2)).astype(np.float32)
    mesh = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    return FoundFaces(
        first=0,
        thumbnails=np.zeros((frames, *THUMBNAIL), np.uint8),
        best=np.ones(frames, np.float32),
        frame=np.array([frame for frame, _ in faces], np.int64),
        boxes=boxes,
        scores=np.linspace(0.9, 0.6, count, dtype=np.float32),
        points=mesh[:, :KEY_POINTS],
        presence=np.ones(count, np.float32) if presence is None else np.array(presence, np.float32),
        extents=boxes,
        mesh=mesh,
    )


def seen(found: FoundFaces) -> SeenFaces:
    """What following faces needs of it."""
    return SeenFaces.of([found], lambda rows: Shapes(found.points[rows], found.mesh[rows]))


def seen_faces(faces: Sequence[Face], frames: int, presence: Sequence[float] | None = None) -> SeenFaces:
    """`found_faces`, as faces are followed by them."""
    return seen(found_faces(faces, frames, presence))


def steady(frames: Sequence[int], x: float, y: float = 100, side: float = 60, step: float = 0) -> list[Face]:
    """One square face on some frames, that moves to the right by ``step`` pixels a frame."""
    return [(f, (x + step * f, y, x + step * f + side, y + side)) for f in frames]


def together(*faces: Sequence[Face]) -> list[Face]:
    """All faces in the order of frames."""
    return sorted((face for group in faces for face in group), key=lambda face: face[0])


def followed(
    faces: Sequence[Face],
    frames: int,
    *,
    size: tuple[int, int] = (320, 180),
    cuts: Sequence[int] = (),
    presence: Sequence[float] | None = None,
    choice: FaceChoice = FaceRule.LARGEST,
    covered: Covered = Covered.RENDER,
) -> DubbedFace:
    """The face that is dubbed, of footage that cuts where it is told to, at 25 frames a second."""
    found = found_faces(faces, frames, presence)
    scenes = np.random.default_rng(7).integers(0, 256, (len(cuts) + 1, *THUMBNAIL), np.uint8)
    found = replace(found, thumbnails=scenes[np.searchsorted(cuts, np.arange(frames), side="right")])
    return follow_faces(seen(found), np.arange(frames) / 25, size, FaceRules(choice, 0.2, covered), "talk.mp4")
