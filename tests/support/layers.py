"""Networks of a few layers with random weights, and what the runtime gives. Nothing here imports the product."""

from __future__ import annotations

from typing import Any

import exports
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

OPSET = 17


class Layers:
    """A network under construction; every method returns the name of the tensor it makes."""

    def __init__(self, planes: int, rows: int, columns: int, seed: int = 1) -> None:
        self.sides = (planes, rows, columns)
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    def weight(self, *sides: int) -> str:
        values = self.rng.normal(size=sides).astype(np.float32) / np.float32(max(1, np.prod(sides[1:]) ** 0.5))
        return self.constant(values)

    def constant(self, values: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(values, f"weight-{len(self.weights)}"))
        return self.weights[-1].name

    def node(self, operator: str, *inputs: str, **settings: object) -> str:
        name = f"t{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [name], name=f"n{len(self.nodes)}")
        node.attribute.extend(helper.make_attribute(key, value) for key, value in settings.items())
        self.nodes.append(node)
        return name

    def conv(self, source: str, into: int, out: int, kernel: int = 1, *, stride: int = 1) -> str:
        return self.node(
            *("Conv", source, self.weight(out, into, kernel, kernel), self.weight(out)),
            pads=[(kernel - 1) // 2] * 4,
            strides=[stride] * 2,
        )

    def norm(self, source: str, planes: int) -> str:
        return self.node(
            *("BatchNormalization", source, self.weight(planes), self.weight(planes), self.weight(planes)),
            self.constant(np.abs(self.rng.normal(size=planes)).astype(np.float32) + np.float32(0.5)),
        )

    def model(self, last: str, opset: int = OPSET, sound: tuple[int, int, int] | None = None) -> onnx.ModelProto:
        """The network that ends with a tensor; the batch is left open. It may hear ``audio`` as well as see ``x``."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = ["y" if name == last else name for name in names]
        inputs = {"x": self.sides} | ({"audio": sound} if sound else {})
        graph = helper.make_graph(
            self.nodes,
            "layers",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sides]) for name, sides in inputs.items()],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None, None, None])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return exports.checked(model)


def open_session(model: onnx.ModelProto, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Whatever else runs here needs the core that a waiting thread would take.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def answers(session: ort.InferenceSession, feed: dict[str, Floats]) -> list[Floats]:
    found: list[Floats] = session.run(None, feed)
    return found
