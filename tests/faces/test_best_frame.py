"""A face's picture is of a frame on which it is sure, whole, frontal and large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from found_faces import found_faces, seen, steady

from actors.core.faces import MESH_POINTS, FoundFaces
from jobs.faces.best_frame import best_row
from jobs.faces.seen_faces import NOSE, SIDES

ROWS = np.arange(5)


def alike() -> FoundFaces:
    """Five faces that are all the same."""
    found = found_faces(steady(range(5), 100), 5)
    mesh = found.mesh.copy()
    for point, x in zip((SIDES[0], NOSE, SIDES[1]), (100, 130, 160), strict=True):
        mesh[:, MESH_POINTS.index(point)] = (x, 130)
    return replace(found, mesh=mesh, scores=np.full(5, 0.9, np.float32), presence=np.full(5, 0.8, np.float32))


def best(found: FoundFaces) -> int:
    return best_row(seen(found), ROWS, (320, 180))


def test_of_equal_ones_the_first() -> None:
    assert best(alike()) == 0
    assert best_row(seen(alike()), np.array([3, 4]), (320, 180)) == 3


def test_the_surest() -> None:
    for column in ("scores", "presence"):
        found = alike()
        getattr(found, column)[2] = 0.95
        assert best(found) == 2, column


def test_the_most_frontal() -> None:
    found = alike()
    found.mesh[:, MESH_POINTS.index(NOSE), 0] = (150, 110, 128, 145, 170)
    assert best(found) == 2


def test_the_largest() -> None:
    found = alike()
    found.extents[3] = (90, 90, 170, 170)
    assert best(found) == 3


def test_a_whole_one() -> None:
    found = alike()
    found.extents[:] = (-30, 100, 30, 160)
    found.extents[4] = (-10, 100, 50, 160)
    assert best(found) == 4


def test_one_without_size_has_a_picture_too() -> None:
    found = alike()
    found.extents[:] = 10
    found.mesh[:] = 10
    assert best(found) == 0
