"""Networks whose answer to a frame depends on more than the frame. Nothing here imports the product's code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import small
from onnx import helper, numpy_helper

# By what the answer is changed, and how the small model's last layers are told to do so.
SORTS = ("quantised", "training", "averaged", "cumulated")
UNSTEADY = ("dropout", "drawn")


def write_mixing(path: Path, sort: str, batch: int | None = None) -> Path:
    """The small model, or its fixed form, with a layer of some sort behind its convolution."""
    model = onnx.load(str(small.write_model(path, batch)))
    mix(model, "mixed", sort, channels=3)
    onnx.save(model, str(path))
    return path


def mix(model: onnx.ModelProto, name: str, sort: str, *, channels: int) -> None:
    """Puts layers between a tensor and those that read it."""
    graph = model.graph
    weights: dict[str, np.ndarray] = {}
    for node in graph.node:
        node.input[:] = ["other" if given == name else given for given in node.input]
    match sort:
        case "quantised":
            layers = [
                helper.make_node("DynamicQuantizeLinear", [name], ["whole", "scale", "zero"]),
                helper.make_node("DequantizeLinear", ["whole", "scale", "zero"], ["other"]),
            ]
        case "training":
            weights = {n: np.full(channels, v, np.float32) for n, v in {"g": 1, "b": 0, "m": 0, "v": 1}.items()}
            outputs = ["other", "mean", "variance"]
            layers = [helper.make_node("BatchNormalization", [name, "g", "b", "m", "v"], outputs, training_mode=1)]
        case "averaged":
            layers = [
                helper.make_node("ReduceMean", [name], ["average"], axes=[0], keepdims=1),
                helper.make_node("Sub", [name, "average"], ["apart"]),
                helper.make_node("Add", ["apart", name], ["other"]),
            ]
        case "cumulated":
            weights = {"first": np.array(0, np.int64)}
            layers = [helper.make_node("CumSum", [name, "first"], ["other"])]
        case "dropout":
            weights = {"ratio": np.array(0.3, np.float32), "active": np.array(True)}
            # The runtime takes an active dropout out, unless something reads what it has dropped.
            layers = [
                helper.make_node("Dropout", [name, "ratio", "active"], ["rest", "mask"]),
                helper.make_node("Cast", ["mask"], ["kept"], to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", ["rest", "kept"], ["other"]),
            ]
        case "drawn":
            layers = [
                helper.make_node("RandomNormalLike", [name], ["noise"], scale=0.1, seed=1.0),
                helper.make_node("Add", [name, "noise"], ["other"]),
            ]
        case "idle dropout":
            weights = {"ratio": np.array(0.3, np.float32), "active": np.array(False)}
            layers = [helper.make_node("Dropout", [name, "ratio", "active"], ["other"])]
        case _:
            raise ValueError(sort)
    place = next(number for number, node in enumerate(graph.node) if name in node.output)
    for number, layer in enumerate(layers):
        graph.node.insert(place + 1 + number, layer)
    graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in weights.items())
