"""The mesh's crop is the turned square that the reference names, and points come back to where they were."""

import numpy as np
import pytest
import reference_faces as reference
from hypothesis import given
from hypothesis import strategies as st

from actors.faces.mesh import MARGIN, SIDE, crop_matrix, crop_of, mapped

PLACES = st.floats(-500, 2000)
SIZES = st.floats(5, 900)
UPRIGHT = np.full((2, 2), np.nan, np.float32)


@given(PLACES, PLACES, SIZES, SIZES, st.floats(-3, 3))
def test_the_crop_is_a_turned_square_about_the_box(
    left: float, top: float, width: float, height: float, angle: float
) -> None:
    box = np.array([left, top, left + width, top + height], np.float32)
    eyes = np.array([(left, top), (left + np.cos(angle) * width, top + np.sin(angle) * width)], np.float32)
    matrix = crop_matrix(box, eyes)
    corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.25)]
    ((ax, ay), (bx, by)), (x0, y0, x1, y1) = eyes.tolist(), box.tolist()
    expected = [reference.crop_corner((x0, y0, x1, y1), ((ax, ay), (bx, by)), MARGIN, u, v) for u, v in corners]
    assert mapped(np.array(corners) * SIDE, matrix) == pytest.approx(np.array(expected), abs=0.01)


def test_without_eyes_the_crop_is_upright() -> None:
    matrix = crop_matrix(np.array([10, 20, 30, 60], np.float32), UPRIGHT)
    assert mapped(np.array([(0.0, 0.0), (SIDE, SIDE)]), matrix) == pytest.approx(np.array([(-10, 10), (50, 70)]))


@pytest.mark.parametrize("side", [40, 128, 300, 900])
@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_the_crop_shows_what_lies_there(side: int, tilt: float) -> None:
    # Colour tells the place: blue rises to the right, green downwards.
    y, x = np.mgrid[0:900, 0:1200] + 0.5
    frame = np.stack([x * 0.2, y * 0.25, np.full(x.shape, 7.0)], axis=-1).round().astype(np.uint8)
    left, top = 600 - side / 2, 450 - side / 2
    eyes = np.array([(0, 0), (np.cos(tilt), np.sin(tilt))], np.float32)
    matrix = crop_matrix(np.array([left, top, left + side, top + side], np.float32), eyes)
    crop = crop_of(frame, matrix)
    assert crop.shape == (SIDE, SIDE, 3)
    v, u = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    places = mapped(np.stack([u.ravel(), v.ravel()], axis=1), matrix)
    inside = ((places > 4) & (places < (1196, 896))).all(axis=1)
    assert inside.sum() > 0.5 * SIDE * SIDE
    found = crop.reshape(-1, 3)[inside]
    assert np.abs(found[:, :2] - places[inside] * (0.2, 0.25)).max() <= 1.1
    assert (found[:, 2] == 7).all()


@pytest.mark.parametrize(
    "box", [(-300, -300, -100, -100), (190, 90, 210, 120), (-1e9, -1e9, 1e9, 1e9), (5, 5, 5.1, 5.1)]
)
def test_beyond_the_frame_its_edge_goes_on(box: tuple[float, float, float, float]) -> None:
    frame = np.full((100, 200, 3), 33, np.uint8)
    assert (crop_of(frame, crop_matrix(np.array(box, np.float32), UPRIGHT)) == 33).all()
