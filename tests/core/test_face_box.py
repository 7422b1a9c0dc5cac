"""Squares without jitter, and the warps that crop and paste them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import reference_blend
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_blend import UNET

from actors.core.choices import Interpolation
from actors.core.clip import FaceBox
from actors.core.face_box import CUT, TAPS, SubpixelBox, smooth_boxes
from actors.core.pixels import Image, crop_face, render_patch, with_mouth
from actors.core.warp import warp_crop, warp_patch
from actors.kinds.unet_328_ave import KIND as UNET_328

NUMBERS = Path(__file__).parents[3] / "shared" / "data" / "avatar_numbers"
WIDTH, HEIGHT = 420, 380


def textured(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Image:
    rng = np.random.default_rng(seed)
    coarse = np.asarray(cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), 2))
    return np.clip(128 + 200 * coarse, 0, 255).astype(np.uint8)


def rect_at(centre: float, top: float, side: float) -> FaceBox:
    x0 = round(centre - side / 2)
    return FaceBox(x0, round(top), x0 + round(side), round(top) + round(side))


def places(squares: tuple[SubpixelBox, ...]) -> np.ndarray:
    return np.array([[(s.x0 + s.x1) / 2, s.y0, s.width, s.height] for s in squares])


def smoothed(boxes: list[FaceBox], width: int = WIDTH, height: int = HEIGHT) -> tuple[SubpixelBox, ...]:
    """The boxes of a clip that shows a face on every frame."""
    squares = smooth_boxes(boxes, width, height)
    assert None not in squares
    return tuple(square for square in squares if square is not None)


@st.composite
def walks(draw: st.DrawFn) -> list[FaceBox]:
    """A face that trembles, moves, and jumps now and then; oblongs too."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 40))
    jumps = draw(st.sets(st.integers(0, 40), max_size=3))
    x, y, side, oblong = 60.0, 50.0, 90.0, draw(st.integers(-20, 20))
    boxes = []
    for i in range(count):
        if i in jumps:
            x, y = rng.uniform(0, 300), rng.uniform(0, 250)
        x, y = np.clip([x + rng.normal(0, 2), y + rng.normal(0, 2)], 0, 280)
        wide = round(float(np.clip(side + rng.normal(0, 2), 40, 120)))
        x0, y0 = round(min(float(x), WIDTH - wide)), round(min(float(y), HEIGHT - wide - oblong))
        boxes.append(FaceBox(x0, y0, x0 + wide, y0 + wide + oblong))
    return boxes


@settings(max_examples=examples(40), deadline=None)
@given(walks())
def test_squares_are_those_of_the_reference_and_inside_of_the_frame(boxes: list[FaceBox]) -> None:
    squares = smoothed(boxes)
    expected = reference_blend.smooth_boxes([(r.x0, r.y0, r.x1, r.y1) for r in boxes], WIDTH, HEIGHT)
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
    still = [FaceBox(30, 40, 130, 140)] * count
    assert smooth_boxes(still, WIDTH, HEIGHT) == tuple(SubpixelBox.of(box) for box in still)
    moving = [FaceBox(30 + 3 * i, 40 + 2 * i, 130 + 3 * i, 140 + 2 * i) for i in range(count)]
    assert smooth_boxes(moving, 1000, 1000) == tuple(SubpixelBox.of(box) for box in moving)


def test_jitter_goes_and_movement_stays() -> None:
    t = np.arange(200)
    rng = np.random.default_rng(7)
    true = np.stack([200 + 40 * np.sin(t / 40), 90 + 25 * np.cos(t / 55), 120 + 10 * np.sin(t / 70)], axis=1)
    boxes = [rect_at(*row) for row in true + rng.normal(0, 0.8, true.shape)]
    smooth = places(smoothed(boxes))[:, :3]
    raw = places(tuple(SubpixelBox.of(box) for box in boxes))[:, :3]
    before, after = (np.sqrt(((found - true) ** 2).mean(axis=0)) for found in (raw, smooth))
    assert (after < before / 1.6).all()
    # From one frame to the next nothing trembles any more: the second difference is that of movement.
    assert np.abs(np.diff(smooth, 2, axis=0)).mean() < np.abs(np.diff(raw, 2, axis=0)).mean() / 4


def test_both_sides_of_a_cut_are_filtered_by_themselves() -> None:
    one = [FaceBox(30 + i % 2, 40, 130 + i % 2, 140) for i in range(20)]
    other = [FaceBox(250, 200 + i % 3, 340, 290 + i % 3) for i in range(20)]
    together = smooth_boxes([*one, *other], WIDTH, HEIGHT)
    assert together == (*smooth_boxes(one, WIDTH, HEIGHT), *smooth_boxes(other, WIDTH, HEIGHT))
    side = 100
    for step, cut in ((side * CUT, False), (side * CUT + 1, True)):
        moved = [FaceBox(30 + round(step), 40, 130 + round(step), 140)] * TAPS
        squares = smooth_boxes([*[FaceBox(30, 40, 130, 140)] * TAPS, *moved], WIDTH, HEIGHT)
        assert (squares[TAPS - 1] == SubpixelBox(30, 40, 130, 140)) is cut


@settings(max_examples=examples(30), deadline=None)
@given(walks(), st.sets(st.integers(0, 39), min_size=1))
def test_both_sides_of_a_gap_are_filtered_by_themselves(boxes: list[FaceBox], gaps: set[int]) -> None:
    given_boxes = [None if i in gaps else box for i, box in enumerate(boxes)]
    squares = smooth_boxes(given_boxes, WIDTH, HEIGHT)
    rects = [None if box is None else (box.x0, box.y0, box.x1, box.y1) for box in given_boxes]
    expected = reference_blend.smooth_with_gaps(rects, WIDTH, HEIGHT)
    for square, wanted in zip(squares, expected, strict=True):
        assert (square is None) is (wanted is None)
        if square is not None and wanted is not None:
            found = (square.x0, square.y0, square.x1, square.y1)
            assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 2 / 256


def test_a_square_at_the_frames_edge_stays_inside() -> None:
    corner = [FaceBox(i % 2, 0, 100 + i % 2, 100) for i in range(30)]
    assert all(square.x0 >= 0 and square.y0 == 0 for square in smoothed(corner, 101, 100))
    whole = [FaceBox(0, 0, 90 + i % 2, 90) for i in range(30)]
    assert all(square.x1 <= 91 and square.y1 <= 90 for square in smoothed(whole, 91, 90))


@pytest.mark.skipif(not NUMBERS.is_dir(), reason="the real avatar's numbers are not on this machine")
def test_the_jitter_of_the_real_avatar_is_that_of_the_facts() -> None:
    """Domain 2.2: rms 0.66 px of the centre, 0.63 of the top, 0.91 of the side."""
    lists = json.loads((NUMBERS / "crop_rects.json").read_text())
    boxes = [FaceBox(*sides) for sides in lists]
    raw = places(tuple(SubpixelBox.of(box) for box in boxes))
    away = places(smoothed(boxes, 1280, 720)) - raw
    assert np.sqrt((away**2).mean(axis=0)).round(2).tolist()[:3] == [0.66, 0.63, 0.91]


def test_warps_filter_linearly_where_resizes_would_average_areas() -> None:
    frame, square = textured(1), SubpixelBox.of(FaceBox(10, 20, 110, 140))
    by = {one: warp_crop(frame, square, UNET_328, one) for one in Interpolation}
    assert np.array_equal(by[Interpolation.AREA], by[Interpolation.LINEAR])
    assert not np.array_equal(by[Interpolation.AREA], by[Interpolation.CUBIC])


@pytest.mark.parametrize("interpolation", [Interpolation.CUBIC, Interpolation.LINEAR])
@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 60), st.integers(0, 40), st.integers(20, 340), st.integers(20, 340))
def test_whole_edges_give_what_a_resize_gives(
    interpolation: Interpolation, x0: int, y0: int, width: int, height: int
) -> None:
    frame, mouth = textured(1), textured(2, 320, 320)
    box = FaceBox(x0, y0, x0 + width, y0 + height)
    square = SubpixelBox.of(box)
    assert square.pixels == box
    crop = crop_face(frame, box, UNET_328, interpolation)
    warped = warp_crop(frame, square, UNET_328, interpolation)
    assert np.abs(warped.astype(int) - crop).max() <= 1
    pasted = warp_patch(with_mouth(crop, mouth, UNET_328), square, UNET_328, interpolation)
    resized = render_patch(crop, mouth, box, UNET_328, interpolation)
    assert pasted.shape == resized.shape
    assert np.abs(pasted.astype(int) - resized).max() <= 1
    if interpolation is Interpolation.CUBIC:
        # Linear resizes round each direction, the warp once; cubic ones hardly ever differ.
        assert (warped != crop).mean() < 0.001
        # A strip of 20 columns is the worst found: 33 of 19,680 values.
        assert (pasted != resized).mean() < 0.005


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 40 * 256), st.integers(0, 40 * 256), st.integers(40 * 256, 330 * 256))
def test_edges_between_pixels_are_warped_as_the_reference_does(x: int, y: int, side: int) -> None:
    frame = textured(3)
    square = SubpixelBox(x / 256, y / 256, (x + side) / 256, (y + side) / 256)
    sides = (square.x0, square.y0, square.x1, square.y1)
    crop = warp_crop(frame, square, UNET_328, Interpolation.CUBIC)
    away = np.abs(crop.astype(int) - reference_blend.crop_box(UNET, frame, sides))
    assert away.max() <= 1
    assert away.mean() < 0.01
    pasted = warp_patch(crop, square, UNET_328, Interpolation.CUBIC)
    away = np.abs(pasted.astype(int) - reference_blend.paste_box(UNET, crop, sides))
    assert away.max() <= 1
    assert away.mean() < 0.01
    box = square.pixels
    assert pasted.shape == (box.height, box.width, 3)


def test_a_crop_that_is_not_changed_comes_back_where_it_was() -> None:
    """Half a pixel anywhere on the way there or back would be many levels on this picture."""
    frame = textured(4)
    square = SubpixelBox(40.375, 31.625, 262.5, 253.75)
    crop = warp_crop(frame, square, UNET_328, Interpolation.CUBIC)
    back = warp_patch(crop, square, UNET_328, Interpolation.CUBIC).astype(int)
    box = square.pixels
    original = frame[box.y0 : box.y1, box.x0 : box.x1].astype(int)
    shifted = frame[box.y0 : box.y1, box.x0 + 1 : box.x1 + 1].astype(int)
    inside = slice(3, -3), slice(3, -3)
    assert np.abs(back - original)[inside].mean() < 0.3
    assert np.abs(back - shifted)[inside].mean() > 5


@given(st.integers(0, 99 * 256), st.integers(256, 99 * 256))
def test_the_pixels_of_a_square_are_those_whose_centres_it_covers(start: int, side: int) -> None:
    square = SubpixelBox(start / 256, 5, (start + side) / 256, 6)
    box = square.pixels
    covered = [i for i in range(210) if square.x0 <= i + 0.5 < square.x1]
    assert list(range(box.x0, box.x1)) == covered
    assert covered
