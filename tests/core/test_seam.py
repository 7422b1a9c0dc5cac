"""The seam: steps of known height, content that is no seam, and the reference on pictures of any kind."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import reference_blend
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import CONTENTS, picture
from reference_blend import UNET, WAV2LIP, Shape

from actors.core.clip import FaceBox
from actors.core.face_box import SubpixelBox
from actors.core.kind import ModelKind
from actors.core.pixels import Image
from actors.core.seam import EDGES, edge_pixels, seam_lines, seams
from actors.kinds.unet_328_ave import KIND as UNET_328

LOWER_HALF = replace(UNET_328, name="lower-half", crop=96, inner=96, mask=(0, 48, 96, 48))
KINDS = [(UNET_328, UNET), (LOWER_HALF, WAV2LIP)]

# A square of the crop's size, so that its edges lie where the kind says.
RECT = FaceBox(20, 12, 348, 340)
INNER = FaceBox(24, 16, 344, 336)
MASK = FaceBox(29, 21, 339, 326)
EDGE_RECTS = dict(zip(EDGES, (RECT, INNER, MASK), strict=True))


def grainy(sigma: float, height: int = 380, width: int = 420) -> Image:
    """Slow waves and grain, as a camera sees skin."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = 130 + 40 * np.sin(x / 45) * np.cos(y / 38)
    grain = np.random.default_rng(1).normal(0, sigma, (height, width, 3))
    return np.asarray(np.clip(waves[..., None] + grain, 0, 255), np.uint8)


def raised(frame: Image, box: FaceBox, levels: int) -> Image:
    """The frame with everything in a rectangle brighter."""
    changed = frame.copy()
    changed[box.y0 : box.y1, box.x0 : box.x1] += np.uint8(levels)
    return changed


def measured(before: Image, after: Image, square: SubpixelBox, kind: ModelKind = UNET_328) -> tuple[float, str]:
    box = square.pixels
    lines = seam_lines(before, square, kind)
    (found,) = seams([(lines, edge_pixels(lines, after[box.y0 : box.y1, box.x0 : box.x1]))])
    return found.value, found.edge


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("levels", [1, 2, 10, 100])
def test_a_step_of_known_height_on_a_flat_picture(edge: str, levels: int) -> None:
    """Nothing is beside it, so the ratio is that of the step and one level to one level; flat pictures divide by 1."""
    flat = np.full((380, 420, 3), 90, np.uint8)
    value, where = measured(flat, raised(flat, EDGE_RECTS[edge], levels), SubpixelBox.of(RECT))
    assert value == pytest.approx(levels + 1)
    assert where == edge


def test_an_untouched_frame_has_no_seam() -> None:
    for frame in (grainy(0), grainy(3), np.zeros((380, 420, 3), np.uint8)):
        assert measured(frame, frame, SubpixelBox.of(RECT))[0] == 1


@pytest.mark.parametrize("edge", EDGES)
def test_a_step_counts_by_how_far_it_stands_out_of_what_is_beside_it(edge: str) -> None:
    smooth, rough = (
        measured(frame, raised(frame, EDGE_RECTS[edge], 8), SubpixelBox.of(RECT)) for frame in (grainy(0.5), grainy(8))
    )
    assert smooth[1] == rough[1] == edge
    assert smooth[0] > 3
    assert 1.5 < rough[0] < smooth[0] / 1.5


def test_a_ramp_hides_a_step() -> None:
    frame = grainy(1)
    hard = measured(frame, raised(frame, INNER, 9), SubpixelBox.of(RECT))[0]
    soft = frame.copy()
    for step in range(1, 10):
        inside = FaceBox(INNER.x0 + step // 2, INNER.y0 + step // 2, INNER.x1 - step // 2, INNER.y1 - step // 2)
        soft = raised(soft, inside, 1)
    assert hard > 3
    assert measured(frame, soft, SubpixelBox.of(RECT))[0] < 1.5 < hard


def test_one_side_is_enough() -> None:
    frame = grainy(1)
    below = raised(frame, FaceBox(RECT.x0, MASK.y1, RECT.x1, RECT.y1 - 3), 8)
    assert measured(frame, below, SubpixelBox.of(RECT))[1] == "mask"
    assert measured(frame, below, SubpixelBox.of(RECT))[0] > 2


def test_single_pixels_do_not_decide() -> None:
    frame = grainy(1)
    spotted = frame.copy()
    spotted[INNER.y0, INNER.x0 + 70] = 255
    spotted[INNER.y0 + 50, MASK.x1 - 1] = 0
    assert measured(frame, spotted, SubpixelBox.of(RECT))[0] < 1.25


def test_what_moves_inside_of_the_mask_is_no_seam() -> None:
    frame = grainy(2)
    other = frame.copy()
    other[100:250, 80:280] = grainy(2)[180:330, 20:220]
    assert measured(frame, other, SubpixelBox.of(RECT))[0] == 1


def test_an_edge_of_the_picture_itself_is_no_seam() -> None:
    """A dark collar that ends exactly at the square's edge is as visible without the paste."""
    frame = grainy(1)
    frame[RECT.y1 :] //= 4
    softened = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.6), np.uint8)
    finished = frame.copy()
    finished[MASK.y0 : MASK.y1, MASK.x0 : MASK.x1] = softened[MASK.y0 : MASK.y1, MASK.x0 : MASK.x1]
    assert measured(frame, finished, SubpixelBox.of(RECT))[0] < 1.3


def test_the_frames_own_edge_is_no_seam() -> None:
    flat = np.full((328, 420, 3), 90, np.uint8)
    square = SubpixelBox(0, 0, 328, 328)
    bright = raised(flat, square.pixels, 20)
    # Its left, upper and lower edges are the frame's: only the right one can be seen.
    value, where = measured(flat, bright, square)
    assert value == pytest.approx(21)
    assert where == "square"
    whole = np.full((328, 328, 3), 90, np.uint8)
    assert measured(whole, whole + np.uint8(20), SubpixelBox(0, 0, 328, 328)) == (1, "inner")


def test_a_frame_that_is_too_small_for_any_line_has_none() -> None:
    tiny = np.full((3, 3, 3), 90, np.uint8)
    assert measured(tiny, tiny, SubpixelBox(0, 0, 3, 3)) == (0, "")


def test_many_frames_at_once_give_what_each_gives() -> None:
    """Frames of several layouts, mixed, and more of one than are measured together."""
    frames = []
    for i in range(45):
        picture_ = grainy(1 + i % 5)
        side = (60, 90, 90, 200)[i % 4]
        # Now and then at the frame's edge, where lines are missing.
        square = SubpixelBox(0 if i % 7 == 0 else 10.25 + i, 20, (0 if i % 7 == 0 else 10.25 + i) + side, 20 + side)
        box = square.pixels
        lines = seam_lines(picture_, square, UNET_328)
        finished = raised(picture_, FaceBox(box.x0 + 2, box.y0 + 2, box.x1 - 2, box.y1 - 2), i)
        frames.append((lines, edge_pixels(lines, finished[box.y0 : box.y1, box.x0 : box.x1])))
    together = seams(frames)
    alone = [seams([frame])[0] for frame in frames]
    assert [one.edge for one in together] == [one.edge for one in alone]
    assert [one.value for one in together] == pytest.approx([one.value for one in alone], rel=1e-6)
    assert len({one.value for one in together}) > 20
    assert seams([]) == []


@st.composite
def squares(draw: st.DrawFn) -> SubpixelBox:
    """Anywhere in a frame of 90 x 70, oblong or not, with edges between pixels."""
    x0, x1 = sorted(draw(st.tuples(st.integers(0, 90 * 256), st.integers(0, 90 * 256))))
    y0, y1 = sorted(draw(st.tuples(st.integers(0, 70 * 256), st.integers(0, 70 * 256))))
    return SubpixelBox(min(x0 / 256, 89), min(y0 / 256, 69), max(x1 / 256, x0 / 256 + 1), max(y1 / 256, y0 / 256 + 1))


@pytest.mark.parametrize(("kind", "shape"), KINDS, ids=["unet", "lower half"])
@settings(max_examples=examples(60), deadline=None)
@example(square=SubpixelBox(10, 10, 40.25, 40.5), before="noise", after="slope", seed=1)
@example(square=SubpixelBox(10, 10, 40.5, 40.25), before="noise", after="slope", seed=1)
@example(square=SubpixelBox(0, 0, 1, 2.5), before="noise", after="noise", seed=0)
@given(square=squares(), before=st.sampled_from(CONTENTS), after=st.sampled_from(CONTENTS), seed=st.integers(0, 2**32))
def test_the_seam_is_that_of_the_reference(
    kind: ModelKind, shape: Shape, square: SubpixelBox, before: str, after: str, seed: int
) -> None:
    frame, finished = picture(before, 70, 90, seed), picture(before, 70, 90, seed)
    box = square.pixels
    if not box.inside(90, 70):
        return
    finished[box.y0 : box.y1, box.x0 : box.x1] = picture(after, box.height, box.width, seed + 1)
    value, edge = measured(frame, finished, square, kind)
    wanted, where = reference_blend.seam(shape, frame, finished, (square.x0, square.y0, square.x1, square.y1))
    assert value == pytest.approx(wanted, rel=1e-4)
    if where:
        # Lines of several edges may coincide.
        assert edge in EDGES
    else:
        assert edge == ""
