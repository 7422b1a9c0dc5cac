"""Small encoders that tests generate. Nothing here imports the product's code."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def write_encoder(
    path: Path,
    batch: int | None = None,
    *,
    mel: tuple[int | str, ...] = (1, 80, 16),
    features: int = 512,
    declared: int | str | None = None,
    element: int = TensorProto.FLOAT,
    poison: bool = False,
) -> Path:
    """A random matrix on weighted sums of the bands, so that every row counts; with ``poison`` silence gives NaN."""
    size: int | str = "batch" if batch is None else batch
    rng = np.random.default_rng(3)
    constants: dict[str, NDArray[np.generic]] = {
        "mix": rng.normal(0, 0.01, (80, features)).astype(np.float32),
        "rows": rng.uniform(0.5, 1.5, (16, 1)).astype(np.float32),
        "flat": np.array([0, 80], np.int64),
        "nan": np.array(np.nan, np.float32),
        "floor": np.array(-3.99, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["heard", "rows"], ["bands"]),
        helper.make_node("Reshape", ["bands", "flat"], ["flatter"]),
        helper.make_node("MatMul", ["flatter", "mix"], ["answer" if not poison else "sane"]),
    ]
    if poison:
        nodes += [
            helper.make_node("ReduceMax", ["heard"], ["most"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Less", ["most", "floor"], ["silent"]),
            helper.make_node("Unsqueeze", ["silent", "axis"], ["mask"]),
            helper.make_node("Where", ["mask", "nan", "sane"], ["answer"]),
        ]
        constants["axis"] = np.array([1], np.int64)
    graph = helper.make_graph(
        nodes,
        "ear",
        [helper.make_tensor_value_info("heard", element, [size, *mel])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [size, declared or features])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
