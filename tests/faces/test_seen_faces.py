"""Of what was found the small part is held, and points and meshes are read again where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_faces import made_up

from actors.core.errors import StoppedError
from jobs.faces.found_so_far import read_faces
from jobs.faces.prepared_folder import FacesRecord, FootageRecord, PreparedFolder
from jobs.faces.seen_faces import Gathered, SeenFaces, Shapes

HELD = ("thumbnails", "best", "frame", "boxes", "scores", "presence", "extents")
COUNTS = ([1, 0, 2], [0, 0, 0], [3], [1, 1])
PARTS = [made_up(counts, sum(map(len, COUNTS[:i])), seed=i) for i, counts in enumerate(COUNTS)]


def no_shapes(rows: np.ndarray) -> Shapes:
    raise AssertionError(rows)


@pytest.fixture
def folder(tmp_path: Path) -> PreparedFolder:
    made = PreparedFolder.at(str(tmp_path / "faces"))
    footage = FootageRecord(name="v.mp4", digest="0" * 32, frames=9, width=320, height=180)
    made.begin(FacesRecord(footage=footage, finder="f" * 64, thorough=True))
    for part in PARTS:
        made.keep(part)
    return made


def test_ranges_are_held_one_behind_the_other() -> None:
    seen = SeenFaces.of(PARTS, no_shapes)
    assert seen.stop == 9
    for name in HELD:
        whole = np.concatenate([getattr(part, name) for part in PARTS])
        np.testing.assert_array_equal(getattr(seen, name), whole)
        assert getattr(seen, name).dtype == whole.dtype


def test_nothing_found_is_held_too() -> None:
    seen = SeenFaces.of([made_up([0, 0])], no_shapes)
    assert (seen.stop, seen.boxes.shape, seen.frontal.shape) == (2, (0, 4), (0,))


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_ranges_that_do_not_follow_each_other_are_no_footage(missing: int) -> None:
    gathered = Gathered()
    for i, part in enumerate(PARTS):
        if i != missing:
            gathered.add(part)
    with pytest.raises(ValueError, match="do not follow"):
        gathered.faces(no_shapes)


@given(left_out=st.lists(st.booleans(), min_size=8, max_size=8), wanted=st.sets(st.integers(0, 7)).map(sorted))
def test_rows_that_are_left_out_change_no_shape_of_the_others(left_out: list[bool], wanted: list[int]) -> None:
    meshes = np.concatenate([part.mesh for part in PARTS])
    seen = SeenFaces.of(PARTS, lambda rows: Shapes(meshes[rows][:, :6], meshes[rows])).without(np.array(left_out))
    kept = np.flatnonzero(~np.array(left_out))
    rows = np.array([row for row in wanted if row < len(kept)], np.int64)
    np.testing.assert_array_equal(seen.boxes, np.concatenate([part.boxes for part in PARTS])[kept])
    np.testing.assert_array_equal(seen.shapes(rows).mesh, meshes[kept][rows])


@pytest.mark.parametrize("rows", [[], [0], [2, 3], [0, 2, 5, 7], list(range(8))])
def test_shapes_are_read_from_the_folder(folder: PreparedFolder, rows: list[int]) -> None:
    points, mesh = read_faces(folder).shapes(np.array(rows, np.int64))
    np.testing.assert_array_equal(points, np.concatenate([part.points for part in PARTS])[rows])
    np.testing.assert_array_equal(mesh, np.concatenate([part.mesh for part in PARTS])[rows])


def test_a_folder_that_has_changed_stops_the_command(folder: PreparedFolder) -> None:
    seen = read_faces(folder)
    folder.keep(made_up([1, 1, 2]))
    with pytest.raises(StoppedError, match="what was found on frames 0:3 has changed"):
        seen.shapes(np.array([0, 1]))
    Path(str(folder.detections), f"{6:09d}-{7:09d}.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoppedError, match="frames 6:7"):
        seen.shapes(np.array([4]))
