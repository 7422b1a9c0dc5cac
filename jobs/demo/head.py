"""The presenter's head without its face: hair, ears, skin. Units: pixels, the middle of the mouth at 0, 0."""

from __future__ import annotations

import numpy as np

from jobs.demo.canvas import (
    Canvas,
    Colour,
    Layer,
    Mask,
    Point,
    between,
    ellipse,
    flip,
    gradient,
    mirror,
    radial,
    smooth,
    stroke,
)

LEFT, TOP, WIDTH, HEIGHT = -200.0, -300.0, 400, 480
SCALE = 2
SEED = 11

SKIN: Colour = (158, 188, 234)
SKIN_LIGHT: Colour = (188, 213, 248)
SKIN_SHADE: Colour = (106, 134, 194)
SKIN_DEEP: Colour = (66, 86, 142)
BLUSH: Colour = (118, 126, 222)
HAIR: Colour = (36, 46, 74)
HAIR_DARK: Colour = (17, 21, 37)
HAIR_LIGHT: Colour = (78, 106, 158)
RIM: Colour = (214, 196, 160)

# Right half of the outline from the crown to the chin.
_FACE: list[Point] = [
    (0, -234),
    (46, -228),
    (82, -208),
    (103, -174),
    (110, -134),
    (111, -98),
    (109, -64),
    (104, -32),
    (95, -2),
    (80, 27),
    (60, 51),
    (40, 67),
    (20, 75.5),
    (0, 77),
]

# The front hair hangs between two lines on each side, from the parting to behind the ear: first along the forehead,
# then along the skull. Left and right differ, because the parting is off the middle.
_PART: Point = (24, -238)
_LEFT_INNER: list[Point] = [_PART, (0, -213), (-36, -193), (-70, -171), (-93, -142), (-105, -108), (-121, -72)]
_LEFT_OUTER: list[Point] = [(22, -267), (-24, -270), (-76, -256), (-117, -224), (-137, -178), (-138, -130), (-132, -66)]
_RIGHT_INNER: list[Point] = [_PART, (38, -219), (62, -203), (84, -180), (99, -148), (107, -110), (121, -72)]
_RIGHT_OUTER: list[Point] = [(22, -267), (56, -266), (92, -249), (121, -216), (136, -174), (137, -128), (132, -66)]
# The back hair, likewise, from the skull to its ends.
_BACK_INNER: list[Point] = [(60, -170), (84, -110), (90, -50), (88, 10), (80, 62), (66, 104)]
_BACK_OUTER: list[Point] = [(104, -214), (130, -150), (139, -84), (145, -14), (145, 52), (130, 112)]


def canvas() -> Canvas:
    """An empty layer of the head's size."""
    return Canvas(LEFT, TOP, WIDTH, HEIGHT, SCALE)


def face_mask(c: Canvas) -> Mask:
    """The outline of the face."""
    return c.mask(smooth(mirror(_FACE)))


def _strands(
    c: Canvas, rng: np.random.Generator, lines: tuple[list[Point], list[Point]], count: int, within: Mask | None
) -> None:
    """Hairs between two lines, light ones and dark ones, each tapering to its ends."""
    inner, outer = lines
    for _ in range(count):
        share = float(rng.uniform(0.01, 0.99))
        wander = rng.normal(0, 1.6, 2)
        line = [(x + float(wander[0]), y + float(wander[1])) for x, y in between(inner, outer, share)]
        # Where the skull turns to the light, in the upper middle, more hairs are light.
        light = rng.random() < 0.62 - 0.9 * abs(share - 0.45)
        tone = HAIR_LIGHT if light else HAIR_DARK
        outline = stroke(line, (0.3, 1.3, 2.0, 2.2, 1.6, 0.3))
        c.fill(c.mask(outline, within=within), tone, float(rng.uniform(0.10, 0.32)))


def back_hair() -> Layer:
    """The hair that falls behind the neck."""
    c = canvas()
    half = [(0, -262), (60, -254), *_BACK_OUTER, (100, 119), (62, 122), (0, 122)]
    mask = c.mask(smooth(mirror(half)))
    c.fill(mask, gradient((0, -160), (0, 120), [HAIR_DARK, (26, 32, 53), (21, 26, 44)]))
    rng = np.random.default_rng(SEED)
    for side in (-1, 1):
        lines = flip(_BACK_INNER, side), flip(_BACK_OUTER, side)
        _strands(c, rng, lines, 90, mask)
        # The tips reach past the outline, each a little differently.
        for share in np.linspace(0.02, 0.98, 44):
            line = between(*lines, float(share))
            (ax, ay), (x, y) = line[-2:]
            on = float(rng.uniform(0.02, 0.13))
            tip = (x + (x - ax) * on, y + (y - ay) * on)
            tone = (30, 37, 60) if rng.random() < 0.6 else (44, 58, 92)
            c.shape(stroke([*line, tip], (0.4, 1.0, 2.6, 4.2, 4.0, 3.0, 0.3)), tone, 0.55)
    # The inside of the bob lies in the shadow of the head.
    c.fill(c.mask(ellipse(0, 22, 100, 110), blur=13, within=mask), (10, 11, 20), 0.85)
    c.shade(mask, (3, 0), 2.5, RIM, 0.24)
    return c.layer()


def _ear(c: Canvas, side: int) -> None:
    outline = [(102, -124), (112, -134), (123, -129), (127, -111), (123, -90), (116, -72), (108, -60), (101, -70)]
    mask = c.mask(smooth(flip(outline, side)))
    c.fill(mask, gradient((0, -134), (0, -60), [(148, 174, 228), (124, 148, 212)]))
    c.shade(mask, (4 * side, 3), 4, SKIN_DEEP, 0.35)
    fold = flip([(106, -116), (115, -124), (120, -114), (118, -98), (111, -84)], side)
    c.fill(c.mask(stroke(fold, (1, 3, 3.4, 3, 1)), blur=0.8, within=mask), SKIN_DEEP, 0.55)
    c.fill(c.mask(ellipse(108 * side, -98, 5, 13), blur=2.5, within=mask), SKIN_DEEP, 0.6)
    # A small gold stud.
    x = 110.5 * side
    c.shape(ellipse(x, -64, 3.8, 3.8), (48, 104, 158))
    c.shape(ellipse(x - 0.5, -64.6, 2.9, 2.9), (112, 190, 236))
    c.shape(ellipse(x - 1.2, -65.5, 1.1, 1.1), (236, 250, 255))


def skin() -> Layer:
    """Ears and the shape of the face, lit from the upper left."""
    c = canvas()
    for side in (-1, 1):
        _ear(c, side)
    mask = face_mask(c)
    c.fill(mask, radial((-34, -96), (190, 230), [SKIN_LIGHT, SKIN, SKIN, (136, 164, 218), (116, 144, 204)]))
    c.shade(mask, (13, 8), 15, SKIN_SHADE, 0.60)
    c.shade(mask, (-9, 5), 10, SKIN_SHADE, 0.36)
    c.shade(mask, (0, 4), 3.5, SKIN_DEEP, 0.20)
    for side, dark in ((-1, 0.22), (1, 0.38)):
        hollow = flip([(106, -56), (86, -30), (68, 6), (74, 24), (94, 0)], side)
        c.fill(c.mask(smooth(hollow), blur=11, within=mask), SKIN_SHADE, dark)
        c.fill(c.mask(ellipse(61 * side, -52, 25, 17, -14 * side), blur=11, within=mask), BLUSH, 0.30)
        c.fill(c.mask(ellipse(64 * side, -77, 22, 9, -16 * side), blur=8, within=mask), SKIN_LIGHT, 0.5 - 0.6 * dark)
    c.fill(c.mask(ellipse(-12, -192, 54, 20), blur=14, within=mask), (208, 228, 252), 0.5)
    # The hair throws a soft shadow on the brow and temples.
    for inner in (_LEFT_INNER, _RIGHT_INNER):
        edge = [(x * 0.985, y + 5) for x, y in inner]
        c.fill(c.mask(stroke(edge, (10, 16, 18, 18, 14, 10)), blur=6, within=mask), SKIN_DEEP, 0.50)
    c.fill(c.mask(ellipse(0, 57, 18, 10), blur=7, within=mask), SKIN_LIGHT, 0.5)
    c.fill(c.mask(ellipse(0, 29, 24, 5), blur=4, within=mask), SKIN_SHADE, 0.5)
    return c.layer()


def front_hair() -> Layer:
    """The hair over the forehead, swept from the parting to both temples and tucked behind the ears."""
    c = canvas()
    rng = np.random.default_rng(SEED + 1)
    halves = ((_RIGHT_INNER, _RIGHT_OUTER, (4, -4)), (_LEFT_INNER, _LEFT_OUTER, (-4, -4)))
    for inner, outer, rim in halves:
        outline = np.vstack([smooth(outer, closed=False), smooth(inner, closed=False)[::-1]])
        mask = c.mask(outline)
        c.fill(mask, gradient((-60, -270), (90, -80), [(56, 72, 112), HAIR, (28, 35, 57), HAIR_DARK]))
        _strands(c, rng, (inner, outer), 190, mask)
        # The sheen follows the skull.
        for share, width, strength in ((0.50, 20, 0.46), (0.22, 9, 0.22), (0.78, 8, 0.24)):
            line = between(inner, outer, share)[1:5]
            c.fill(c.mask(stroke(line, (2, width, width, 2)), blur=6, within=mask), (104, 138, 196), strength)
        _strands(c, rng, (inner, outer), 70, mask)
        # The lock turns under at the forehead.
        c.shade(mask, (0, 5), 3, (8, 9, 16), 0.42)
        c.shade(mask, rim, 2.5, RIM, 0.20 if rim[0] > 0 else 0.12)
    c.fill(c.mask(stroke([(22, -265), (23, -252), _PART], (0.6, 2.0, 3.0)), blur=0.9), (12, 15, 27), 0.75)
    # Behind the ears the lengths run on into the back hair.
    rows = (np.arange(HEIGHT * SCALE, dtype=np.float32) + 0.5) / SCALE + TOP
    c.paint *= np.clip((-74 - rows) / 34, 0, 1)[:, None, None]
    return c.layer()
