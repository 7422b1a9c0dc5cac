"""Blending against the reference: every weight, every mixture, and what must stay to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference_blend
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_blend import UNET, WAV2LIP, Shape

from actors.core.blend import KEPT, blended, feather_weights, protect_foreground
from actors.core.clip import FaceBox
from actors.core.face_box import SubpixelBox
from actors.core.kind import ModelKind
from actors.core.pixels import Image
from actors.kinds.unet_328_ave import KIND as UNET_328

# The lower half is masked and there is no border: on three sides the mask touches the edge.
LOWER_HALF = replace(UNET_328, name="lower-half", crop=96, inner=96, mask=(0, 48, 96, 48))
KINDS = [(UNET_328, UNET), (LOWER_HALF, WAV2LIP)]


@st.composite
def squares(draw: st.DrawFn) -> SubpixelBox:
    """Squares and oblongs with edges on 256ths of a pixel."""
    x0, y0 = (draw(st.integers(0, 9 * 256)) / 256 for _ in range(2))
    width, height = (draw(st.integers(256, 60 * 256)) / 256 for _ in range(2))
    return SubpixelBox(x0, y0, x0 + width, y0 + height)


def sides(square: SubpixelBox) -> reference_blend.Box:
    return (square.x0, square.y0, square.x1, square.y1)


def noise(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("kind", "shape"), KINDS, ids=["unet", "lower half"])
@settings(max_examples=examples(25), deadline=None)
@given(square=squares())
def test_weights_are_those_of_the_reference(kind: ModelKind, shape: Shape, square: SubpixelBox) -> None:
    away = feather_weights(square, kind).astype(int) - reference_blend.feather(shape, sides(square))
    # A weight that lies between two 255ths may be rounded either way; of a tiny box that is one of few.
    assert np.abs(away).max() <= 1
    assert (away != 0).sum() <= max(1, away.size // 20)


def test_weights_follow_the_margins_that_the_network_sees() -> None:
    """At the crop's own size: 4 px of border, then ramps of 5 px left, top and right and of 10 px below."""
    weights = feather_weights(SubpixelBox(0, 0, 328, 328), UNET_328)
    short = [0] * 4 + [26, 76, 128, 178, 230]
    assert weights[164, :10].tolist() == [*short, 255]
    assert weights[164, -10:].tolist() == [255, *reversed(short)]
    assert weights[:10, 164].tolist() == [*short, 255]
    assert weights[-15:, 164].tolist() == [255, 242, 217, 191, 166, 140, 115, 89, 64, 38, 13, 0, 0, 0, 0]
    # All that the mask hides is the network's alone.
    assert (weights[9:314, 9:319] == 255).all()


def test_where_the_mask_touches_the_edge_the_ramp_lies_inside_of_it() -> None:
    weights = feather_weights(SubpixelBox(0, 0, 96, 96), LOWER_HALF)
    ramp = [21, 64, 106, 149, 191, 234]
    assert weights[70, :7].tolist() == [*ramp, 255]
    assert weights[-7:, 48].tolist() == [255, *reversed(ramp)]
    # Above the mask everything is seen: only the last sixteenth of the side is mixed, the rest is the frame's.
    assert weights[41:49, 48].tolist() == [0, *ramp, 255]
    assert (weights[:42] == 0).all()


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_mixing_is_exact_and_untouched_where_the_weight_is_nothing(seed: int, height: int, width: int) -> None:
    original, square = noise(seed, height, width), noise(seed + 1, height, width)
    weights = noise(seed + 2, height, width)[:, :, 0]
    weights[::3] = 0
    weights[1::5] = 255
    mixed = blended(original, square, weights)
    assert np.array_equal(mixed, reference_blend.mix(original, square, weights))
    assert np.array_equal(mixed[weights == 0], original[weights == 0])
    assert np.array_equal(mixed[weights == 255], square[weights == 255])


def test_every_weight_mixes_every_pair_of_extremes_exactly() -> None:
    weights = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    original = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 256, axis=1).repeat(3, axis=2)
    for level in (0, 1, 127, 254, 255):
        square = np.full_like(original, level)
        assert np.array_equal(blended(original, square, weights), reference_blend.mix(original, square, weights))


def test_red_and_white_of_a_parsing_keep_the_frame() -> None:
    parsing = np.zeros((4, 5, 3), np.uint8)
    # Neighbours of the two colours are not meant: an image that was scaled or compressed has many.
    parsing[0] = [(0, 0, 255), (255, 255, 255), (0, 0, 254), (255, 255, 254), (255, 0, 0)]
    assert protect_foreground(None, parsing)[0].tolist() == [0, 0, 255, 255, 255]
    assert (protect_foreground(None, parsing)[1:] == 255).all()
    weights = np.arange(20, dtype=np.uint8).reshape(4, 5) * 10
    kept = protect_foreground(weights, parsing)
    assert kept[0].tolist() == [0, 0, 20, 30, 40]
    assert np.array_equal(kept, reference_blend.keep_parsed(weights, parsing))
    assert weights[0, 1] == 10
    assert set(KEPT) == {(0, 0, 255), (255, 255, 255)}


def test_weights_belong_to_the_pixels_that_are_written() -> None:
    square = SubpixelBox(10.75, 20.25, 40.5, 49.75)
    box = square.pixels
    assert box == FaceBox(11, 20, 40, 50)
    assert feather_weights(square, UNET_328).shape == (box.height, box.width)
