"""The demo's model: a few formulas that honour the real contract and open a mouth with the sound.

It bends the reference picture as a jaw would (lips part, the chin drops, the lips round or spread) and paints what is
behind the lips: the dark of the mouth, a tongue, the upper teeth. Where nothing moves, the picture stays as it is.
All lengths are pixels of the inner region, which the network sees at 320 x 320.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from actors.core.kind import UNET_328
from jobs.models import channels
from jobs.models.formula import Formulas, Term

if TYPE_CHECKING:
    from pathlib import Path

OPSET = 17
IR_VERSION = 8

# Where the closed lips meet: the middle of the line, half its length, and how far it sags between the corners.
CENTRE_X = 160.0
CENTRE_Y = 116.0
HALF_WIDTH = 50.0
SAG = 6.5
# The lips part by this much when wide open, mostly because the jaw drops.
GAP = 48.0
JAW = 0.8
CHIN_Y = 222.0

_SIDE = UNET_328.inner
_ROWS: npt.NDArray[np.float64] = np.arange(_SIDE, dtype=np.float64).reshape(1, 1, _SIDE, 1)
_COLUMNS: npt.NDArray[np.float64] = np.arange(_SIDE, dtype=np.float64).reshape(1, 1, 1, _SIDE)


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
    rows = g.apply("Reshape", audio, g.integers(0, UNET_328.rows, *UNET_328.feature))
    row = UNET_328.rows // 2
    cut = g.apply("Slice", rows, g.integers(row, channel), g.integers(row + 1, channel + 1), g.integers(1, 2))
    return g.apply("Reshape", cut, g.integers(0, 1, 1, 1))


class _Mouth:
    """The shape of the mouth on one frame as terms: source columns, edges of the gap, and how open it is."""

    def __init__(self, g: Formulas, audio: Term) -> None:
        self.open = _feature(g, audio, channels.OPENING).unit()
        spread = _feature(g, audio, channels.SPREAD)
        narrower = 0.26 * (-spread).positive().unit() - 0.10 * spread.positive().unit()
        dx, dy = _COLUMNS - CENTRE_X, _ROWS - CENTRE_Y
        reach = np.clip(1 - (dx / 115) ** 2, 0, 1) ** 2 * np.clip(1 - (dy / 85) ** 2, 0, 1) ** 2
        # The column of the reference picture that is seen at each pixel, from the middle of the mouth.
        self.column = dx * (1.0 + narrower * reach)
        inside = (1.0 - (self.column / HALF_WIDTH).square()).positive()
        # The upper lip stays an arch; the lower one hangs rounder, as it is pulled at its middle.
        arch, bow = inside, inside * (0.25 + 0.75 * (2.0 - inside))
        self.line = CENTRE_Y + SAG * (inside - 0.5)
        gap = GAP * self.open
        self.jaw = JAW * gap
        self.lift = (1 - JAW) * gap
        self.rise = self.lift * arch
        self.drop = self.jaw * bow
        self.top = self.line - self.rise
        self.bottom = self.line + self.drop
        self.height = self.bottom - self.top


def _warp(g: Formulas, picture: Term, mouth: _Mouth) -> Term:
    """The picture with its lips parted and its chin dropped; what shows in the gap is painted over later."""
    rows = g.floats(_ROWS)
    # Away from the lips the whole chin moves, wider than the mouth and a little less far, and the neck takes it up.
    chin = 0.72 * _smooth((118 - np.abs(_COLUMNS - CENTRE_X)) / 85)
    settle = 1 - _smooth((_ROWS - CHIN_Y) / (302 - CHIN_Y))
    below = ((rows - mouth.bottom) / 80.0).smooth()
    drop = mouth.drop.toward(mouth.jaw * chin, below) * settle
    above = 1.0 - ((mouth.top - rows) / 46.0).smooth()
    rise = mouth.rise * above
    lower = g.apply("Greater", rows, mouth.line)
    row = g.apply("Where", lower, rows - drop, rows + rise)
    # GridSample counts from -1 to 1 between the centres of the outermost pixels.
    scale = 2 / (_SIDE - 1)
    x = (mouth.column + CENTRE_X) * scale - 1.0
    grid = g.apply("Concat", x, row * scale - 1.0, axis=1)
    grid = g.apply("Transpose", grid, perm=[0, 2, 3, 1])
    return g.apply("GridSample", picture, grid, mode="bilinear", padding_mode="border", align_corners=1)


def _inside(g: Formulas, mouth: _Mouth) -> Term:
    """What is behind the lips, ``[B, 3, 320, 320]``; only meant to be seen within the gap."""
    rows = g.floats(_ROWS)
    across = mouth.column / HALF_WIDTH
    from_top, from_bottom = rows - mouth.top, mouth.bottom - rows
    full = GAP * mouth.open + 1e-3

    middle = (rows - CENTRE_Y - 0.30 * full) / (0.55 * full + 1.0)
    depth = (1.0 - across.square() * 1.3 - middle.square()).smooth()
    paint = g.floats(CAVITY).toward(g.floats(THROAT), depth)

    # The tongue lies on the floor of the mouth and comes up as it opens.
    tall = 0.44 * (full - 9.0).positive() + 0.5
    tip = CENTRE_Y + JAW * full + 0.05 * full
    ellipse = ((mouth.column / (0.60 * HALF_WIDTH)).square() + ((rows - tip) / tall).square()).root()
    tongue = ((1.0 - ellipse) * tall).unit() * ((full - 9.0) / 8.0).unit()
    light = 0.52 + 0.5 * ((1.0 - ellipse) * 1.6).smooth() - 0.16 * (across.square() * -60.0).exp()
    paint = paint.toward(g.floats(TONGUE) * light, tongue)

    # The teeth's edges are rounded and a thin shadow parts them.
    pitch = 10.4
    place = mouth.column / pitch
    tooth = (place - g.apply("Floor", place) - 0.5) * 2.0
    seam = 1.0 - 0.30 * ((tooth.absolute() - 1.0) * 7.0).exp()
    row_end = ((0.80 * HALF_WIDTH - mouth.column.absolute()) / 6.0).unit()
    curve = 1.0 - 0.55 * across.square()

    high = (13.0 * curve - 1.3 * tooth.square().square()).minimum(0.29 * mouth.height)
    seen = (high - from_top + 0.5).unit() * row_end * (mouth.height / 5.0).unit()
    lit = (0.62 + 0.38 * (from_top / 7.0).smooth()) * seam * (1.0 - 0.50 * across.square())
    paint = paint.toward(g.floats(TEETH) * lit, seen)

    edge = from_top.minimum(from_bottom)
    return paint * (0.50 + 0.50 * (edge / 6.0).unit())


def build_mouth_model() -> onnx.ModelProto:
    """The demo's model.

    Returns:
        A checked model of dynamic batch: ``input`` float32 ``[B, 6, 320, 320]`` in [0, 1] (reference B, G, R, then
        masked B, G, R) and ``audio`` float32 ``[B, 32, 16, 16]`` (features as in `jobs.models.channels`) to
        ``output`` float32 ``[B, 3, 320, 320]`` in [0, 1]. With the mouth closed and at rest the output is the
        reference.
    """
    g = Formulas()
    planes = g.term("input")
    picture = g.apply("Slice", planes, g.integers(0), g.integers(3), g.integers(1))
    mouth = _Mouth(g, g.term("audio"))
    rows = g.floats(_ROWS)

    warped = _warp(g, picture, mouth)
    parted = (mouth.height / 2.0).unit()
    outside = (mouth.top - rows).positive() + (rows - mouth.bottom).positive()
    shade = 1.0 - 0.42 * (mouth.height / 12.0).unit() * (outside * -0.30).exp()
    gap = (rows - mouth.top).minimum(mouth.bottom - rows)
    covered = (gap + 0.5).unit() * parted
    painted = (warped * shade).toward(_inside(g, mouth), covered)

    # Whole levels, so that what does not move comes back exactly when the renderer multiplies by 255 and truncates.
    levels = g.apply("Round", painted.unit() * 255.0) / 255.0
    x, y, width, height = UNET_328.mask
    masked = np.zeros((1, 1, _SIDE, _SIDE), np.bool_)
    masked[..., y : y + height, x : x + width] = True
    g.apply("Where", g.array(masked), levels, picture.unit(), name="output")

    def tensor(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    model = helper.make_model(
        helper.make_graph(
            g.nodes,
            "mouth",
            [tensor("input", UNET_328.planes), tensor("audio", UNET_328.audio)],
            [tensor("output", UNET_328.output)],
            g.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mouthpiece",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes a model to ``path``; its folder must exist."""
    path.write_bytes(model.SerializeToString(deterministic=True))
