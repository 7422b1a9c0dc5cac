"""The networks that find faces, the drawn presenter, and a detector of YuNet's contract that finds bright squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.faces.finder import FaceFinder
from actors.faces.weights import FaceWeights
from jobs.faces.weights import INSTALL, MODULE, read_weights


@pytest.fixture(scope="session")
def face_weights() -> FaceWeights:
    """The real networks; `make test` installs them."""
    if find_spec(MODULE) is None:
        pytest.skip(f"the networks that find faces are not installed: {INSTALL}")
    return read_weights()


@pytest.fixture(scope="session")
def face_finder(face_weights: FaceWeights) -> FaceFinder:
    """Finds faces by the real networks; it keeps nothing between frames."""
    return FaceFinder(face_weights)


@dataclass(frozen=True)
class DemoFrames:
    """The demo's backgrounds as its clip has them; drawing the presenter again takes longer than finding her."""

    images: Path

    def frame(self, index: int) -> NDArray[np.uint8]:
        picture = cv2.imread(str(self.images / f"{index}.jpg"))
        assert picture is not None
        return np.asarray(picture, np.uint8)


@pytest.fixture(scope="session")
def presenter(demo_clip: Path) -> DemoFrames:
    """The presenter, frame by frame."""
    return DemoFrames(demo_clip / "full_body_img")


# In the units of stride 16: where the middle of a found face lies in its cell, and how large it is.
MIDDLE, SIZE = (0.5, 0.25), (3.0, 4.0)
POINTS = ((-0.5, -1.0), (1.5, -1.0), (0.5, 0.0), (0.0, 1.0), (1.0, 1.0))


@cache
def bright_cell_detector() -> bytes:
    """An ONNX file that sees a face in every white cell of 16 x 16 pixels; its score is the cell's brightness."""
    nodes, outputs = [], []
    constants: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {}
    values = {
        "cls": np.zeros(0),
        "obj": np.zeros(0),
        "bbox": np.array([*MIDDLE, math.log(SIZE[0]), math.log(SIZE[1])]),
        "kps": np.array(POINTS).ravel(),
    }
    for stride in (8, 16, 32):
        nodes.append(
            helper.make_node(
                "AveragePool", ["input"], [f"cells_{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            )
        )
        for what, bias in values.items():
            name, width = f"{what}_{stride}", max(len(bias), 1)
            # Scores are the mean of three colours; everything else is the same in each cell.
            weight = np.zeros((width, 3, 1, 1), np.float32)
            weight[...] = 0 if len(bias) or stride != 16 else 1 / (3 * 255)
            constants[f"{name}_weight"] = weight
            constants[f"{name}_bias"] = (bias if len(bias) else np.zeros(1)).astype(np.float32)
            constants[f"{name}_shape"] = np.array([1, -1, width], np.int64)
            nodes += [
                helper.make_node("Conv", [f"cells_{stride}", f"{name}_weight", f"{name}_bias"], [f"{name}_maps"]),
                helper.make_node("Transpose", [f"{name}_maps"], [f"{name}_rows"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}_rows", f"{name}_shape"], [name]),
            ]
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, width]))
    graph = helper.make_graph(
        nodes,
        "bright-cells",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, None, None])],
        sorted(outputs, key=lambda output: output.name),
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
