"""The squares of an avatar are learned from its meshes, hold on frames that were not seen, and stay squares inside."""

import numpy as np
import pytest
from examples import examples
from face_paths import face_path_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.core.faces import MESH_POINTS
from jobs.faces.gaps import FacePath
from jobs.faces.likeness import LARGEST_ERROR, Likeness, fit_likeness, squares_like

SIZE = (1280, 720)
RNG = np.random.default_rng(3)
SHAPE = RNG.uniform(-1, 1, (len(MESH_POINTS), 2))
# Two ways in which faces move, as of turning and nodding.
MODES = RNG.normal(0, 0.1, (2, len(MESH_POINTS), 2))
# How the square depends on them: left edge, top edge and side, in sides of the face.
LEFT_TOP_SIDE = np.array([[-0.45, -0.3, 0.9], [0.08, 0.01, -0.05], [0.02, 0.07, 0.03]])


def meshes_and_squares(
    frames: int, seed: int, place: tuple[float, float] = (640, 360), scale: float = 100, noise: float = 0.3
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Meshes of a face that moves smoothly, and the squares that go with it, not whole numbers."""
    rng = np.random.default_rng(seed)
    turns = np.sin(np.arange(frames)[:, None] / rng.uniform(5, 9, 2) + rng.uniform(0, 6, 2))
    shape = SHAPE + np.tensordot(turns, MODES, 1)
    low, high = shape.min(axis=1), shape.max(axis=1)
    unit = np.sqrt((high - low).prod(axis=1))
    relative = np.hstack([np.ones((frames, 1)), turns]) @ LEFT_TOP_SIDE * unit[:, None]
    relative[:, :2] += (low + high) / 2
    meshes = shape * scale + place + rng.normal(0, noise, shape.shape)
    squares = relative * scale
    squares[:, :2] += place
    return meshes, squares


def path_of(meshes: NDArray[np.float64], without: frozenset[int] = frozenset()) -> FacePath:
    extents = [
        None if frame in without else (*mesh.min(axis=0).tolist(), *mesh.max(axis=0).tolist())
        for frame, mesh in enumerate(meshes)
    ]
    return face_path_of(extents, mesh=meshes)


def boxes_of(squares: NDArray[np.float64]) -> list[FaceBox]:
    return [FaceBox(x, y, x + side, y + side) for x, y, side in np.rint(squares).astype(int).tolist()]


def rms(made: tuple[FaceBox | None, ...], squares: NDArray[np.float64]) -> float:
    off = [(box.x0 - s[0], box.y0 - s[1], box.width - s[2]) for box, s in zip(made, squares, strict=True) if box]
    assert len(off) == len(squares)
    return float(np.sqrt(np.square(off).mean()))


MESHES, SQUARES = meshes_and_squares(100, 1)


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return fit_likeness(path_of(MESHES), boxes_of(SQUARES), "avatar")


def test_what_is_judged_lies_apart_in_time_from_what_was_learned() -> None:
    # Five scenes: within each the face hardly moves, and its square is another one than the mesh tells.
    rng = np.random.default_rng(4)
    scene = np.repeat(np.arange(5), 20)
    shapes = SHAPE + rng.normal(0, 0.1, (5, *SHAPE.shape))
    meshes = shapes[scene] * 100 + (640, 360) + rng.normal(0, 0.3, (100, *SHAPE.shape))
    squares = np.array([550, 300, 180]) + rng.uniform(-20, 20, (5, 3))[scene]
    with pytest.raises(InputError, match="do not follow the face"):
        fit_likeness(path_of(meshes), boxes_of(squares), "avatar")


def test_squares_of_frames_that_were_not_seen_are_off_by_about_a_pixel(likeness: Likeness) -> None:
    error = likeness.error
    assert max(error.x, error.y, error.side) < 1.5
    assert error.of_side == pytest.approx(SQUARES[:, 2].mean(), abs=0.1)
    assert error.share == max(error.x, error.y, error.side) / error.of_side
    assert str(error).endswith(f" % of {error.of_side:.0f} px")
    assert likeness.frames == 100


@settings(max_examples=examples(20))
@given(seed=st.integers(0, 1000), x=st.floats(300, 900), y=st.floats(300, 420), scale=st.floats(20, 150))
def test_new_footage_gets_the_squares_wherever_and_however_large_the_face_is(
    likeness: Likeness, seed: int, x: float, y: float, scale: float
) -> None:
    meshes, squares = meshes_and_squares(30, seed, (x, y), scale)
    made = squares_like(path_of(meshes), SIZE, likeness)
    assert rms(made, squares) < 1 + 0.02 * scale
    assert all(box and box.inside(*SIZE) and box.width == box.height for box in made)


def test_frames_without_the_face_have_no_square_and_teach_nothing() -> None:
    away = frozenset({0, 7, 8, 99})
    path = path_of(MESHES, away)
    boxes: list[FaceBox | None] = [None if frame in {20, 21} else box for frame, box in enumerate(boxes_of(SQUARES))]
    likeness = fit_likeness(path, boxes, "avatar")
    assert likeness.frames == 94
    made = squares_like(path, SIZE, likeness)
    assert [frame for frame, box in enumerate(made) if box is None] == sorted(away)


def test_the_map_stays_within_what_the_avatar_showed(likeness: Likeness) -> None:
    distorted = 640 + (MESHES[:1] - 640) * [3, 1]
    units = np.sqrt(np.ptp(distorted[0], axis=0).prod())
    (box,) = squares_like(path_of(distorted), SIZE, likeness)
    assert box is not None
    assert likeness.squares.low[2] * units - 1 <= box.width <= likeness.squares.high[2] * units + 1


def test_boxes_that_do_not_follow_the_face_are_refused() -> None:
    rng = np.random.default_rng(4)
    for share, refused in ((0.5 * LARGEST_ERROR, False), (2 * LARGEST_ERROR, True)):
        squares = SQUARES + rng.normal(0, share * SQUARES[:, 2].mean(), SQUARES.shape)
        if not refused:
            assert fit_likeness(path_of(MESHES), boxes_of(squares), "avatar").error.share < LARGEST_ERROR
            continue
        with pytest.raises(InputError) as caught:
            fit_likeness(path_of(MESHES), boxes_of(squares), "avatar")
        assert str(caught.value).startswith("avatar: its face boxes do not follow the face: on frames held out they")
        assert " and 4 % is the most; see whether" in str(caught.value)


def test_an_avatar_of_hardly_any_frames_is_refused() -> None:
    with pytest.raises(InputError, match="found on 19 of its frames, and 20 are needed"):
        fit_likeness(path_of(MESHES[:19]), boxes_of(SQUARES[:19]), "avatar")
    with pytest.raises(InputError, match="found on 0 of its frames"):
        fit_likeness(face_path_of([None] * 3), boxes_of(SQUARES[:3]), "avatar")
    assert fit_likeness(path_of(MESHES[:20]), boxes_of(SQUARES[:20]), "avatar").frames == 20


def test_a_square_at_the_edge_is_moved_inside_a_little_and_is_none_beyond(likeness: Likeness) -> None:
    ((x0, y0, side),) = SQUARES[:1]
    for over, inside in ((0.05, True), (0.2, False)):
        made = squares_like(path_of(MESHES[:1] - [x0 + over * side, 0]), SIZE, likeness)
        assert (made[0] is not None) is inside
        if made[0]:
            assert made[0].x0 == 0
            assert made[0].y0 == pytest.approx(y0, abs=4)
            assert made[0].width == made[0].height == pytest.approx(side, abs=4)
    assert squares_like(path_of(MESHES[:1]), (1280, int(side) - 20), likeness) == (None,)


def test_footage_without_a_face_has_no_squares(likeness: Likeness) -> None:
    assert squares_like(face_path_of([None, None]), SIZE, likeness) == (None, None)
