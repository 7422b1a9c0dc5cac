"""The presenter's face: brows, eyes that blink, nose and a mouth at rest. Units as in `jobs.demo.head`."""

from __future__ import annotations

import numpy as np

from jobs.demo.canvas import Canvas, Layer, Mask, Point, Points, ellipse, flip, gradient, radial, smooth, stroke
from jobs.demo.head import HAIR, HAIR_DARK, SKIN, SKIN_DEEP, SKIN_LIGHT, SKIN_SHADE, canvas, face_mask
from jobs.models import mouth

# Side of the face box at scale 1, in pixels of the frame.
SQUARE = 236.0
_UNIT = SQUARE / 328
EYE: Point = (51.0, -114.0)


def _brow(c: Canvas, side: int) -> None:
    line = [(27, -152), (44, -158.5), (62, -160.5), (85, -149)]
    c.fill(c.mask(stroke(flip(line, side), (5.0, 8.0, 6.5, 1.2)), blur=1.3), HAIR, 0.8)
    rng = np.random.default_rng(5)
    course = smooth(line, closed=False)
    for at in np.linspace(0, len(course) - 2, 42):
        x, y = course[int(at)].tolist()
        lean = float(np.interp(at, [0, len(course)], [2.5, 9])) + float(rng.normal(0, 0.6))
        rise = float(np.interp(at, [0, len(course)], [6.5, -1.0]))
        hair = [(x - 1, y + 3.2), (x + lean * 0.5, y + 2 - rise * 0.5), (x + lean, y + 2 - rise)]
        c.shape(stroke(flip(hair, side), (1.0, 0.9, 0.3)), HAIR_DARK, 0.5)


def _lids(closed: float) -> tuple[list[Point], list[Point]]:
    """Upper and lower lid of the eye on the right of the picture, from its inner to its outer corner."""
    upper = np.array([(-25, 6.0), (-16, -6.6), (-1, -13.6), (14, -11.0), (26.5, 0.0)])
    lower = np.array([(-25, 6.0), (-14, 10.4), (0, 12.6), (15, 10.0), (26.5, 0.0)])
    moved = upper + (lower - (0, 1.0) - upper) * closed
    moved[[0, -1]] = upper[[0, -1]]
    place = np.array(EYE)
    return [(x, y) for x, y in (moved + place).tolist()], [(x, y) for x, y in (lower + place).tolist()]


def _eyeball(c: Canvas, white: Mask, x: float, y: float, side: int) -> None:
    c.fill(white, gradient((x, y - 12), (x, y + 11), [(170, 180, 190), (228, 232, 236), (234, 237, 241)]))
    centre = (x - 0.8, y - 0.4)
    iris = c.mask(ellipse(*centre, 13.8, 13.8), within=white)
    c.fill(iris, radial(centre, (13.8, 13.8), [(38, 66, 92), (46, 88, 124), (44, 80, 106), (38, 62, 84), (18, 26, 38)]))
    rng = np.random.default_rng(9)
    for turn in np.linspace(0, 2 * np.pi, 40, endpoint=False):
        u, v = float(np.cos(turn)), float(np.sin(turn))
        ray = stroke([(centre[0] + 5.5 * u, centre[1] + 5.5 * v), (centre[0] + 11 * u, centre[1] + 11 * v)], (0.9, 0.3))
        tone = (84, 140, 176) if rng.random() < 0.5 else (24, 40, 58)
        c.fill(c.mask(ray, within=iris), tone, 0.35)
    c.fill(c.mask(ellipse(centre[0], y + 6, 7.5, 4), blur=1.8, within=iris), (96, 164, 196), 0.55)
    c.fill(c.mask(ellipse(*centre, 5.6, 5.6), blur=0.3, within=iris), (10, 9, 12))
    c.fill(c.mask(ellipse(x - 5.0, y - 4.8, 3.2, 3.2), within=white), (255, 255, 255), 0.95)
    c.fill(c.mask(ellipse(x + 4.2, y + 4.6, 1.5, 1.5), within=white), (255, 255, 255), 0.55)
    c.fill(c.mask(ellipse(x - 21.5 * side, y + 5, 3.4, 2.6), blur=0.7, within=white), (128, 140, 216), 0.8)


def _eye(c: Canvas, side: int, closed: float) -> None:
    x, y = EYE[0] * side, EYE[1]
    upper, lower = (flip(line, side) for line in _lids(closed))
    course, under = smooth(upper, closed=False), smooth(lower, closed=False)
    c.shape(ellipse(x + 2 * side, y - 15, 31, 12, 6 * side), SKIN_DEEP, 0.36, blur=6)
    c.shape(ellipse(x, y + 19, 23, 5, 4 * side), SKIN_SHADE, 0.42, blur=4)
    if closed < 1:
        white = c.mask(np.vstack([course, under[::-1]]))
        _eyeball(c, white, x, y, side)
        shadow = [(px, py + 2.4) for px, py in upper]
        c.fill(c.mask(stroke(shadow, (2, 6, 7.5, 6, 2)), blur=1.6, within=white), (40, 46, 70), 0.55)
    if closed > 0:
        # The lid's skin, from where the eye would open to the lashes.
        over = smooth(flip(_lids(0.0)[0], side), closed=False)
        lid = c.mask(np.vstack([over - (0, 2.0), course[::-1]]), blur=0.4)
        c.fill(lid, gradient((x, y - 14), (x, y + 10), [(122, 148, 208), (152, 180, 229)]))
    crease = [(px, py - 7.5 + 4.5 * closed - 1.5 * (1 - abs(px - x) / 27)) for px, py in upper]
    c.shape(stroke(crease, (0.6, 1.8, 2.0, 1.8, 0.8)), SKIN_DEEP, 0.6, blur=0.6)
    tail = (upper[-1][0] + 5.0 * side, upper[-1][1] - 3.6 + 5 * closed)
    c.shape(stroke([*upper, tail], (0.8, 2.4, 3.4, 3.8, 3.4, 0.5)), (20, 20, 30), 0.95, blur=0.25)
    for at, reach in ((22, 4.5), (26, 6.0), (30, 7.2), (34, 7.8), (37, 7.0)):
        bx, by = course[at].tolist()
        end = (bx + side * reach * (0.25 + 0.02 * at), by - reach * (0.85 - 0.012 * at) * (1 - 1.5 * closed))
        middle = ((bx + end[0]) / 2 + 0.8 * side, (by + end[1]) / 2 + 0.8)
        c.shape(stroke([(bx, by), middle, end], (1.5, 1.0, 0.3)), (22, 22, 32), 0.8)
    c.shape(stroke(lower, (0.6, 1.1, 1.3, 1.2, 0.8)), SKIN_DEEP, 0.7 - 0.6 * closed, blur=0.5)
    c.shape(stroke([(px, py + 2.2) for px, py in lower], (0.5, 1.6, 1.8, 1.6, 0.5)), SKIN_LIGHT, 0.5, blur=0.8)


def _nose(c: Canvas) -> None:
    side_plane = [(10, -128), (13, -100), (17, -72), (26, -50), (20, -44), (8, -60), (6, -96)]
    c.shape(smooth(side_plane), SKIN_SHADE, 0.65, blur=5)
    c.shape(smooth([(-14, -136), (-11, -116), (-14, -96), (-20, -112)]), SKIN_SHADE, 0.45, blur=5)
    c.shape(smooth([(14, -136), (12, -116), (16, -98), (22, -112)]), SKIN_SHADE, 0.55, blur=5)
    c.shape(stroke([(-2, -128), (-2.5, -98), (-3, -66)], (5, 7, 9)), (208, 228, 253), 0.62, blur=3.5)
    c.shape(ellipse(0, -45, 24, 7), SKIN_DEEP, 0.34, blur=5)
    c.shape(ellipse(0, -54, 15, 12), SKIN, 0.75, blur=5)
    for side in (-1, 1):
        wing = flip([(17, -63), (24, -58), (26.5, -50), (23, -44)], side)
        c.shape(stroke(wing, (0.6, 2.0, 2.4, 0.8)), SKIN_DEEP, 0.5, blur=1.1)
        nostril = flip([(5.5, -43.5), (10, -47), (16, -47.2), (19.5, -44), (14, -42.2), (9, -42)], side)
        c.shape(smooth(nostril), (44, 52, 98), 0.85, blur=0.7)
    c.shape(stroke([(-6, -42.5), (0, -40.5), (6, -42.5)], (0.8, 2.4, 0.8)), SKIN_DEEP, 0.5, blur=1.0)
    c.shape(ellipse(-4, -58, 5.5, 4.5), (226, 240, 255), 0.75, blur=2.4)


def lip_line(x: Points) -> Points:
    """Height of the closed lips' line below the middle of the mouth, as the mouth model has it."""
    inside = np.clip(1 - (x / (mouth.HALF_WIDTH * _UNIT)) ** 2, 0, 1)
    return mouth.SAG * (inside - 0.5) * _UNIT


def _mouth(c: Canvas) -> None:
    half = mouth.HALF_WIDTH * _UNIT + 2.5
    xs = np.linspace(-half, half, 41)
    line = np.stack([xs, lip_line(xs)], axis=1)
    for side in (-1, 1):
        c.shape(ellipse((half + 1) * side, 1, 4.5, 3.5), SKIN_DEEP, 0.45, blur=2.4)
    c.shape(stroke([(-5, -36), (-5.5, -24), (-7, -15)], (1, 3, 2)), SKIN_SHADE, 0.4, blur=2)
    c.shape(stroke([(6, -36), (6.5, -24), (8, -15)], (1, 4, 3)), SKIN_SHADE, 0.55, blur=2)

    bow = [(0, -10.5), (7.5, -13.6), (14, -12.0), (25, -6.6), (half - 2, -1.6)]
    top = smooth([*flip(bow[::-1], -1)[:-1], *bow], closed=False)
    upper = c.mask(np.vstack([[(-half, line[0, 1])], top, np.add(line[::-1], (0, 0.6))]), blur=0.35)
    c.fill(upper, gradient((0, -14), (0, 3), [(112, 112, 204), (98, 92, 186), (72, 64, 150)]))
    c.shade(upper, (4, 3), 3, (62, 56, 128), 0.35)
    full = [(0, 15.6), (10, 15.0), (20, 11.6), (half - 6, 4.4), (half - 1, 0.4)]
    bottom = smooth([*flip(full[::-1], -1)[:-1], *full], closed=False)
    lower = c.mask(np.vstack([bottom, np.subtract(line[::-1], (0, 0.6))]), blur=0.35)
    c.fill(lower, gradient((0, 1), (0, 16), [(92, 84, 178), (122, 116, 212), (104, 100, 194)]))
    c.shade(lower, (4, 3), 3, (70, 64, 142), 0.45)
    c.fill(c.mask(ellipse(-5, 7.4, 13, 2.6), blur=1.8, within=lower), (206, 204, 250), 0.65)
    c.fill(c.mask(stroke([(-9, -12.6), (0, -9.6), (8, -12.8)], (1, 1.6, 1)), blur=0.9), SKIN_LIGHT, 0.5)
    c.shape(stroke(line, (0.8, 1.7, 2.0, 2.2, 2.0, 1.7, 0.8)), (38, 30, 76), 0.95, blur=0.35)
    c.shape(ellipse(0, 20.5, 20, 3.2), SKIN_DEEP, 0.42, blur=3)


def face(closed: float) -> Layer:
    """The features alone on a transparent layer.

    Args:
        closed: how far the eyes are shut, 0 to 1.
    """
    c = canvas()
    for side in (-1, 1):
        _eye(c, side, closed)
        _brow(c, side)
        fold = flip([(31, -48), (40, -32), (47, -14)], side)
        c.shape(stroke(fold, (1, 3.5, 1.5)), SKIN_SHADE, 0.42, blur=3)
    _nose(c)
    _mouth(c)
    # Soft shadows end with the skin.
    skin = face_mask(c)
    keep = np.zeros(c.paint.shape[:2], np.float32)
    h, w = skin.cover.shape
    keep[skin.y : skin.y + h, skin.x : skin.x + w] = skin.cover
    c.paint *= keep[..., None]
    return c.layer()
