"""What the operators of a network say about its answers: chance, training mode, scales found while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.network.traversal import nodes

if TYPE_CHECKING:
    import onnx

# What they give is drawn anew in each run.
RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
# Which of its inputs says that a dropout is active.
TRAINING_INPUT = 2

# They find one scale for all that they are given, so for a whole batch.
FINDING_SCALES = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})

# Whatever calculates in integers, or stands between these and floats.
QUANTISED_PREFIXES = ("QLinear", "QAttention", "QGemm", "QEmbed", "DynamicQuantize")
QUANTISED = frozenset(
    {
        "ConvInteger",
        "DequantizeLinear",
        "MatMulBnb4",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QuantizeLinear",
    }
)


def unsteady_operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """Operators whose results may be drawn by chance, or follow from what was run before.

    Whether the network's answers do can only be seen by running it.
    """
    return tuple(sorted({node.op_type for node in nodes(model) if _draws(node) or is_training(node)}))


def quantised_operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """Operators by which a network is quantised; empty where it is not."""
    names = {node.op_type for node in nodes(model)}
    return tuple(sorted(name for name in names if name in QUANTISED or name.startswith(QUANTISED_PREFIXES)))


def is_training(node: onnx.NodeProto) -> bool:
    """Whether a normalisation takes its statistics from the batch that it is given."""
    if node.op_type != "BatchNormalization":
        return False
    # Before operator set 14 there was no attribute for it: further outputs meant training.
    flag = any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute)
    return flag or sum(bool(name) for name in node.output) > 1


def in_training(model: onnx.ModelProto) -> bool:
    """Whether a network was exported as it is trained."""
    return any(is_training(node) for node in nodes(model))


def mixing_cause(model: onnx.ModelProto) -> str:
    """Why the answers of a network that depend on their batch may do so, and what to do about it."""
    found = sorted({node.op_type for node in nodes(model)} & FINDING_SCALES)
    if found:
        return f"{' and '.join(found)} takes one scale for a whole batch: quantize it with static scales"
    if in_training(model):
        return "it was exported in training mode: export it after .eval()"
    return "the cause is unknown"


def _draws(node: onnx.NodeProto) -> bool:
    if node.op_type in RANDOM:
        return True
    return node.op_type.endswith("Dropout") and any(node.input[TRAINING_INPUT:])
