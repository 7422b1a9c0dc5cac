"""Colours fitted on the margin: against the reference, on pictures whose colours are known to be off, and over time."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import reference_blend
from reference_blend import UNET, WAV2LIP, Shape

from actors.core.colour import (
    LEAST_GAIN,
    MOST_GAIN,
    WEIGHTS,
    ColourFit,
    fit_colours,
    has_margin,
    matched,
    smoothed,
)
from actors.core.kind import ModelKind
from actors.core.pixels import Image
from actors.kinds.unet_328_ave import KIND as UNET_328

LOWER_HALF = replace(UNET_328, name="lower-half", crop=96, inner=96, mask=(0, 48, 96, 48))
ALL = replace(UNET_328, name="all", mask=(0, 0, 320, 320))


def picture(seed: int, side: int) -> Image:
    """Blurred noise around grey with some contrast, away from black and white."""
    rough = np.random.default_rng(seed).normal(size=(side, side, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(rough, (0, 0), 4))
    return np.asarray(np.clip(128 + 25 * smooth / smooth.std(), 60, 200), np.uint8)


def inner_of(crop: Image, kind: ModelKind) -> Image:
    return crop[kind.border : kind.border + kind.inner, kind.border : kind.border + kind.inner]


def tinted(image: Image, gain: tuple[float, ...], offset: tuple[float, ...]) -> Image:
    return np.asarray(np.clip(np.rint(image * np.array(gain) + np.array(offset)), 0, 255), np.uint8)


@pytest.mark.parametrize(("kind", "shape"), [(UNET_328, UNET), (LOWER_HALF, WAV2LIP)], ids=["unet", "lower half"])
def test_a_fit_is_that_of_the_reference(kind: ModelKind, shape: Shape) -> None:
    crop = picture(1, kind.crop)
    mouth = tinted(picture(1, kind.crop), (0.9, 1.05, 0.97), (11, -6, 4))
    mouth = inner_of(mouth, kind).copy()
    # What the mask hides may be anything, and so may a part of the margin.
    x, y, width, height = kind.mask
    mouth[y : y + height, x : x + width] = 7
    mouth[:4, 20:40] = 255
    fit = fit_colours(crop, mouth, kind)
    lines = reference_blend.fit_colours(shape, inner_of(crop, kind), mouth)
    assert np.allclose(list(zip(fit.gain, fit.offset, strict=True)), lines, rtol=1e-9)
    assert np.array_equal(matched(mouth, fit), reference_blend.recolour(mouth, lines))


def test_colours_that_are_off_come_back() -> None:
    crop = picture(2, UNET_328.crop)
    inner = inner_of(crop, UNET_328)
    mouth = tinted(inner, (0.9, 0.95, 1.1), (10, 2, -9))
    assert np.abs(mouth.astype(int) - inner).mean() > 2
    found = matched(mouth, fit_colours(crop, mouth, UNET_328))
    assert np.abs(found.astype(int) - inner).max() <= 1


def test_a_margin_that_is_right_changes_nothing() -> None:
    crop = picture(3, UNET_328.crop)
    mouth = inner_of(crop, UNET_328).copy()
    fit = fit_colours(crop, mouth, UNET_328)
    assert fit == ColourFit((1, 1, 1), (0, 0, 0))
    assert np.array_equal(matched(mouth, fit), mouth)


def test_something_else_in_part_of_the_margin_does_not_decide() -> None:
    crop = picture(4, UNET_328.crop)
    mouth = tinted(inner_of(crop, UNET_328), (1, 1, 1), (6, 6, 6))
    clean = fit_colours(crop, mouth, UNET_328)
    mouth[-8:, 40:160] = 255
    spoilt = fit_colours(crop, mouth, UNET_328)
    assert np.allclose(spoilt.gain, clean.gain, atol=0.02)
    assert np.allclose(matched(mouth, spoilt)[100:200], matched(mouth, clean)[100:200], atol=1)


def test_no_fit_stretches_colours_without_bounds() -> None:
    crop = picture(5, UNET_328.crop)
    for gain, expected in ((0.2, MOST_GAIN), (1.9, LEAST_GAIN)):
        mouth = tinted(inner_of(crop, UNET_328), (gain,) * 3, (128 - 128 * gain,) * 3)
        fit = fit_colours(crop, mouth, UNET_328)
        assert fit.gain == (expected,) * 3
    # Without contrast there is no gain to be told, but an offset.
    flat = np.full((UNET_328.crop, UNET_328.crop, 3), 90, np.uint8)
    fit = fit_colours(flat, np.full((UNET_328.inner, UNET_328.inner, 3), 100, np.uint8), UNET_328)
    assert (fit.gain, fit.offset) == ((1, 1, 1), (-10, -10, -10))


def test_what_is_matched_stays_within_a_byte() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    out = matched(image, ColourFit((1.25, 0.8, 1), (-40, 30, 0.5)))
    assert out[0, 0].tolist() == [0, 30, 0]
    assert out[15, 15].tolist() == [255, 234, 255]
    assert np.array_equal(out, reference_blend.recolour(image, [(1.25, -40), (0.8, 30), (1, 0.5)]))


def test_neighbours_count_by_their_distance_and_faulty_ones_not_at_all() -> None:
    def level(offset: float) -> ColourFit:
        return ColourFit((1.0, 1.0, 1.0), (offset, 2 * offset, 0.0))

    fits = {10: level(16.0), 11: level(0.0), 12: level(32.0), 13: level(0.0), 14: level(0.0), 99: level(1000.0)}
    assert smoothed(fits, 12).offset == ((16 * 1 + 32 * 6) / 16, (32 * 1 + 64 * 6) / 16, 0)
    del fits[10]
    assert smoothed(fits, 12).offset == (32 * 6 / 15, 64 * 6 / 15, 0)
    assert smoothed({12: level(5.0)}, 12) == level(5.0)
    assert sum(WEIGHTS.values()) == 16
    lines = {t: list(zip(fit.gain, fit.offset, strict=True)) for t, fit in fits.items()}
    for frame in (11, 12, 13, 99):
        fit = smoothed(fits, frame)
        assert list(zip(fit.gain, fit.offset, strict=True)) == reference_blend.smooth_fits(lines, frame)


def test_a_kind_that_masks_all_it_paints_has_nothing_to_compare() -> None:
    assert has_margin(UNET_328)
    assert has_margin(LOWER_HALF)
    assert not has_margin(ALL)
