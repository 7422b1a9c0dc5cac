"""A small painter: smooth closed curves, soft shadows and gradients on a transparent layer, drawn larger and shrunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Plane: TypeAlias = npt.NDArray[np.float32]
Points: TypeAlias = npt.NDArray[np.float64]
Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]
# Colours by place: from columns and rows in drawing units (broadcast against each other) to ``(h, w, 3)``.
Paint: TypeAlias = "Callable[[Plane, Plane], Plane]"

# cv2 takes polygon corners as fixed-point numbers with this many fractional bits.
_BITS = 4


def smooth(points: Sequence[Point] | Points, *, closed: bool = True, steps: int = 10) -> Points:
    """A Catmull-Rom curve through ``points``, as ``(n, 2)`` float64."""
    p = np.asarray(points, np.float64)
    # Two more points at the ends: its own neighbours where the curve closes, mirror images where it does not.
    around = [p[-1:], p, p[:2]] if closed else [2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]]
    p = np.vstack(around)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    return flat if closed else np.vstack([flat, p[-2:-1]])


def corners(points: Sequence[Point], sharp: Sequence[int]) -> list[Point]:
    """The points with those numbered ``sharp`` set three times, so that a curve through them has a corner there."""
    return [p for i, p in enumerate(points) for p in [p] * (3 if i in sharp else 1)]


def mirror(points: Sequence[Point]) -> list[Point]:
    """A closed, symmetric outline from its right half, which runs from the top of the axis to its bottom."""
    return [*points, *((-x, y) for x, y in reversed(points) if x != 0)]


def flip(points: Sequence[Point], side: int) -> list[Point]:
    """The points on the right (``side`` 1) or mirrored to the left (-1)."""
    return [(x * side, y) for x, y in points]


def between(first: Sequence[Point], second: Sequence[Point], share: float) -> list[Point]:
    """The line ``share`` of the way from one line to another of as many points."""
    pairs = zip(first, second, strict=True)
    return [(a + (c - a) * share, b + (d - b) * share) for (a, b), (c, d) in pairs]


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Points:
    """An ellipse as a closed curve; ``turn`` in degrees, clockwise."""
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    u, v = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + c * u - s * v, y + s * u + c * v], axis=1)


def stroke(points: Sequence[Point] | Points, widths: Sequence[float]) -> Points:
    """An open line of varying width as a closed outline; ``widths`` are spread evenly along it."""
    line = smooth(points, closed=False)
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1])[:, None], 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    width = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)[:, None]
    return np.vstack([line + across * width / 2, (line - across * width / 2)[::-1]])


@dataclass(frozen=True, slots=True)
class Mask:
    """How much of each pixel is covered, in [0, 1], within a box of the layer; nothing is covered outside it.

    Attributes:
        x, y: upper left corner of the box in layer pixels.
        cover: ``(h, w)`` float32.
    """

    x: int
    y: int
    cover: Plane

    def __and__(self, other: Mask) -> Mask:
        """Where both cover."""
        x0, y0 = max(self.x, other.x), max(self.y, other.y)
        x1 = min(self.x + self.cover.shape[1], other.x + other.cover.shape[1])
        y1 = min(self.y + self.cover.shape[0], other.y + other.cover.shape[0])
        x1, y1 = max(x0, x1), max(y0, y1)
        return Mask(x0, y0, self.part(x0, y0, x1, y1) * other.part(x0, y0, x1, y1))

    def part(self, x0: int, y0: int, x1: int, y1: int) -> Plane:
        """The cover within another box, which must lie inside this one."""
        return self.cover[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]

    def padded(self, by: int) -> Mask:
        """The same with ``by`` empty pixels around."""
        return Mask(self.x - by, self.y - by, np.pad(self.cover, by))


@dataclass(frozen=True, slots=True)
class Layer:
    """A finished painting, cut to what is not empty.

    Attributes:
        pixels: premultiplied BGRA, ``(h, w, 4)`` uint8.
        left, top: drawing coordinates of its upper left corner.
        scale: pixels per drawing unit.
    """

    pixels: npt.NDArray[np.uint8]
    left: float
    top: float
    scale: int


class Canvas:
    """A transparent layer in drawing units, painted from back to front.

    Args:
        left, top: drawing coordinates of the upper left corner.
        width, height: size in drawing units.
        scale: pixels per drawing unit.
    """

    def __init__(self, left: float, top: float, width: int, height: int, scale: int) -> None:
        self.left, self.top, self.scale = left, top, scale
        self.paint = np.zeros((height * scale, width * scale, 4), np.float32)

    def mask(self, outline: Points, *, blur: float = 0.0, within: Mask | None = None) -> Mask:
        """Coverage of a closed outline; ``blur`` is a sigma in drawing units."""
        pixels = (outline - (self.left, self.top)) * self.scale - 0.5
        low = np.floor(pixels.min(axis=0)).astype(int) - 1
        width, height = (np.ceil(pixels.max(axis=0)).astype(int) + 2 - low).tolist()
        out = np.zeros((height, width), np.uint8)
        fixed = np.round((pixels - low) * (1 << _BITS)).astype(np.int32)
        cv2.fillPoly(out, [fixed], 255, cv2.LINE_AA, _BITS)
        found = Mask(int(low[0]), int(low[1]), out.astype(np.float32) * np.float32(1 / 255))
        if blur:
            found = self.blur(found, blur)
        return found if within is None else found & within

    def blur(self, mask: Mask, sigma: float) -> Mask:
        """The mask blurred by ``sigma`` drawing units."""
        pixels = sigma * self.scale
        # A wide blur of a small copy is the same to the eye and far cheaper.
        shrink = max(1, int(pixels / 5))
        wide = mask.padded(int(3 * pixels) + 1)
        h, w = wide.cover.shape
        h, w = h + -h % shrink, w + -w % shrink
        cover = np.pad(wide.cover, ((0, h - wide.cover.shape[0]), (0, w - wide.cover.shape[1])))
        small = cv2.resize(cover, (w // shrink, h // shrink), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), pixels / shrink)
        return Mask(wide.x, wide.y, np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), np.float32))

    def fill(self, mask: Mask, colour: Colour | Paint, opacity: float = 1.0) -> None:
        """Lays a colour (BGR, 0 to 255) or a gradient over what is there."""
        h, w = self.paint.shape[:2]
        x0, y0 = max(mask.x, 0), max(mask.y, 0)
        x1, y1 = min(mask.x + mask.cover.shape[1], w), min(mask.y + mask.cover.shape[0], h)
        if x0 >= x1 or y0 >= y1:
            return
        cover = mask.part(x0, y0, x1, y1) * np.float32(opacity)
        below = self.paint[y0:y1, x0:x1]
        if callable(colour):
            xs = np.asarray((np.arange(x0, x1) + 0.5) / self.scale + self.left, np.float32)
            ys = np.asarray((np.arange(y0, y1) + 0.5) / self.scale + self.top, np.float32)
            tone = np.full((y1 - y0, x1 - x0, 4), 255, np.float32)
            tone[..., :3] = colour(xs[None, :], ys[:, None])
        else:
            tone = np.array([*colour, 255], np.float32)
            covered = np.flatnonzero(cover != 0)
            if covered.size < cover.size / 4:
                # A hair covers next to nothing of the box around it.
                at = np.divmod(covered, cover.shape[1])
                below[at] += (tone - below[at]) * cover[at][:, None]
                return
        below += (tone - below) * cover[..., None]

    def shape(self, outline: Points, colour: Colour | Paint, opacity: float = 1.0, *, blur: float = 0.0) -> None:
        """Fills a closed outline."""
        self.fill(self.mask(outline, blur=blur), colour, opacity)

    def shade(self, mask: Mask, offset: Point, blur: float, colour: Colour, opacity: float) -> None:
        """Tints the inside of ``mask`` along the edges that lie toward ``offset``, ``blur`` deep."""
        soft = self.blur(mask, blur)
        dx, dy = offset[0] * self.scale, offset[1] * self.scale
        h, w = mask.cover.shape
        shift = np.array([[1, 0, mask.x - soft.x + dx], [0, 1, mask.y - soft.y + dy]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = np.asarray(cv2.warpAffine(soft.cover, shift, (w, h), flags=flags), np.float32)
        self.fill(Mask(mask.x, mask.y, mask.cover * (1 - moved)), colour, opacity)

    def layer(self) -> Layer:
        """The painting, softened just enough to be sampled at half its size."""
        soft = cv2.GaussianBlur(self.paint, (0, 0), 0.40 * self.scale)
        pixels = np.asarray(np.clip(soft + 0.5, 0, 255), np.uint8)
        x, y, w, h = cv2.boundingRect(pixels[..., 3])
        cut = np.ascontiguousarray(pixels[y : y + h, x : x + w])
        return Layer(cut, self.left + x / self.scale, self.top + y / self.scale, self.scale)


def gradient(start: Point, end: Point, stops: Sequence[Colour]) -> Paint:
    """Colours evenly spaced from ``start`` to ``end`` and constant across."""
    dx, dy = end[0] - start[0], end[1] - start[1]

    def paint(xs: Plane, ys: Plane) -> Plane:
        along = ((xs - start[0]) * dx + (ys - start[1]) * dy) / (dx * dx + dy * dy)
        return _blend(np.asarray(along, np.float32), stops)

    return paint


def radial(centre: Point, radius: Point, stops: Sequence[Colour]) -> Paint:
    """Colours evenly spaced from ``centre`` out to an ellipse of ``radius``."""

    def paint(xs: Plane, ys: Plane) -> Plane:
        far = np.hypot((xs - centre[0]) / radius[0], (ys - centre[1]) / radius[1])
        return _blend(np.asarray(far, np.float32), stops)

    return paint


def _blend(t: Plane, stops: Sequence[Colour]) -> Plane:
    places = np.linspace(0, 1, len(stops))
    # A fine table is quicker than interpolating every pixel, and finer than 8 bits can show.
    fine = np.linspace(0, 1, 1025)
    table = np.stack([np.interp(fine, places, [stop[i] for stop in stops]) for i in range(3)], axis=1)
    return table.astype(np.float32)[(np.clip(t, 0, 1) * 1024).astype(np.int32)]
