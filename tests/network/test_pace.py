"""The race between sessions that give the same."""

from __future__ import annotations

import itertools

import exports
import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from actors.network.pace import fastest

PLANES, SIDE = 16, 64


def session(layers: int) -> ort.InferenceSession:
    """A session of so many equal convolutions, one behind the other."""
    weight = numpy_helper.from_array(np.full((PLANES, PLANES, 3, 3), 0.001, np.float32), "weight")
    names = [f"t{i}" for i in range(layers + 1)]
    nodes = [
        helper.make_node("Conv", [source, "weight"], [target], pads=[1] * 4)
        for source, target in itertools.pairwise(names)
    ]
    sides = [2, PLANES, SIDE, SIDE]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "layers", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return ort.InferenceSession(exports.checked(model).SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("layers", [(1, 40), (40, 1), (40, 1, 40), (40, 40, 1)])
def test_much_less_work_wins(layers: tuple[int, ...]) -> None:
    assert fastest([session(count) for count in layers]) == layers.index(1)
