"""Squares without jitter, and the warps that crop and paste them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import reference_blend
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_blend import UNET

from actors.core.choices import Interpolation
from actors.core.clip import FaceRect
from actors.core.face_box import CUT, TAPS, FaceSquare, smooth_squares
from actors.core.pixels import Image, crop_face, render_square, with_mouth
from actors.core.warp import warp_crop, warp_square
from actors.kinds.unet_328_ave import KIND as UNET_328

NUMBERS = Path(__file__).parents[3] / "shared" / "data" / "avatar_numbers"
WIDTH, HEIGHT = 420, 380


def textured(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Image:
    rng = np.random.default_rng(seed)
    coarse = np.asarray(cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), 2))
    return np.clip(128 + 200 * coarse, 0, 255).astype(np.uint8)


def rect_at(centre: float, top: float, side: float) -> FaceRect:
    x0 = round(centre - side / 2)
    return FaceRect(x0, round(top), x0 + round(side), round(top) + round(side))


def places(squares: tuple[FaceSquare, ...]) -> np.ndarray:
    return np.array([[(s.x0 + s.x1) / 2, s.y0, s.width, s.height] for s in squares])


@st.composite
def walks(draw: st.DrawFn) -> list[FaceRect]:
    """A face that trembles, moves, and jumps now and then; oblongs too."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 40))
    jumps = draw(st.sets(st.integers(0, 40), max_size=3))
    x, y, side, oblong = 60.0, 50.0, 90.0, draw(st.integers(-20, 20))
    rects = []
    for i in range(count):
        if i in jumps:
            x, y = rng.uniform(0, 300), rng.uniform(0, 250)
        x, y = np.clip([x + rng.normal(0, 2), y + rng.normal(0, 2)], 0, 280)
        wide = round(float(np.clip(side + rng.normal(0, 2), 40, 120)))
        x0, y0 = round(min(float(x), WIDTH - wide)), round(min(float(y), HEIGHT - wide - oblong))
        rects.append(FaceRect(x0, y0, x0 + wide, y0 + wide + oblong))
    return rects


@settings(max_examples=40, deadline=None)
@given(walks())
def test_squares_are_those_of_the_reference_and_inside_of_the_frame(rects: list[FaceRect]) -> None:
    squares = smooth_squares(rects, WIDTH, HEIGHT)
    expected = reference_blend.smooth_boxes([(r.x0, r.y0, r.x1, r.y1) for r in rects], WIDTH, HEIGHT)
    # A place that lies between two 256ths may be rounded either way.
    found = [(s.x0, s.y0, s.x1, s.y1) for s in squares]
    assert np.abs(np.array(found) - np.array(expected)).max() <= 2 / 256
    for square in squares:
        assert 0 <= square.x0 < square.x1 <= WIDTH
        assert 0 <= square.y0 < square.y1 <= HEIGHT
        assert square.pixels.inside(WIDTH, HEIGHT)
        assert all(edge * 256 == int(edge * 256) for edge in (square.x0, square.y0, square.x1, square.y1))


@given(st.integers(1, 60))
def test_steady_movement_stays_as_it_is_from_end_to_end(count: int) -> None:
    still = [FaceRect(30, 40, 130, 140)] * count
    assert smooth_squares(still, WIDTH, HEIGHT) == tuple(FaceSquare.of(rect) for rect in still)
    moving = [FaceRect(30 + 3 * i, 40 + 2 * i, 130 + 3 * i, 140 + 2 * i) for i in range(count)]
    assert smooth_squares(moving, 1000, 1000) == tuple(FaceSquare.of(rect) for rect in moving)


def test_jitter_goes_and_movement_stays() -> None:
    t = np.arange(200)
    rng = np.random.default_rng(7)
    true = np.stack([200 + 40 * np.sin(t / 40), 90 + 25 * np.cos(t / 55), 120 + 10 * np.sin(t / 70)], axis=1)
    rects = [rect_at(*row) for row in true + rng.normal(0, 0.8, true.shape)]
    smooth = places(smooth_squares(rects, WIDTH, HEIGHT))[:, :3]
    raw = places(tuple(FaceSquare.of(rect) for rect in rects))[:, :3]
    before, after = (np.sqrt(((found - true) ** 2).mean(axis=0)) for found in (raw, smooth))
    assert (after < before / 1.6).all()
    # From one frame to the next nothing trembles any more: the second difference is that of movement.
    assert np.abs(np.diff(smooth, 2, axis=0)).mean() < np.abs(np.diff(raw, 2, axis=0)).mean() / 4


def test_both_sides_of_a_cut_are_filtered_by_themselves() -> None:
    one = [FaceRect(30 + i % 2, 40, 130 + i % 2, 140) for i in range(20)]
    other = [FaceRect(250, 200 + i % 3, 340, 290 + i % 3) for i in range(20)]
    together = smooth_squares([*one, *other], WIDTH, HEIGHT)
    assert together == (*smooth_squares(one, WIDTH, HEIGHT), *smooth_squares(other, WIDTH, HEIGHT))
    side = 100
    for step, cut in ((side * CUT, False), (side * CUT + 1, True)):
        moved = [FaceRect(30 + round(step), 40, 130 + round(step), 140)] * TAPS
        squares = smooth_squares([*[FaceRect(30, 40, 130, 140)] * TAPS, *moved], WIDTH, HEIGHT)
        assert (squares[TAPS - 1] == FaceSquare(30, 40, 130, 140)) is cut


def test_a_square_at_the_frames_edge_stays_inside() -> None:
    corner = [FaceRect(i % 2, 0, 100 + i % 2, 100) for i in range(30)]
    assert all(square.x0 >= 0 and square.y0 == 0 for square in smooth_squares(corner, 101, 100))
    whole = [FaceRect(0, 0, 90 + i % 2, 90) for i in range(30)]
    assert all(square.x1 <= 91 and square.y1 <= 90 for square in smooth_squares(whole, 91, 90))


@pytest.mark.skipif(not NUMBERS.is_dir(), reason="the real avatar's numbers are not on this machine")
def test_the_jitter_of_the_real_avatar_is_that_of_the_facts() -> None:
    """Domain 2.2: rms 0.66 px of the centre, 0.63 of the top, 0.91 of the side."""
    lists = json.loads((NUMBERS / "crop_rects.json").read_text())
    rects = [FaceRect(*sides) for sides in lists]
    raw = places(tuple(FaceSquare.of(rect) for rect in rects))
    away = places(smooth_squares(rects, 1280, 720)) - raw
    assert np.sqrt((away**2).mean(axis=0)).round(2).tolist()[:3] == [0.66, 0.63, 0.91]


def test_warps_filter_linearly_where_resizes_would_average_areas() -> None:
    frame, square = textured(1), FaceSquare.of(FaceRect(10, 20, 110, 140))
    by = {one: warp_crop(frame, square, UNET_328, one) for one in Interpolation}
    assert np.array_equal(by[Interpolation.AREA], by[Interpolation.LINEAR])
    assert not np.array_equal(by[Interpolation.AREA], by[Interpolation.CUBIC])


@pytest.mark.parametrize("interpolation", [Interpolation.CUBIC, Interpolation.LINEAR])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 40), st.integers(20, 340), st.integers(20, 340))
def test_whole_edges_give_what_a_resize_gives(
    interpolation: Interpolation, x0: int, y0: int, width: int, height: int
) -> None:
    frame, mouth = textured(1), textured(2, 320, 320)
    rect = FaceRect(x0, y0, x0 + width, y0 + height)
    square = FaceSquare.of(rect)
    assert square.pixels == rect
    crop = crop_face(frame, rect, UNET_328, interpolation)
    warped = warp_crop(frame, square, UNET_328, interpolation)
    assert np.abs(warped.astype(int) - crop).max() <= 1
    pasted = warp_square(with_mouth(crop, mouth, UNET_328), square, UNET_328, interpolation)
    resized = render_square(crop, mouth, rect, UNET_328, interpolation)
    assert pasted.shape == resized.shape
    assert np.abs(pasted.astype(int) - resized).max() <= 1
    if interpolation is Interpolation.CUBIC:
        # Linear resizes round each direction, the warp once; cubic ones hardly ever differ.
        assert (warped != crop).mean() < 0.001
        assert (pasted != resized).mean() < 0.001


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40 * 256), st.integers(0, 40 * 256), st.integers(40 * 256, 330 * 256))
def test_edges_between_pixels_are_warped_as_the_reference_does(x: int, y: int, side: int) -> None:
    frame = textured(3)
    square = FaceSquare(x / 256, y / 256, (x + side) / 256, (y + side) / 256)
    box = (square.x0, square.y0, square.x1, square.y1)
    crop = warp_crop(frame, square, UNET_328, Interpolation.CUBIC)
    away = np.abs(crop.astype(int) - reference_blend.crop_box(UNET, frame, box))
    assert away.max() <= 1
    assert away.mean() < 0.01
    pasted = warp_square(crop, square, UNET_328, Interpolation.CUBIC)
    away = np.abs(pasted.astype(int) - reference_blend.paste_box(UNET, crop, box))
    assert away.max() <= 1
    assert away.mean() < 0.01
    rect = square.pixels
    assert pasted.shape == (rect.height, rect.width, 3)


def test_a_crop_that_is_not_changed_comes_back_where_it_was() -> None:
    """Half a pixel anywhere on the way there or back would be many levels on this picture."""
    frame = textured(4)
    square = FaceSquare(40.375, 31.625, 262.5, 253.75)
    crop = warp_crop(frame, square, UNET_328, Interpolation.CUBIC)
    back = warp_square(crop, square, UNET_328, Interpolation.CUBIC).astype(int)
    rect = square.pixels
    original = frame[rect.y0 : rect.y1, rect.x0 : rect.x1].astype(int)
    shifted = frame[rect.y0 : rect.y1, rect.x0 + 1 : rect.x1 + 1].astype(int)
    inside = slice(3, -3), slice(3, -3)
    assert np.abs(back - original)[inside].mean() < 0.3
    assert np.abs(back - shifted)[inside].mean() > 5


@given(st.integers(0, 99 * 256), st.integers(256, 99 * 256))
def test_the_pixels_of_a_square_are_those_whose_centres_it_covers(start: int, side: int) -> None:
    square = FaceSquare(start / 256, 5, (start + side) / 256, 6)
    rect = square.pixels
    covered = [i for i in range(210) if square.x0 <= i + 0.5 < square.x1]
    assert list(range(rect.x0, rect.x1)) == covered
    assert covered
