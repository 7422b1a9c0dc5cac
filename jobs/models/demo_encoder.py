"""The demo's encoder: a few formulas that keep the real contract and say how loud and how bright the voice is.

It undoes what the mel front end does (decibels, mel bands, pre-emphasis), so that the demo's mouth opens with the voice
on the same way that a trained encoder's features take: recording, mel windows, encoder, feature rows, network.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from actors.core.mel import BANDS, RATE, WINDOW_ROWS, mel_bank
from jobs.models import feature_channels
from jobs.models.formula import Formulas, Term

OPSET = 17
IR_VERSION = 8
FEATURES = 512

# An output frame's features come from the window that began one frame earlier; the frame's own 40 ms are these rows.
# Where the weights' middle is best, and the scale of loudness, was found by comparing with the demo's voice itself.
FRAME_ROW, FRAME_SPREAD = 5.2, 1.4
LOUDNESS = 65.0
# The root mean square at which the mouth is wide open, the demo's loud vowels, and the share of it that is only breath.
LOUD, BREATH = 0.29, 0.02

# Vowels with rounded lips are strong in the first of these bands, in Hz, those with spread lips in the second.
LOW, HIGH = (500.0, 1300.0), (1500.0, 2800.0)
# Where between them lips are at rest.
BALANCE = 1.6

_EMPHASIS = 0.97


def _bands() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each mel band its middle in Hz, its width in Hz, and how strongly pre-emphasis passes it."""
    bank = mel_bank().astype(np.float64)
    middles = (bank * np.linspace(0, RATE / 2, bank.shape[1])).sum(axis=1) / bank.sum(axis=1)
    passed = np.abs(1 - _EMPHASIS * np.exp(-2j * np.pi * middles / RATE))
    return middles, np.gradient(middles), passed


def _band_sum(g: Formulas, magnitudes: Term, weights: npt.NDArray[np.float64]) -> Term:
    """The frame's weighted sum over the bands ``(80,)``, one number for each window: ``[B, 1, 1, 1]``."""
    rows = np.exp(-0.5 * ((np.arange(WINDOW_ROWS) - FRAME_ROW) / FRAME_SPREAD) ** 2)
    across = g.floats((rows / rows.sum()).reshape(WINDOW_ROWS, 1))
    return g.apply("MatMul", g.apply("MatMul", g.floats(weights.reshape(1, BANDS)), magnitudes), across)


def _spectrum(g: Formulas, mel: Term, middles: npt.NDArray[np.float64]) -> Term:
    """The frame's spectrum in [0, 1] from 31 Hz to 8 kHz, ``[B, 1, 1, n]``."""
    count = feature_channels.SPECTRUM.stop - feature_channels.SPECTRUM.start
    hertz = np.linspace(31.25, RATE / 2, count)
    eye = np.eye(BANDS)
    between = np.stack([np.interp(hertz, middles, eye[band]) for band in range(BANDS)])
    row = round(FRAME_ROW)
    own = g.apply("Slice", mel, g.integers(row), g.integers(row + 1), g.integers(3))
    lying = g.apply("Transpose", own, perm=[0, 1, 3, 2])
    return ((g.apply("MatMul", lying, g.floats(between)) + 4.0) / 8.0).unit()


def build_demo_encoder() -> onnx.ModelProto:
    """The demo's encoder.

    Returns:
        A checked model of dynamic batch: ``mel_spectrogram`` float32 ``[B, 1, 80, 16]`` in [-4, 4] to
        ``audio_features`` float32 ``[B, 512]`` as `jobs.models.feature_channels` names them: the opening in [0, 1], the
        spread in [-1, 1], then a spectrum in [0, 1].
    """
    g = Formulas()
    middles, widths, passed = _bands()
    mel = g.term("mel_spectrogram")
    # A mel value of 4 is a magnitude of 10, each 1.6 below is a tenth of it.
    magnitudes = ((mel - 4.0) * (math.log(10) / 1.6)).exp() * 10.0

    loudness = _band_sum(g, magnitudes.square(), widths / passed**2).root() / (LOUDNESS * LOUD)
    opening = ((loudness - BREATH) / (1.0 - BREATH)).unit()

    def strength(band: tuple[float, float]) -> Term:
        inside = (middles > band[0]) & (middles < band[1])
        return g.apply("Log", _band_sum(g, magnitudes, inside * widths / passed) + 1e-4)

    balance = g.apply("Tanh", (strength(HIGH) - strength(LOW)) * 1.2 + BALANCE)
    spread = balance * opening.root()

    rows = g.apply("Concat", opening, spread, _spectrum(g, mel, middles), axis=3)
    g.apply("Reshape", rows, g.integers(0, FEATURES), name="audio_features")
    model = helper.make_model(
        helper.make_graph(
            g.nodes,
            "demo_encoder",
            [helper.make_tensor_value_info("mel_spectrogram", TensorProto.FLOAT, ["batch", 1, BANDS, WINDOW_ROWS])],
            [helper.make_tensor_value_info("audio_features", TensorProto.FLOAT, ["batch", FEATURES])],
            g.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mouthpiece",
    )
    onnx.checker.check_model(model, full_check=True)
    return model
