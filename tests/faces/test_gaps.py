"""Short gaps of one track are interpolated, as the slow reference does; everything else stays as it was found."""

import numpy as np
import pytest
import reference_tracks
from examples import examples
from found_faces import found_faces, seen, steady
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.faces import THUMBNAIL, FaceOrigin, FoundFaces
from jobs.faces.gaps import FacePath, face_path

NONE, DETECTED, INTERPOLATED = FaceOrigin.NONE, FaceOrigin.DETECTED, FaceOrigin.INTERPOLATED


def path_of(
    found: FoundFaces, numbers: list[int], gap: float, times: list[float], *, covered: bool = False
) -> FacePath:
    """Of one face a frame at the most; ``numbers`` are the tracks of its frames."""
    rows = np.full(found.stop, -1, np.int64)
    rows[found.frame] = np.arange(len(found.frame))
    tracks = np.array(numbers, np.int64) * (rows >= 0)
    return face_path(seen(found), rows, tracks, np.array(times), gap, covered_passthrough=covered)


FRAMES = st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=1, max_size=25)


@settings(max_examples=examples(40))
@given(FRAMES, st.integers(0, 6), st.integers(0, 1000))
def test_gaps_are_filled_as_the_reference_fills_them(numbers: list[int], gap: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole milliseconds that stay apart from the limit's tolerance.
    times = np.cumsum(rng.integers(1, 4, len(numbers))).astype(float).tolist()
    faces = [
        (frame, (x, y, x + 50, y + 60))
        for frame, (x, y) in enumerate(rng.uniform(0, 99, (len(numbers), 2)).tolist())
        if numbers[frame]
    ]
    found = found_faces(faces, len(numbers))
    path = path_of(found, numbers, gap, times)

    shapes = path.shapes(slice(0, len(path)))

    def column(values: NDArray[np.float32]) -> list[tuple[str, float | None]]:
        known = dict(zip(found.frame.tolist(), values.tolist(), strict=True))
        return reference_tracks.filled([known.get(f) for f in range(len(numbers))], numbers, times, gap)

    for made, given_values in (
        (path.boxes[:, 1], found.boxes[:, 1]),
        (path.extents[:, 2], found.extents[:, 2]),
        (shapes.mesh[:, 40, 0], found.mesh[:, 40, 0]),
        (shapes.points[:, 3, 1], found.points[:, 3, 1]),
        (path.scores, found.scores),
        (path.presence, found.presence),
    ):
        expected = column(given_values)
        assert list(path.origins) == [origin for origin, _ in expected]
        np.testing.assert_allclose(made, [np.nan if v is None else v for _, v in expected], rtol=1e-5, atol=1e-4)
    assert [bool(n) for n in path.tracks] == [origin is not NONE for origin in path.origins]


@settings(max_examples=examples(40))
@given(FRAMES, st.integers(0, 6))
def test_stretches_are_the_unbroken_frames_of_each_track(numbers: list[int], gap: int) -> None:
    found = found_faces([(f, (f, 0, f + 9, 9)) for f, n in enumerate(numbers) if n], len(numbers))
    path = path_of(found, numbers, gap, [float(f) for f in range(len(numbers))])
    covered = [frame for first, stop in path.stretches for frame in range(first, stop)]
    assert covered == [frame for frame, origin in enumerate(path.origins) if origin is not NONE]
    for first, stop in path.stretches:
        assert len(set(path.tracks[first:stop].tolist())) == 1
        assert first == 0 or path.tracks[first - 1] != path.tracks[first]
        assert stop == len(path) or path.tracks[stop] != path.tracks[first]


@pytest.mark.parametrize(("fps", "missing", "origin"), [(25, 5, INTERPOLATED), (25, 6, NONE), (30, 6, INTERPOLATED)])
def test_a_fifth_of_a_second_is_short(fps: int, missing: int, origin: FaceOrigin) -> None:
    frames = [0, 1, 2 + missing, 3 + missing]
    found = found_faces(steady(frames, 0, step=4), 4 + missing)
    path = path_of(found, [1] * (4 + missing), 0.2, [f / fps for f in range(4 + missing)])
    assert path.origins == (DETECTED, DETECTED, *[origin] * missing, DETECTED, DETECTED)
    if origin is INTERPOLATED:
        np.testing.assert_allclose(path.boxes[:, 0], 4 * np.arange(4 + missing), rtol=1e-6)
    else:
        assert np.isnan(path.boxes[2 : 2 + missing]).all()


def test_before_the_first_and_after_the_last_face_there_is_none() -> None:
    path = path_of(found_faces(steady([3, 4], 0), 8), [1] * 8, 9.0, [float(f) for f in range(8)])
    assert path.origins == (NONE, NONE, NONE, DETECTED, DETECTED, NONE, NONE, NONE)


def test_a_covered_mouth_counts_as_no_face_only_where_asked_for() -> None:
    found = found_faces(steady(range(9), 0), 9, presence=[1, 1, 0.4, 1, 1, 0, 0, 0, 0.5])
    times = [f / 10 for f in range(9)]
    assert path_of(found, [1] * 9, 0.2, times).origins == (DETECTED,) * 9
    path = path_of(found, [1] * 9, 0.2, times, covered=True)
    assert path.origins == (*[DETECTED] * 2, INTERPOLATED, *[DETECTED] * 2, *[NONE] * 3, DETECTED)
    assert path.presence[2] == 1


def test_frames_that_are_shown_at_one_time_are_filled_halfway() -> None:
    path = path_of(found_faces([(0, (0, 0, 9, 9)), (2, (10, 0, 19, 9))], 3), [1] * 3, 0.2, [0.0, 0.0, 0.0])
    assert path.boxes[1].tolist() == [5, 0, 14, 9]


def test_footage_without_a_face() -> None:
    path = path_of(found_faces([], 3), [0] * 3, 0.2, [0.0, 1.0, 2.0])
    assert path.origins == (NONE,) * 3
    assert path.stretches == ()
    assert path.shapes(slice(0, 3)).mesh.shape == (3, 66, 2)


def test_frames_of_a_gap_that_show_another_picture_have_no_face() -> None:
    found = found_faces(steady([0, 5], 0), 6)
    scene, foreign = np.random.default_rng(6).integers(0, 255, (2, *THUMBNAIL), dtype=np.uint8)
    found.thumbnails[:] = [scene, scene, np.zeros_like(scene), foreign, scene // 2, scene]
    path = path_of(found, [1] * 6, 0.4, [f / 10 for f in range(6)])
    assert path.origins == (DETECTED, INTERPOLATED, NONE, NONE, INTERPOLATED, DETECTED)


@settings(max_examples=examples(20))
@given(FRAMES, st.integers(0, 25), st.integers(0, 25))
def test_shapes_of_some_frames_are_those_of_all(numbers: list[int], start: int, count: int) -> None:
    found = found_faces([(f, (3 * f, 0, 3 * f + 9, 9)) for f, n in enumerate(numbers) if n], len(numbers))
    path = path_of(found, numbers, 3.0, [float(f) for f in range(len(numbers))])
    part = slice(min(start, len(numbers)), min(start + count, len(numbers)))
    for whole, some in zip(path.shapes(slice(0, len(numbers))), path.shapes(part), strict=True):
        np.testing.assert_array_equal(whole[part], some)
