"""What stands around the presenter's head: the out-of-focus studio, and her neck and shoulders."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from jobs.demo.canvas import (
    Canvas,
    Colour,
    Layer,
    Mask,
    Point,
    Points,
    corners,
    ellipse,
    flip,
    gradient,
    mirror,
    radial,
    smooth,
    stroke,
)
from jobs.demo.head import SKIN, SKIN_DEEP, SKIN_LIGHT, SKIN_SHADE

WIDTH, HEIGHT = 1280, 720

# The torso's layer, in the same units as the head's: the middle of the mouth at 0, 0.
TORSO_LEFT, TORSO_TOP, TORSO_WIDTH, TORSO_HEIGHT = -360.0, 0.0, 720, 330
SCALE = 2

JACKET: Colour = (92, 66, 42)
JACKET_LIGHT: Colour = (138, 106, 76)
JACKET_DARK: Colour = (46, 32, 20)
BLOUSE: Colour = (228, 234, 240)


def _box(x: float, y: float, w: float, h: float) -> Points:
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float64)


def _window(c: Canvas) -> None:
    """A tall window at dusk with the lights of a town far out of focus."""
    x, y, w, h = 868.0, -30.0, 372.0, 540.0
    pane = c.mask(_box(x, y, w, h), blur=5)
    c.fill(pane, gradient((0, -30), (0, 510), [(122, 92, 62), (150, 116, 84), (166, 146, 132), (120, 118, 128)]))
    lights = np.random.default_rng(34)
    tones: tuple[Colour, ...] = ((120, 190, 250), (150, 210, 250), (200, 190, 170), (90, 140, 240), (220, 205, 160))
    for _ in range(46):
        at = (float(lights.uniform(x + 10, x + w - 10)), float(y + h - 20 - 210 * lights.beta(1.3, 2.2)))
        size = float(lights.uniform(7, 17))
        tone = tones[int(lights.integers(len(tones)))]
        strength = float(lights.uniform(0.12, 0.40))
        c.fill(c.mask(ellipse(*at, size, size), blur=1.6, within=pane), tone, strength)
    for bar in (x + w / 3, x + 2 * w / 3):
        c.shape(_box(bar - 5, y, 10, h), (58, 46, 36), 0.9, blur=5)
    c.shape(_box(x, 196, w, 9), (58, 46, 36), 0.85, blur=5)
    for side in (x - 12, x + w - 8):
        c.shape(_box(side, y, 20, h + 6), (62, 50, 40), 0.95, blur=6)
    c.shape(_box(x - 30, y + h - 6, w + 60, 24), (74, 60, 48), 0.95, blur=6)
    c.shape(_box(x - 30, y + h + 16, w + 60, 20), (30, 23, 18), 0.5, blur=9)


def _shelves(c: Canvas) -> None:
    """Two shelves of books and a lamp."""
    books = np.random.default_rng(21)
    covers: tuple[Colour, ...] = ((66, 84, 132), (112, 92, 62), (70, 100, 108), (122, 120, 116), (58, 58, 100))
    for shelf, first in ((262.0, -8.0), (462.0, 40.0)):
        at = first
        while at < 262:
            w, h = float(books.uniform(12, 28)), float(books.uniform(74, 124))
            if books.random() < 0.82:
                cover = covers[int(books.integers(len(covers)))]
                c.shape(_box(at, shelf - h, w, h), cover, 0.72, blur=5)
                c.shape(_box(at, shelf - h + 12, w, 4), (150, 170, 190), 0.25, blur=4)
            at += w + 2
        c.shape(_box(-40, shelf, 350, 15), (58, 62, 74), 0.9, blur=5)
        c.shape(_box(-40, shelf + 14, 350, 26), (24, 20, 18), 0.45, blur=10)
    c.shape(_box(352, 318, 6, 420), (34, 32, 34), 0.9, blur=4)
    shade = np.array([(322, 226), (388, 226), (410, 322), (300, 322)], np.float64)
    c.shape(ellipse(355, 290, 210, 200), (120, 180, 240), 0.34, blur=70)
    c.shape(shade, gradient((0, 226), (0, 322), [(150, 205, 244), (176, 226, 253), (140, 196, 240)]), 0.92, blur=5)
    c.shape(ellipse(355, 300, 34, 22), (214, 244, 255), 0.8, blur=10)


def _plant(c: Canvas) -> None:
    leaves = np.random.default_rng(3)
    for turn in np.linspace(-168, -22, 17):
        long = float(leaves.uniform(120, 210))
        a = np.radians(turn + float(leaves.normal(0, 5)))
        root = (1168.0 + float(leaves.normal(0, 8)), 712.0)
        bend = (root[0] + 0.62 * long * float(np.cos(a)), root[1] + 0.72 * long * float(np.sin(a)))
        tip = (root[0] + 1.15 * long * float(np.cos(a)), root[1] + long * float(np.sin(a)) + 10)
        green: Colour = (int(leaves.integers(44, 84)), int(leaves.integers(72, 118)), int(leaves.integers(44, 84)))
        c.shape(stroke([root, bend, tip], (5, 17, 26, 19, 1)), green, 0.8, blur=5)
    c.shape(np.array([(1096, 690), (1240, 690), (1228, 760), (1108, 760)], np.float64), (66, 70, 84), 0.95, blur=6)


def background() -> npt.NDArray[np.float32]:
    """The studio behind her, ``(720, 1280, 3)`` float32 BGR, 0 to 255: wall, shelves, lamp, window and plant."""
    c = Canvas(0, 0, WIDTH, HEIGHT, 1)
    full = Mask(0, 0, np.ones((HEIGHT, WIDTH), np.float32))
    c.fill(full, radial((470, 280), (980, 680), [(132, 122, 108), (112, 102, 88), (80, 70, 60), (46, 39, 33)]))
    _shelves(c)
    _window(c)
    _plant(c)
    # A glow behind her lifts her off the wall; the corners fall away.
    c.shape(ellipse(640, 320, 330, 310), (168, 156, 138), 0.30, blur=90)
    light = c.mask(ellipse(640, 350, 700, 460), blur=120)
    spread = np.zeros((HEIGHT, WIDTH), np.float32)
    spread[:] = light.part(0, 0, WIDTH, HEIGHT)
    c.fill(Mask(0, 0, 1 - spread), (22, 17, 13), 0.70)
    return np.ascontiguousarray(cv2.GaussianBlur(c.paint, (0, 0), 2.4)[..., :3])


def _neck(c: Canvas) -> Mask:
    half: list[Point] = [(0, 10), (50, 14), (51, 58), (53, 88), (60, 112), (94, 132), (150, 152), (120, 230), (40, 290)]
    neck = c.mask(smooth(mirror([*half, (0, 310)])))
    c.fill(neck, gradient((-70, 0), (80, 0), [(150, 178, 228), SKIN, (140, 168, 220), (112, 138, 200)]))
    c.shade(neck, (10, 0), 9, SKIN_SHADE, 0.8)
    c.shade(neck, (-8, 0), 8, SKIN_SHADE, 0.6)
    for side in (-1, 1):
        cord = flip([(43, 66), (32, 104), (14, 140)], side)
        c.fill(c.mask(stroke(cord, (2, 8, 5)), blur=5, within=neck), SKIN_SHADE, 0.45)
        bone = [(18, 152), (52, 146), (104, 149)]
        c.fill(c.mask(stroke(flip(bone, side), (3, 7, 3)), blur=4, within=neck), SKIN_SHADE, 0.5)
        above = flip([(x, y - 6) for x, y in bone], side)
        c.fill(c.mask(stroke(above, (2, 6, 2)), blur=4, within=neck), SKIN_LIGHT, 0.45)
    c.fill(c.mask(ellipse(0, 147, 10, 8), blur=5, within=neck), SKIN_SHADE, 0.5)
    chin = smooth([(-104, 0), (-86, 44), (-56, 80), (-18, 98), (16, 100), (58, 84), (92, 44), (104, 0)])
    c.fill(c.mask(chin, blur=7, within=neck), (58, 78, 140), 0.70)
    return neck


def _blouse(c: Canvas, neck: Mask) -> Mask:
    outline: list[Point] = [(-118, 150), (-66, 162), (0, 226), (66, 162), (118, 150), (130, 260)]
    blouse = c.mask(smooth([*outline, (90, 400), (-90, 400), (-130, 260)]))
    c.fill(c.blur(blouse, 4) & neck, SKIN_DEEP, 0.45)
    c.fill(blouse, gradient((-80, 150), (90, 330), [(242, 246, 250), BLOUSE, (188, 194, 206)]))
    for side in (-1, 1):
        fall = flip([(30, 232), (40, 280), (36, 340)], side)
        c.fill(c.mask(stroke(fall, (1, 8, 5)), blur=5, within=blouse), (160, 166, 182), 0.6)
        collar = [(58, 110), (76, 122), (96, 156), (84, 196), (48, 246), (24, 238), (1, 224), (28, 184), (50, 140)]
        flap = c.mask(smooth(corners(flip(collar, side), (4, 6))))
        c.fill(c.blur(flap, 4) & blouse, (112, 118, 136), 0.5)
        c.fill(flap, gradient((-70, 120), (80, 240), [(251, 253, 255), (238, 242, 246), (204, 210, 220)]))
        c.shade(flap, (-3 * side, -4), 4, (164, 170, 188), 0.5)
    c.shape(stroke([(0, 232), (1, 290), (0, 350)], (1.0, 1.6, 1.6)), (160, 166, 182), 0.8, blur=0.6)
    for y in (258, 298):
        c.shape(ellipse(6, y, 4, 4), (172, 178, 194))
        c.shape(ellipse(5.4, y - 0.8, 3, 3), (234, 238, 244))
    return blouse


def _jacket(c: Canvas, side: int, behind: tuple[Mask, ...]) -> None:
    half: list[Point] = [(80, 112), (112, 130), (168, 148), (220, 168), (258, 204), (282, 262), (300, 400), (150, 420)]
    jacket = c.mask(smooth(flip([*half, (52, 420), (38, 330), (62, 230), (86, 166)], side)))
    for mask in behind:
        c.fill(c.blur(jacket, 6) & mask, (40, 34, 40), 0.40)
    c.fill(jacket, gradient((-240, 130), (250, 380), [JACKET_LIGHT, JACKET, (78, 55, 34), JACKET_DARK]))
    c.shade(jacket, (14 * side, 4), 16, JACKET_DARK, 0.55)
    sleeve: list[Point] = [(196, 330), (204, 262), (214, 226)]
    c.fill(c.mask(stroke(flip(sleeve, side), (14, 9, 1)), blur=3.5, within=jacket), JACKET_DARK, 0.75)
    c.fill(
        c.mask(stroke(flip([(x - 12, y) for x, y in sleeve], side), (12, 9, 1)), blur=6, within=jacket),
        JACKET_LIGHT,
        0.4,
    )
    c.fill(
        c.mask(stroke(flip([(150, 152), (206, 172), (244, 208)], side), (4, 14, 5)), blur=7, within=jacket),
        JACKET_LIGHT,
        0.5,
    )
    for fold in ([(246, 240), (238, 290), (246, 340)], [(176, 200), (168, 240), (176, 290)]):
        c.fill(c.mask(stroke(flip(fold, side), (2, 10, 4)), blur=6, within=jacket), JACKET_DARK, 0.4)

    collar: list[Point] = [(76, 104), (98, 120), (124, 152), (138, 192), (120, 192), (102, 193), (88, 172)]
    lapel: list[Point] = [
        (90, 166),
        (102, 194),
        (142, 208),
        (116, 262),
        (80, 316),
        (50, 380),
        (36, 420),
        (34, 350),
        (60, 236),
    ]
    for part, sharp, grow in ((lapel, (1, 2, 6), 0.5), (collar, (0, 3, 5, 6), 0.7)):
        mask = c.mask(smooth(corners(flip(part, side), sharp)))
        c.fill(c.blur(mask, 4) & jacket, (22, 15, 10), 0.62)
        c.fill(mask, gradient((-150, 110), (150, 390), [(150, 116, 84), (108, 80, 53), (80, 57, 36)]))
        c.shade(mask, (3 * side, 2), 2, JACKET_LIGHT, 0.5 * grow)
        c.shade(mask, (-3 * side, 2), 3, JACKET_DARK, grow)
    c.shade(jacket, (3 * side, -3), 2.5, (196, 176, 142), 0.30)


def torso() -> Layer:
    """Neck, blouse and jacket, with the shadow that the head throws on them."""
    c = Canvas(TORSO_LEFT, TORSO_TOP, TORSO_WIDTH, TORSO_HEIGHT, SCALE)
    neck = _neck(c)
    blouse = _blouse(c, neck)
    for side in (-1, 1):
        _jacket(c, side, (blouse, neck))
    return c.layer()
