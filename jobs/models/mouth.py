"""The demo's model: a few formulas that honour the real contract and open a mouth with the sound.

It bends the reference picture as a jaw would (lips part, the chin drops, the lips round or spread) and paints what is
behind the lips: the dark of the mouth, a tongue, the upper teeth. Where nothing moves, the picture stays as it is.
All lengths are pixels of the inner region, which the network sees at 320 x 320.

The demo should show what everything around the network costs, so the network itself is cheap: only what can move is
computed, and pixels are gathered, which ONNX Runtime does faster than GridSample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from jobs.models import feature_channels
from jobs.models.formula import Formulas, Term

if TYPE_CHECKING:
    from pathlib import Path

OPSET = 17
IR_VERSION = 8
PRODUCER = "mouthpiece"

# The contract that it honours: pixels along a side of what it sees, of the crop beyond them, and the audio window.
SIDE = 320
BORDER = 4
CROP = SIDE + 2 * BORDER
PLANES, SHOWN = 6, 3
ROWS, FEATURES = 16, 512
AUDIO = (32, 16, 16)

# Where the closed lips meet: the middle of the line, half its length, and how far it sags between the corners.
CENTRE_X = 160.0
CENTRE_Y = 116.0
HALF_WIDTH = 50.0
SAG = 6.5
# The lips part by this much when wide open, mostly because the jaw drops.
GAP = 48.0
JAW = 0.8
CHIN_Y = 222.0
# From here down the neck is still.
NECK_Y = 302


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the inner region: rows ``top <= y < bottom``, columns ``left <= x < right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """The rows ``(1, 1, height, 1)``."""
        return np.arange(self.top, self.bottom, dtype=np.float64).reshape(1, 1, -1, 1)

    @property
    def columns(self) -> npt.NDArray[np.float64]:
        """The columns ``(1, 1, 1, width)``."""
        return np.arange(self.left, self.right, dtype=np.float64).reshape(1, 1, 1, -1)

    @property
    def height(self) -> int:
        """Rows covered."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns covered."""
        return self.right - self.left


# How far from the middle of the mouth its width is felt, sideways and up or down.
REACH_X = 115.0
REACH_Y = 85.0
# Half the width of the part of the chin that drops.
CHIN_X = 118.0

# All that ever moves: the reach of the mouth and of the chin.
FACE = Area(31, NECK_Y, 42, 279)
# From here down columns stay where they are, and rows move alone.
STILL = 201
# All that is ever shaded or painted: the widest gap and the pixels over which the shade fades to less than a level.
LIPS = Area(72, 190, 103, 218)


def _bgr(blue: int, green: int, red: int) -> npt.NDArray[np.float32]:
    return np.array([blue, green, red], np.float32).reshape(1, 3, 1, 1) / np.float32(255)


CAVITY = _bgr(40, 26, 74)
THROAT = _bgr(17, 9, 27)
TONGUE = _bgr(96, 88, 182)
TEETH = _bgr(222, 233, 240)


def _smooth(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _feature(g: Formulas, audio: Term, channel: int) -> Term:
    """One feature of the output frame's own row, ``[B, 1, 1, 1]``: half of the window's rows lie before it."""
    rows = g.apply("Reshape", audio, g.integers(0, ROWS, FEATURES))
    row = ROWS // 2
    cut = g.apply("Slice", rows, g.integers(row, channel), g.integers(row + 1, channel + 1), g.integers(1, 2))
    return g.apply("Reshape", cut, g.integers(0, 1, 1, 1))


def _cut(g: Formulas, picture: Term, area: Area, inside: Area) -> Term:
    """The first three planes of ``area`` out of those of ``inside``."""
    start = g.integers(0, area.top - inside.top, area.left - inside.left)
    stop = g.integers(3, area.bottom - inside.top, area.right - inside.left)
    return g.apply("Slice", picture, start, stop, g.integers(1, 2, 3))


def _inlay(g: Formulas, part: Term, area: Area, picture: Term, whole: Area, name: str = "") -> Term:
    """Three planes: ``picture``, the pixels of ``whole``, with ``part`` in place of those of ``area``."""
    left = _cut(g, picture, Area(area.top, area.bottom, whole.left, area.left), whole)
    right = _cut(g, picture, Area(area.top, area.bottom, area.right, whole.right), whole)
    row = g.apply("Concat", left, part, right, axis=3)
    above = _cut(g, picture, Area(whole.top, area.top, whole.left, whole.right), whole)
    under = _cut(g, picture, Area(area.bottom, whole.bottom, whole.left, whole.right), whole)
    return g.apply("Concat", above, row, under, axis=2, name=name)


class _Mouth:
    """How open, lifted and narrow the mouth is on one frame, as terms ``[B, 1, 1, 1]``."""

    def __init__(self, g: Formulas, audio: Term) -> None:
        self.graph = g
        self.open = _feature(g, audio, feature_channels.OPENING).unit()
        spread = _feature(g, audio, feature_channels.SPREAD)
        self.narrower = 0.26 * (-spread).positive().unit() - 0.10 * spread.positive().unit()
        gap = GAP * self.open
        self.jaw = JAW * gap
        self.lift = (1 - JAW) * gap


class _Lips:
    """The shape of the mouth at the pixels of an area, as terms ``[B, 1, height, width]`` or broadcast to that.

    Source columns, edges of the gap between the lips, and how far the lips move.
    """

    def __init__(self, mouth: _Mouth, area: Area) -> None:
        g = mouth.graph
        dx, dy = area.columns - CENTRE_X, area.rows - CENTRE_Y
        reach = np.clip(1 - (dx / REACH_X) ** 2, 0, 1) ** 2 * np.clip(1 - (dy / REACH_Y) ** 2, 0, 1) ** 2
        # The column of the reference picture that is seen at each pixel, from the middle of the mouth.
        self.shifts = bool(reach.any())
        self.column = mouth.narrower * (dx * reach) + dx if self.shifts else g.floats(dx)
        inside = (1.0 - (self.column * (1 / HALF_WIDTH)).square()).positive()
        # The upper lip stays an arch; the lower one hangs rounder, as it is pulled at its middle.
        self.line = SAG * inside + (CENTRE_Y - 0.5 * SAG)
        self.rise = mouth.lift * inside
        self.drop = mouth.jaw * (inside * (1.75 - 0.75 * inside))
        self.top = self.line - self.rise
        self.bottom = self.line + self.drop


def _row_seen(g: Formulas, mouth: _Mouth, lips: _Lips, area: Area) -> Term:
    """The row of the reference picture that is seen at each pixel: lips parted, chin dropped."""
    rows = g.floats(area.rows)
    # Away from the lips the whole chin moves, wider than the mouth and a little less far, and the neck takes it up.
    chin = 0.72 * _smooth((CHIN_X - np.abs(area.columns - CENTRE_X)) / 85)
    settle = 1 - _smooth((area.rows - CHIN_Y) / (NECK_Y - CHIN_Y))
    below = ((rows - lips.bottom) * (1 / 80)).smooth()
    drop = lips.drop.toward(mouth.jaw * chin, below) * settle
    if not lips.shifts:
        return rows - drop
    above = 1.0 - ((lips.top - rows) * (1 / 46)).smooth()
    lower = g.apply("Greater", rows, lips.line)
    return rows + g.apply("Where", lower, -drop, lips.rise * above)


def _warp(g: Formulas, planes: list[Term], mouth: _Mouth, area: Area) -> Term:
    """What is seen at the pixels of an area, ``[B, 3, height, width]``, read between the pixels of `FACE`."""
    lips = _Lips(mouth, area)
    row, down = _split(_row_seen(g, mouth, lips, area) - float(FACE.top), FACE.height)
    # Indices are whole numbers from here on: half precision has none above 2048 that are next to each other.
    index = g.apply("Mul", g.apply("Cast", row, to=TensorProto.INT64), g.integers(FACE.width))
    if lips.shifts:
        column, right = _split(lips.column + (CENTRE_X - FACE.left), FACE.width)
        index = g.apply("Add", index, g.apply("Cast", column, to=TensorProto.INT64))
    else:
        index, right = g.apply("Add", index, g.integers(*range(area.width))), None
    index = g.apply("Reshape", index, g.integers(0, -1))
    size = g.integers(0, 1, area.height, area.width)

    def tap(plane: Term, offset: int) -> Term:
        at = g.apply("Add", index, g.integers(offset)) if offset else index
        return g.apply("Reshape", g.apply("GatherElements", plane, at, axis=1), size)

    shown = []
    for plane in planes:
        upper, under = tap(plane, 0), tap(plane, FACE.width)
        if right is not None:
            upper = upper.toward(tap(plane, 1), right)
            under = under.toward(tap(plane, FACE.width + 1), right)
        shown.append(upper.toward(under, down))
    return g.apply("Concat", *shown, axis=1)


def _split(place: Term, size: int) -> tuple[Term, Term]:
    """A coordinate as the pixel before it and the way to the next, both within ``size`` pixels."""
    g = place.graph
    pixel = g.apply("Clip", g.apply("Floor", place), g.floats(0.0), g.floats(float(size - 2)))
    return pixel, place - pixel


def _painted(g: Formulas, mouth: _Mouth, skin: Term) -> Term:
    """The pixels of `LIPS`: ``skin`` in the shade of the open mouth, and what shows between the lips."""
    lips = _Lips(mouth, LIPS)
    rows = g.floats(LIPS.rows)
    height = lips.bottom - lips.top
    from_top, from_bottom = rows - lips.top, lips.bottom - rows
    edge = from_top.minimum(from_bottom)
    # The shade fades within some pixels of the edge.
    shade = 1.0 - 0.42 * (height * (1 / 12)).unit() * (edge.minimum(0.0) * 0.30).exp()
    covered = (edge + 0.5).unit() * (height * 0.5).unit()
    return (skin * shade).toward(_inside(g, mouth, lips, height, from_top, edge), covered)


def _inside(g: Formulas, mouth: _Mouth, lips: _Lips, height: Term, from_top: Term, edge: Term) -> Term:
    """What is behind the lips, ``[B, 3, height, width]`` of `LIPS`; only meant to be seen within the gap."""
    rows = g.floats(LIPS.rows)
    across = (lips.column * (1 / HALF_WIDTH)).square()
    full = GAP * mouth.open + 1e-3

    middle = (rows - CENTRE_Y - 0.30 * full) / (0.55 * full + 1.0)
    depth = (1.0 - across * 1.3 - middle.square()).smooth()
    paint = g.floats(CAVITY).toward(g.floats(THROAT), depth)

    # The tongue lies on the floor of the mouth and comes up as it opens.
    tall = 0.44 * (full - 9.0).positive() + 0.5
    tip = CENTRE_Y + JAW * full + 0.05 * full
    ellipse = (across * (1 / 0.60**2) + ((rows - tip) / tall).square()).root()
    tongue = ((1.0 - ellipse) * tall).unit() * ((full - 9.0) / 8.0).unit()
    light = 0.52 + 0.5 * ((1.0 - ellipse) * 1.6).smooth() - 0.16 * (across * -60.0).exp()
    paint = paint.toward(g.floats(TONGUE) * light, tongue)

    # The teeth's edges are rounded and a thin shadow parts them.
    place = lips.column * (1 / 10.4)
    tooth = (place - g.apply("Floor", place) - 0.5) * 2.0
    seam = 1.0 - 0.30 * ((tooth.absolute() - 1.0) * 7.0).exp()
    row_end = ((0.80 * HALF_WIDTH - lips.column.absolute()) * (1 / 6)).unit()
    curve = 1.0 - 0.55 * across

    high = (13.0 * curve - 1.3 * tooth.square().square()).minimum(0.29 * height)
    seen = (high - from_top + 0.5).unit() * row_end * (height * 0.2).unit()
    lit = (0.62 + 0.38 * (from_top * (1 / 7)).smooth()) * seam * (1.0 - 0.50 * across)
    paint = paint.toward(g.floats(TEETH) * lit, seen)
    return paint * (0.50 + 0.50 * (edge * (1 / 6)).unit())


def build_mouth_model() -> onnx.ModelProto:
    """The demo's model.

    Returns:
        A checked model of dynamic batch: ``input`` float32 ``[B, 6, 320, 320]`` in [0, 1] (reference B, G, R, then
        masked B, G, R) and ``audio`` float32 ``[B, 32, 16, 16]`` (features as in `jobs.models.feature_channels`) to
        ``output`` float32 ``[B, 3, 320, 320]`` in [0, 1]. With the mouth closed and at rest the output is the
        reference.
    """
    g = Formulas()
    planes = g.term("input")
    whole = Area(0, SIDE, 0, SIDE)
    mouth = _Mouth(g, g.term("audio"))

    seen = _cut(g, planes, FACE, whole)
    colours = []
    for i in range(3):
        plane = g.apply("Slice", seen, g.integers(i), g.integers(i + 1), g.integers(1))
        colours.append(g.apply("Reshape", plane, g.integers(0, -1)))
    upper = Area(FACE.top, STILL, FACE.left, FACE.right)
    lower = Area(STILL, FACE.bottom, FACE.left, FACE.right)
    top = _warp(g, colours, mouth, upper)
    top = _inlay(g, _painted(g, mouth, _cut(g, top, LIPS, upper)), LIPS, top, upper)
    face = g.apply("Concat", top, _warp(g, colours, mouth, lower), axis=2)

    # Whole levels, so that what does not move comes back exactly when the renderer multiplies by 255 and truncates.
    levels = g.apply("Round", face * 255.0) * (1 / 255)
    _inlay(g, levels, FACE, planes, whole, name="output")

    def tensor(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    model = helper.make_model(
        helper.make_graph(
            g.nodes,
            "mouth",
            [tensor("input", (PLANES, SIDE, SIDE)), tensor("audio", AUDIO)],
            [tensor("output", (SHOWN, SIDE, SIDE))],
            g.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes a model to ``path``; its folder must exist."""
    path.write_bytes(model.SerializeToString(deterministic=True))
