"""The presenter in motion: where her head is on every frame, the frame itself, and the landmarks of her face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from actors.core.clip import FaceBox
from jobs.demo import head, studio
from jobs.demo.canvas import Layer, Point
from jobs.demo.face import EYE, SQUARE, face
from jobs.models import mouth

if TYPE_CHECKING:
    from collections.abc import Iterator

Frame: TypeAlias = npt.NDArray[np.uint8]
Landmarks: TypeAlias = npt.NDArray[np.int32]
Matrix: TypeAlias = npt.NDArray[np.float64]

FRAMES = 125
SEED = 2025

_MOUTH_AT: Point = (640.0, 386.0)
# Pixels of the frame per unit of the drawing, at rest.
_ZOOM = 1.12
# Eyes shut over three frames, stay shut for one and open over four.
_BLINK = (0.35, 0.8, 1.0, 1.0, 0.75, 0.45, 0.15)
_BLINKS = (16, 52, 58, 97)
_GRAIN = 0.9


@dataclass(frozen=True, slots=True)
class Pose:
    """The head on one frame.

    Attributes:
        x, y: where the middle of the mouth is, in pixels of the frame.
        scale: size relative to the drawing.
        tilt: degrees, clockwise.
        turn: how far the face is turned, as pixels that the features run ahead of the head.
        closed: how far the eyes are shut, 0 to 1.
    """

    x: float
    y: float
    scale: float
    tilt: float
    turn: float
    closed: float


def pose(frame: int) -> Pose:
    """The pose on background ``frame``; everything comes to rest at both ends, so that it can run back and forth."""
    # Cosines of whole half turns have no speed at 0 and 1.
    t = np.pi * frame / (FRAMES - 1)
    sway = 0.62 * np.cos(2 * t) + 0.38 * np.cos(5 * t)
    nod = 0.55 * np.cos(3 * t) + 0.45 * np.cos(7 * t)
    lean = np.cos(4 * t)
    closed = max((_BLINK[frame - at] for at in _BLINKS if 0 <= frame - at < len(_BLINK)), default=0.0)
    return Pose(
        x=_MOUTH_AT[0] + 9.0 * float(sway),
        y=_MOUTH_AT[1] + 3.6 * float(nod) + 1.5 * float(lean),
        scale=_ZOOM * (1.0 + 0.011 * float(lean) + 0.004 * float(sway)),
        tilt=1.5 * float(0.7 * np.cos(2 * t) - 0.5 * np.cos(3 * t)),
        turn=2.6 * float(0.8 * np.cos(2 * t) + 0.4 * np.cos(4 * t)),
        closed=closed,
    )


def face_box(frame: int) -> FaceBox:
    """The face box on background ``frame``, whole pixels."""
    p = pose(frame)
    side = round(SQUARE * p.scale)
    per = side / mouth.CROP
    # Pixel centres lie half a pixel in; the network's region begins behind the crop's border.
    x0 = round(p.x - (mouth.CENTRE_X + mouth.BORDER + 0.5) * per)
    y0 = round(p.y - (mouth.CENTRE_Y + mouth.BORDER + 0.5) * per)
    return FaceBox(x0, y0, x0 + side, y0 + side)


def landmarks(frame: int) -> Landmarks:
    """The 110 points of the family's landmark detector on background ``frame``, ``(110, 2)`` int32 as x, y.

    Order: 0-32 the outline of the jaw from temple to temple, 33-41 and 42-50 the brows, 51-65 the nose, 66-77 and
    78-89 the eyes, 90-109 the mouth. The face box is x of 1, y of 52 and x of 31.
    """
    box = face_box(frame)
    points = box.x0 + 0.0, box.y0 + 0.0
    out = np.array(_template()) * box.width + points
    rounded = np.round(out).astype(np.int32)
    rounded[1, 0], rounded[31, 0], rounded[52, 1] = box.x0, box.x1, box.y0
    return rounded


def _arc(start: Point, middle: Point, end: Point, count: int) -> list[Point]:
    """``count`` points on the parabola through three points."""
    t = np.linspace(0, 1, count)[:, None]
    a, b, c = (np.array(p) for p in (start, middle, end))
    curve = a * (1 - t) * (1 - 2 * t) + 4 * b * t * (1 - t) + c * t * (2 * t - 1)
    return [tuple(p) for p in curve.tolist()]


def _ring(x: float, y: float, rx: float, ry: float, count: int) -> list[Point]:
    t = np.linspace(np.pi, 3 * np.pi, count, endpoint=False)
    return [tuple(p) for p in np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1).tolist()]


def _template() -> list[Point]:
    """The landmarks in units of the box's side, from its upper left corner."""
    chin = np.pi * np.linspace(0, 1, 33)
    down = np.sin(chin) ** 1.15
    jaw = [(0.5 - 0.5 * float(np.cos(a)), -0.15 + 0.83 * float(d)) for a, d in zip(chin, down, strict=True)]
    middle = (mouth.CENTRE_Y + mouth.BORDER) / mouth.CROP
    eye_x, eye_y = EYE[0] / SQUARE, middle + EYE[1] / SQUARE
    brows = [_arc((0.5 + s * 0.36, -0.27), (0.5 + s * 0.25, -0.33), (0.5 + s * 0.1, -0.27), 9) for s in (-1, 1)]
    nose = [(0.5, 0.09), (0.5, 0.0), (0.5, -0.09), (0.5, -0.18)]
    wings = _arc((0.44, -0.14), (0.5, 0.3), (0.56, -0.14), 11)
    eyes = [_ring(0.5 + s * eye_x, eye_y, 0.09, 0.04, 12) for s in (-1, 1)]
    lips = [*_ring(0.5, middle, 0.165, 0.06, 12), *_ring(0.5, middle, 0.13, 0.01, 8)]
    return [*jaw, *brows[0], *brows[1], *nose, *wings, *eyes[0], *eyes[1], *lips]


def _matrix(layer: Layer, p: Pose, ahead: float) -> Matrix:
    """From a layer's pixels to the frame's: about the middle of the mouth, ``ahead`` pixels along the turn."""
    angle = np.radians(p.tilt)
    c, s = p.scale * np.cos(angle), p.scale * np.sin(angle)
    # Pixel u of the layer shows drawing coordinate (u + 0.5) / scale + left.
    corner = np.array([layer.left, layer.top]) + 0.5 / layer.scale
    turn = np.array([[c, -s], [s, c]])
    shift = turn @ corner + (p.x - 0.5 + ahead, p.y - 0.5)
    return np.hstack([turn / layer.scale, shift[:, None]])


def _lay(frame: npt.NDArray[np.float32], layer: Layer, p: Pose, ahead: float) -> None:
    """Lays a layer over the frame, touching only the part it can reach."""
    matrix = _matrix(layer, p, ahead)
    h, w = layer.pixels.shape[:2]
    corners = matrix @ np.array([[0, w, 0, w], [0, 0, h, h], [1, 1, 1, 1]], np.float64)
    low = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=1)).astype(int) + 1, frame.shape[1::-1])
    matrix[:, 2] -= low
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    warped = cv2.warpAffine(layer.pixels, matrix, size, flags=cv2.INTER_LINEAR)
    part = frame[low[1] : high[1], low[0] : high[0]]
    through = cv2.merge([255 - warped[..., 3]] * 3)
    cv2.multiply(part, through, dst=part, scale=1 / 255, dtype=cv2.CV_32F)
    cv2.add(part, warped[..., :3], dst=part, dtype=cv2.CV_32F)


class Presenter:
    """Draws the frames; what does not change is drawn once."""

    def __init__(self) -> None:
        self._studio = studio.background()
        self._torso = studio.torso()
        self._back, self._skin, self._front = head.back_hair(), head.skin(), head.front_hair()
        self._faces = {closed: face(closed) for closed in {0.0, *_BLINK}}
        noise = np.random.default_rng(SEED).normal(0, _GRAIN, (studio.HEIGHT + 64, studio.WIDTH + 64))
        self._grain = cv2.merge([noise.astype(np.float32)] * 3)

    def frame(self, index: int) -> Frame:
        """Background ``index``, ``(720, 1280, 3)`` uint8 BGR; the same every time."""
        p = pose(index)
        picture = self._studio.copy()
        _lay(picture, self._back, p, -0.8 * p.turn)
        _lay(picture, self._torso, _shoulders(p, index), 0.0)
        _lay(picture, self._skin, p, -0.5 * p.turn)
        _lay(picture, self._faces[p.closed], p, 0.0)
        _lay(picture, self._front, p, -0.4 * p.turn)
        x, y = (index * 37) % 64, (index * 23) % 64
        grain = self._grain[y : y + studio.HEIGHT, x : x + studio.WIDTH]
        return np.asarray(cv2.add(picture, grain, dtype=cv2.CV_8U), np.uint8)

    def frames(self) -> Iterator[Frame]:
        """All `FRAMES` backgrounds in order."""
        for index in range(FRAMES):
            yield self.frame(index)


def _shoulders(p: Pose, index: int) -> Pose:
    """The shoulders follow the head a little and breathe."""
    breath = float(np.cos(4 * np.pi * index / (FRAMES - 1)))
    x = _MOUTH_AT[0] + 0.35 * (p.x - _MOUTH_AT[0])
    y = _MOUTH_AT[1] + 0.25 * (p.y - _MOUTH_AT[1]) + 0.9 * breath
    return Pose(x, y, scale=_ZOOM, tilt=0.0, turn=0.0, closed=0.0)
