"""The benchmark's light networks: a kind's real contract at next to no cost, so that everything around it limits."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from actors.core.kind import ModelKind
from jobs.models.formula import Formulas

OPSET = 17
IR_VERSION = 8
SEED = 328

# A sigmoid of four times the distance from grey is close to the picture itself, so frames compress as footage does.
CONTRAST = 4.0
# Least and largest weight, up to the sign, by which planes other than the own one take part.
MIXING = (0.2, 0.6)
# Spread of the sum over all values of an audio window of unit variance: enough to be seen, too little to saturate.
LOUDNESS = 0.8


def build_light_model(kind: ModelKind) -> onnx.ModelProto:
    """A 1x1 convolution over the six planes, shifted by all of the audio window, then a sigmoid.

    Args:
        kind: the contract, of a range of [0, 1].

    Returns:
        A checked model of dynamic batch: ``input`` float32 ``[B, *kind.planes]`` in [0, 1] and ``audio`` float32
        ``[B, *kind.audio]`` to ``output`` float32 ``[B, *kind.output]`` in (0, 1). Every output plane depends on every
        input plane and on every audio value; the same call gives the same bytes.
    """
    rng = np.random.default_rng(SEED)
    planes, shown = kind.planes[0], kind.output[0]
    values = int(np.prod(kind.audio))
    mix = rng.uniform(*MIXING, (shown, planes)) * rng.choice([-1.0, 1.0], (shown, planes))
    reference = slice(shown, planes) if kind.masked_first else slice(0, shown)
    mix[:, reference] += CONTRAST * np.eye(shown)
    # Grey stays grey, whatever the mixture.
    middle = -0.5 * mix[:, reference].sum(axis=1)
    weights = rng.normal(0.0, LOUDNESS / np.sqrt(values), (values, shown))

    g = Formulas()
    # The 1x1 convolution as a matrix product: ONNX Runtime would pad so few channels to blocks of 8 or 16.
    pixels = g.apply("Reshape", g.term("input"), g.integers(0, planes, kind.inner**2))
    picture = g.apply("MatMul", g.floats(mix), pixels)
    window = g.apply("Reshape", g.term("audio"), g.integers(0, values))
    shift = g.apply("MatMul", window, g.floats(weights)) + middle
    picture = picture + g.apply("Reshape", shift, g.integers(0, shown, 1))
    g.apply("Reshape", g.apply("Sigmoid", picture), g.integers(0, *kind.output), name="output")

    def tensor(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    model = helper.make_model(
        helper.make_graph(
            g.nodes,
            "light",
            [tensor("input", kind.planes), tensor("audio", kind.audio)],
            [tensor("output", kind.output)],
            g.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mouthpiece",
    )
    onnx.checker.check_model(model, full_check=True)
    return model
