"""Conversion to 4:2:0 against the formulas of ITU-R BT.709-6, and of a part of a frame against that of the whole."""

import cv2
import numpy as np
import pytest
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.clip import FaceBox
from actors.core.pixels import Image, paste
from actors.core.yuv import patch_yuv420, to_yuv420

Floats = NDArray[np.float64]


def formula(image: NDArray[np.uint8] | Floats) -> Floats:
    """Y', Cb and Cr of every pixel ``(..., 3)`` before rounding, by the definition of BT.709-6, items 3 and 4."""
    blue, green, red = np.moveaxis(np.asarray(image, np.float64) / 255, -1, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return np.stack([16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748], -1)


def reference(image: Image) -> tuple[Floats, Floats, Floats]:
    """The three planes before rounding; chroma of the mean of 2 x 2 pixels."""
    height, width = image.shape[:2]
    means = image.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    return formula(image)[..., 0], formula(means)[..., 1], formula(means)[..., 2]


def parts(planes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Y', Cb and Cr as planes of their own: the array is read sample by sample."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    samples = planes.ravel()
    luma, quarter = height * width, height * width // 4
    chroma = samples[luma : luma + quarter], samples[luma + quarter :]
    return samples[:luma].reshape(height, width), *(plane.reshape(height // 2, width // 2) for plane in chroma)


def textured(seed: int, height: int, width: int) -> Image:
    """Saturated colours, soft and hard edges, black and white."""
    rng = np.random.default_rng(seed)
    coarse = np.asarray(cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), 3))
    return np.clip(128 + 700 * coarse + 40 * rng.normal(size=(height, width, 3)), 0, 255).astype(np.uint8)


even = st.integers(1, 80).map(lambda half: 2 * half)


@st.composite
def boxes(draw: st.DrawFn, height: int, width: int) -> FaceBox:
    """Rectangles of any size at any place, odd and even, touching any edge or none."""
    columns, rows = draw(st.integers(1, width)), draw(st.integers(1, height))
    x0 = draw(st.one_of(st.sampled_from([0, width - columns]), st.integers(0, width - columns)))
    y0 = draw(st.one_of(st.sampled_from([0, height - rows]), st.integers(0, height - rows)))
    return FaceBox(x0, y0, x0 + columns, y0 + rows)


# 8-bit samples of colour bars of full amplitude, as tables of BT.709 list them: colour in BGR, then Y', Cb, Cr.
BARS = [
    ((255, 255, 255), (235, 128, 128)),
    ((0, 255, 255), (219, 16, 138)),
    ((255, 255, 0), (188, 154, 16)),
    ((0, 255, 0), (173, 42, 26)),
    ((255, 0, 255), (78, 214, 230)),
    ((0, 0, 255), (63, 102, 240)),
    ((255, 0, 0), (32, 240, 118)),
    ((0, 0, 0), (16, 128, 128)),
]


@pytest.mark.parametrize(("colour", "samples"), BARS)
def test_colour_bars(colour: tuple[int, int, int], samples: tuple[int, int, int]) -> None:
    planes = parts(to_yuv420(np.full((6, 4, 3), colour, np.uint8)))
    assert [np.unique(plane).tolist() for plane in planes] == [[sample] for sample in samples]


def test_every_grey_has_no_colour() -> None:
    greys = np.arange(256).repeat(4).reshape(256, 2, 2).transpose(1, 0, 2).reshape(2, 512, 1).repeat(3, 2)
    luma, *chroma = parts(to_yuv420(greys.astype(np.uint8)))
    # Halves do not occur: 219 g / 255 = k + 1/2 has no whole solution, because 146 g is even and 85 (2k + 1) odd.
    assert np.array_equal(luma[0, ::2], np.rint(16 + 219 * np.arange(256) / 255))
    assert np.unique(chroma).tolist() == [128]


@pytest.mark.parametrize("blue", [0, 1, 77, 128, 254, 255])
def test_samples_are_rounded_from_the_formula(blue: int) -> None:
    """A plane through the colour cube, every colour of it, four pixels each."""
    green, red = np.mgrid[0:256, 0:256]
    colours = np.stack([np.full_like(green, blue), green, red], -1)
    image = colours.astype(np.uint8).repeat(2, 0).repeat(2, 1)
    luma, *chroma = parts(to_yuv420(image))
    for plane, exact in zip([luma[::2, ::2], *chroma], np.moveaxis(formula(colours), -1, 0), strict=True):
        error = plane - exact
        assert np.abs(error).max() < 0.505
        assert abs(error.mean()) < 0.005


@given(even, even, st.integers(0, 2**32 - 1))
@example(2, 2, 0)
@example(130, 66, 1)
@settings(max_examples=examples(60), deadline=None)
def test_planes_are_those_of_the_formula(height: int, width: int, seed: int) -> None:
    image = textured(seed, height, width)
    planes = to_yuv420(image)
    assert planes.shape == (height * 3 // 2, width)
    assert planes.dtype == np.uint8
    for plane, exact in zip(parts(planes), reference(image), strict=True):
        assert np.abs(plane - exact).max() < 0.505


def test_the_picture_becomes_neither_darker_nor_tinted() -> None:
    image = textured(5, 240, 320)
    for plane, exact in zip(parts(to_yuv420(image)), reference(image), strict=True):
        assert abs((plane - exact).mean()) < 0.02


def test_chroma_repeated_over_its_pixels_comes_back() -> None:
    """What decoders that repeat chroma make of 4:2:0 video: another generation must not blur or shift it."""
    rng = np.random.default_rng(3)
    chroma = rng.integers(118, 139, (2, 20, 30)).astype(np.float64)
    blue, red = (chroma.repeat(2, 1).repeat(2, 2) - 128) / 224
    luma = (rng.integers(90, 140, (40, 60)) - 16) / 219
    full_blue, full_red = luma + 1.8556 * blue, luma + 1.5748 * red
    full_green = (luma - 0.0722 * full_blue - 0.2126 * full_red) / 0.7152
    image = np.rint(255 * np.stack([full_blue, full_green, full_red], -1))
    assert 0 <= image.min() <= image.max() <= 255
    _, *found = parts(to_yuv420(image.astype(np.uint8)))
    assert np.abs(np.array(found) - chroma).max() <= 1
    assert (np.array(found) == chroma).mean() > 0.95


@st.composite
def patches(draw: st.DrawFn) -> tuple[int, int, FaceBox, int]:
    height, width = draw(even), draw(even)
    return height, width, draw(boxes(height, width)), draw(st.integers(0, 2**32 - 1))


@given(patches(), st.booleans())
@example((130, 66, FaceBox(0, 0, 66, 130), 1), False)
@example((130, 66, FaceBox(65, 129, 66, 130), 2), False)
@example((64, 64, FaceBox(1, 1, 2, 2), 3), True)
@settings(max_examples=examples(150), deadline=None)
def test_a_patch_equals_the_whole(patch: tuple[int, int, FaceBox, int], pasted: bool) -> None:
    """Around the rectangle the frame may be given before or after the square was pasted into it."""
    height, width, box, seed = patch
    frame, square = textured(seed, height, width), textured(seed ^ 1, box.height, box.width)
    finished = paste(frame, square, box)
    background = to_yuv420(frame)
    for shared in (background, frame, finished):
        shared.setflags(write=False)
    found = patch_yuv420(background, finished if pasted else frame, square, box)
    assert found.tobytes() == to_yuv420(finished).tobytes()
    assert found.flags.c_contiguous


def test_a_patch_of_full_size_frames() -> None:
    """The sizes of a real clip, where OpenCV takes other paths than for small pictures."""
    frame = textured(8, 720, 1280)
    background = to_yuv420(frame)
    for x, y in ((531, 209), (530, 210), (0, 498), (1058, 0)):
        box = FaceBox(x, y, x + 222, y + 222)
        square = textured(x, 222, 222)
        expected = to_yuv420(paste(frame, square, box))
        assert np.array_equal(patch_yuv420(background, frame, square, box), expected)


@pytest.mark.parametrize("size", [(3, 4), (4, 3), (5, 5)])
def test_odd_sides_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even sides"):
        to_yuv420(np.zeros((*size, 3), np.uint8))
