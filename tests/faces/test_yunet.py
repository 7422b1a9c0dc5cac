"""A detector of the user's own is read as YuNet's contract says, and anything else is refused in a line."""

import face_networks
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from actors.core.errors import InputError
from actors.faces.weights import OwnDetector
from actors.faces.yunet import YuNet


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(OwnDetector("own.onnx", face_networks.bright_cell_detector()))


def box_of(row: int, column: int) -> list[float]:
    """The box of the face whose cell of 16 pixels is white."""
    (x, y), (width, height) = face_networks.MIDDLE, face_networks.SIZE
    middle = (column + x) * 16, (row + y) * 16
    return [
        middle[0] - width * 8,
        middle[1] - height * 8,
        middle[0] + width * 8,
        middle[1] + height * 8,
    ]


def lit(
    width: int, height: int, cells: dict[tuple[int, int], int], cell: int = 16
) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    frame = np.zeros((height, width, 3), np.uint8)
    for (row, column), level in cells.items():
        frame[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = level
    return frame


@pytest.mark.parametrize("size", [(320, 240), (321, 243), (640, 100)])
def test_boxes_points_and_scores_are_those_of_the_network(detector: YuNet, size: tuple[int, int]) -> None:
    found = detector.find(lit(*size, {(1, 9): 200, (4, 2): 255, (3, 15): 40}), 0.5)
    assert found.boxes == pytest.approx(np.array([box_of(4, 2), box_of(1, 9)]), abs=1e-3)
    assert found.scores == pytest.approx(np.array([1, 200 / 255]), abs=1e-5)
    assert found.best == found.scores[0]
    (ax, ay), (bx, by) = face_networks.POINTS[3:]
    expected = [*face_networks.POINTS[:3], ((ax + bx) / 2, (ay + by) / 2)]
    assert found.points[0, :4] == pytest.approx(np.array([((2 + x) * 16, (4 + y) * 16) for x, y in expected]), abs=1e-3)
    assert np.isnan(found.points[:, 4:]).all()


def test_a_large_frame_is_shrunk_and_its_faces_are_in_its_own_pixels(detector: YuNet) -> None:
    found = detector.find(lit(3840, 2160, {(5, 7): 255}, cell=96), 0.5)
    assert found.boxes == pytest.approx(np.array([box_of(5, 7)]) * 6, abs=0.01)


def test_nothing_is_found_in_black(detector: YuNet) -> None:
    found = detector.find(lit(64, 64, {}), 0.5)
    assert (len(found), found.best, found.points.shape) == (0, 0.0, (0, 6, 2))


def one_output() -> bytes:
    node = helper.make_node("Relu", ["input"], ["cls_8"])
    tensor = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 640, 640]) for name in ("input", "cls_8")]
    graph = helper.make_graph([node], "one", tensor[:1], tensor[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("model", [b"", b"no ONNX at all", one_output()])
def test_what_is_no_such_detector_is_refused(model: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        InputError, match=r"^own\.onnx: is no detector that OpenCV runs \(.*\); give --detector an ONNX"
    ):
        YuNet(OwnDetector("own.onnx", model))
    assert capfd.readouterr().err == ""


def test_numbers_that_are_no_faces_are_refused() -> None:
    model = onnx.load_model_from_string(face_networks.bright_cell_detector())
    for tensor in model.graph.initializer:
        if tensor.name == "bbox_16_bias":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(4, np.inf, np.float32), tensor.name))
    detector = YuNet(OwnDetector("own.onnx", model.SerializeToString()))
    with pytest.raises(InputError, match="gives no faces but other numbers"):
        detector.find(lit(320, 240, {(4, 2): 255}), 0.5)
