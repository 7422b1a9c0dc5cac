"""Every pixel operation byte for byte against the reference, on textured frames and squares anywhere in them."""

import cv2
import numpy as np
import pytest
import reference
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plain_planes import network_planes, to_pixels

from actors.core.choices import Interpolation
from actors.core.clip import FaceBox
from actors.core.pixels import (
    Image,
    Planes,
    PredictionFault,
    crop_face,
    from_planes,
    guess_output,
    paste,
    prediction_fault,
    render_patch,
    to_planes,
)
from actors.kinds.unet_328_ave import KIND as UNET_328

WIDTH, HEIGHT = 420, 380


def textured(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """Coarse and fine noise with black and white in it, so that filters over- and undershoot."""
    rng = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), 4)
    fine = rng.normal(size=(height, width, 3))
    return np.clip(128 + 900 * np.asarray(coarse) + 40 * fine, 0, 255).astype(np.uint8)


FRAME = textured(1)
PREDICTION = textured(2, 320, 320).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


@st.composite
def boxes(draw: st.DrawFn) -> FaceBox:
    """Squares and oblongs of any size, touching any edge or none."""
    width = draw(st.one_of(st.sampled_from([1, 2, 327, 328, 329, WIDTH]), st.integers(1, WIDTH)))
    height = draw(st.one_of(st.just(min(width, HEIGHT)), st.integers(1, HEIGHT)))
    x0 = draw(st.one_of(st.sampled_from([0, WIDTH - width]), st.integers(0, WIDTH - width)))
    y0 = draw(st.one_of(st.sampled_from([0, HEIGHT - height]), st.integers(0, HEIGHT - height)))
    return FaceBox(x0, y0, x0 + width, y0 + height)


@st.composite
def predictions(draw: st.DrawFn) -> Planes:
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).random((3, 320, 320), np.float32)


def sides(box: FaceBox) -> reference.Rect:
    return (box.x0, box.y0, box.x1, box.y1)


def finish(frame: Image, box: FaceBox, prediction: Planes, interpolation: Interpolation) -> tuple[Planes, Image]:
    """The whole way through our functions: network input and finished frame."""
    crop = crop_face(frame, box, UNET_328, interpolation)
    square = render_patch(crop, to_pixels(prediction), box, UNET_328, interpolation)
    return network_planes(crop[None], UNET_328)[0], paste(frame, square, box)


@pytest.mark.parametrize("interpolation", list(Interpolation))
@settings(max_examples=examples(25), deadline=None)
@given(box=boxes(), prediction=predictions())
@example(box=FaceBox(0, 0, 1, 1), prediction=PREDICTION)
@example(box=FaceBox(WIDTH - 1, HEIGHT - 1, WIDTH, HEIGHT), prediction=PREDICTION)
@example(box=FaceBox(0, 0, WIDTH, HEIGHT), prediction=PREDICTION)
@example(box=FaceBox(0, 0, 328, 328), prediction=PREDICTION)
@example(box=FaceBox(WIDTH - 328, HEIGHT - 328, WIDTH, HEIGHT), prediction=PREDICTION)
def test_a_frame_is_finished_as_the_reference_does(
    interpolation: Interpolation, box: FaceBox, prediction: Planes
) -> None:
    before = FRAME.copy()
    planes, finished = finish(FRAME, box, prediction, interpolation)
    expected_planes, crop = reference.network_input(FRAME, sides(box), interpolation.value)
    assert planes.dtype == np.float32
    assert np.array_equal(planes, expected_planes)
    assert np.array_equal(crop_face(FRAME, box, UNET_328, interpolation), crop)
    assert np.array_equal(finished, reference.paste(FRAME, sides(box), crop, prediction, interpolation.value))
    outside = np.ones(FRAME.shape[:2], bool)
    outside[box.y0 : box.y1, box.x0 : box.x1] = False
    assert np.array_equal(finished[outside], FRAME[outside])
    assert np.array_equal(FRAME, before)


@pytest.mark.parametrize("interpolation", list(Interpolation))
@pytest.mark.parametrize("side", [1, 3, 80, 161, 327, 328, 329, 380])
def test_squares_at_every_edge(interpolation: Interpolation, side: int) -> None:
    for x0 in {0, (WIDTH - side) // 2, WIDTH - side}:
        for y0 in {0, (HEIGHT - side) // 2, HEIGHT - side}:
            box = FaceBox(x0, y0, x0 + side, y0 + side)
            _, crop = reference.network_input(FRAME, sides(box), interpolation.value)
            expected = reference.paste(FRAME, sides(box), crop, PREDICTION, interpolation.value)
            assert np.array_equal(finish(FRAME, box, PREDICTION, interpolation)[1], expected)


def test_a_batch_of_planes_is_its_frames_planes() -> None:
    box = FaceBox(30, 20, 330, 320)
    crops = np.stack([crop_face(textured(seed), box, UNET_328, Interpolation.CUBIC) for seed in range(3)])
    planes = network_planes(crops, UNET_328)
    assert planes.flags.c_contiguous
    for crop, plane in zip(crops, planes, strict=True):
        assert np.array_equal(network_planes(crop[None], UNET_328)[0], plane)


def test_the_mask_is_exactly_zero_and_leaves_the_rest() -> None:
    crops = np.full((1, 328, 328, 3), 255, np.uint8)
    planes = network_planes(crops, UNET_328)[0]
    assert (planes[:3] == 1).all()
    assert (planes[3:, 5:310, 5:315] == 0).all()
    assert planes[3:].sum() == 3 * (320 * 320 - 305 * 310)


def test_planes_are_blue_green_red() -> None:
    crops = np.full((1, 328, 328, 3), (10, 20, 30), np.uint8)
    planes = network_planes(crops, UNET_328)[0]
    assert np.array_equal(planes[:3, 0, 0], np.array([10, 20, 30], np.float32) / np.float32(255))
    assert np.array_equal(planes[3:, 0, 0], planes[:3, 0, 0])


def test_every_level_survives_the_way_to_the_network_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    planes = levels.astype(np.float32) / np.float32(255)
    prediction = np.broadcast_to(planes, (3, 2, 256))
    assert np.array_equal(to_pixels(prediction)[0, :, 0], reference_levels(planes))


def reference_levels(values: NDArray[np.float32]) -> Image:
    """The reference's truncation, which wants whole planes."""
    planes = np.zeros((3, 320, 320), np.float32)
    planes[0, 0, : len(values)] = values
    return reference.to_levels(planes)[0, : len(values), 0]


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=320))
def test_values_are_truncated_as_in_the_reference(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    assert np.array_equal(to_pixels(np.broadcast_to(values, (3, 1, len(values))))[0, :, 1], reference_levels(values))


def test_values_are_truncated_and_not_rounded() -> None:
    for level in (1, 127, 128, 255):
        just_below = np.nextafter(np.float32(level) / np.float32(255), np.float32(0))
        below = np.floor(float(just_below * np.float32(255)))
        assert to_pixels(np.full((3, 1, 1), just_below, np.float32))[0, 0, 0] == below
    assert to_pixels(np.full((3, 1, 1), 0.999999, np.float32))[0, 0, 0] == 254


def with_one(value: float | np.float32) -> Planes:
    prediction = np.full((3, 4, 4), 0.5, np.float32)
    prediction[1, 2, 3] = value
    return prediction


def fault_of(prediction: Planes) -> PredictionFault | None:
    # The extremes are taken as a runtime may take them: passing over what is not a number.
    with np.errstate(invalid="ignore"):
        total = float(prediction.sum())
    return prediction_fault(float(np.nanmin(prediction)), float(np.nanmax(prediction)), total)


UPPER, LOWER = np.float32(256 / 255), np.float32(-1 / 255)
NEAREST = [np.nextafter(UPPER, np.float32(0)), np.nextafter(LOWER, np.float32(0))]


@pytest.mark.parametrize("value", [0.0, 1.0, -0.0, 1e-30, -1e-30, *NEAREST])
def test_what_truncates_into_a_byte_is_shown(value: float) -> None:
    prediction = with_one(value)
    assert fault_of(prediction) is None
    assert to_pixels(prediction)[2, 3, 1] == (0 if value < 0.5 else 255)


@pytest.mark.parametrize("value", [UPPER, LOWER, np.nextafter(UPPER, np.float32(2)), 2.0, -1.0, np.inf, -np.inf])
def test_what_would_wrap_around_is_a_fault(value: float) -> None:
    fault = fault_of(with_one(value))
    assert fault is not None
    if np.isfinite(value):
        assert fault == PredictionFault(
            "the model returned values outside of [0, 1]", (min(value, 0.5), max(value, 0.5))
        )
    else:
        assert fault == PredictionFault("the model returned infinite values")


def test_a_fault_is_told_in_the_networks_own_range() -> None:
    fault = PredictionFault("the model returned values outside of [-1, 1]", (-2.0, 1.5))
    assert prediction_fault(-0.5, 1.25, 0, (-1.0, 1.0)) == fault
    assert prediction_fault(0, 1, 0, (-1.0, 1.0)) is None


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        ((-1.0, 1.0), "[-1, 1], as after tanh"),
        ((-0.3, 0.2), "[-1, 1], as after tanh"),
        ((0.0, 255.0), "[0, 255]"),
        ((3.0, 180.0), "[0, 255]"),
        ((-7.5, 6.0), "no bounds, as before a sigmoid"),
        ((-0.2, 1.4), "no bounds, as before a sigmoid"),
        ((0.0, 900.0), "no bounds, as before a sigmoid"),
    ],
)
def test_what_an_output_looks_like(values: tuple[float, float], guess: str) -> None:
    assert guess in guess_output(*values)
    assert guess_output(*values).endswith("for [0, 1]")


@settings(max_examples=examples(200), deadline=None)
@given(st.floats(width=32))
def test_a_prediction_is_shown_exactly_if_it_truncates_into_a_byte(value: float) -> None:
    with np.errstate(over="ignore"):
        product = np.float32(value) * np.float32(255)
    fits = bool(np.isfinite(product)) and 0 <= int(np.trunc(product)) <= 255
    assert (fault_of(with_one(value)) is None) == fits


def test_not_a_number_is_found() -> None:
    prediction = with_one(np.nan)
    prediction[0, 0, 0] = np.nan
    assert fault_of(prediction) == PredictionFault("the model returned NaN")
    # An infinity beside it does not hide it.
    prediction[2, 2, 2] = np.inf
    assert "NaN" in str(fault_of(prediction))


@given(left=st.integers(0, 9), width=st.integers(1, 70), height=st.integers(1, 70), order=st.permutations([0, 1, 2]))
def test_colours_come_apart_and_together_again(left: int, width: int, height: int, order: list[int]) -> None:
    """Also of a part of a read-only picture, whose rows do not follow each other, and of colours in any order."""
    picture = FRAME[5 : 5 + height, left : left + width]
    picture.flags.writeable = False
    planes = to_planes(picture)
    assert np.array_equal(planes, picture.transpose(2, 0, 1))
    assert not np.shares_memory(planes, FRAME)
    assert np.array_equal(from_planes(planes[order]), picture[..., order])
