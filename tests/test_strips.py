"""The last layers in strips: the same bits as before, and no strips where they would be wrong or gain nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import exports
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.core.kind import ModelTensors
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.model import read_model
from actors.strips import in_strips
from jobs.models.light import build_light_model
from jobs.models.unet import build_unet328

Floats = NDArray[np.float32]

OPSET = 17
# A batch that makes any tensor a large one.
MANY = 1 << 20
TENSORS = ModelTensors("x", "audio", "y", None, OPSET, ())


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

    def conv(self, source: str, into: int, out: int, kernel: int = 1, *, group: int = 1, dilation: int = 1) -> str:
        pad = dilation * (kernel - 1) // 2
        return self.node(
            *("Conv", source, self.weight(out, into // group, kernel, kernel), self.weight(out)),
            group=group,
            dilations=[dilation] * 2,
            pads=[pad] * 4,
        )

    def norm(self, source: str, planes: int) -> str:
        return self.node(
            *("BatchNormalization", source, self.weight(planes), self.weight(planes), self.weight(planes)),
            self.constant(np.abs(self.rng.normal(size=planes)).astype(np.float32) + np.float32(0.5)),
        )

    def model(self, last: str, opset: int = OPSET) -> onnx.ModelProto:
        """The network that ends with a tensor; the batch is left open."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = ["y" if name == last else name for name in names]
        whole: list[str | int | None] = ["n", *self.sides]
        graph = helper.make_graph(
            self.nodes,
            "layers",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, whole)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None, None, None])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return exports.checked(model)


def answer(model: onnx.ModelProto, feed: dict[str, Floats]) -> Floats:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: Floats = session.run(None, feed)[0]
    return found


def count(model: onnx.ModelProto) -> int:
    """How many strips a model has."""
    return sum(node.op_type == "Slice" and "/kept" in node.output[0] for node in model.graph.node)


def same(model: onnx.ModelProto, sides: tuple[int, int, int], halo: int) -> None:
    """Asserts that strips do not change a bit, and that there are as many as rows beyond a strip's own are worth."""
    before = model.SerializeToString()
    stripped = in_strips(model, TENSORS, MANY)
    assert model.SerializeToString() == before
    exports.checked(stripped)
    wanted = -(-sides[1] // (8 * halo))
    assert count(stripped) == (wanted if wanted > 1 else 0)
    feed = {"x": np.random.default_rng(3).normal(size=(2, *sides)).astype(np.float32)}
    assert np.array_equal(answer(stripped, feed), answer(model, feed))


@settings(max_examples=40)
@given(
    rows=st.integers(20, 150),
    columns=st.integers(5, 40),
    blocks=st.lists(
        st.tuples(
            st.sampled_from([1, 3, 5]),
            st.integers(1, 2),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Clip", ""]),
        ),
        min_size=1,
        max_size=3,
    ),
    skip=st.booleans(),
    planes=st.sampled_from([3, 16]),
)
def test_no_bit_changes(
    rows: int,
    columns: int,
    blocks: list[tuple[int, int, bool, bool, str]],
    skip: bool,
    planes: int,
) -> None:
    net = Layers(planes, rows, columns)
    # A layer that strips stop at: it looks at everything.
    whole = net.node("GlobalAveragePool", "x")
    start = net.node("Mul", "x", whole)
    width, here = planes, start
    for kernel, dilation, depthwise, residual, activation in blocks:
        wide = net.conv(here, width, 32)
        wide = net.conv(wide, 32, 32, kernel, group=32 if depthwise else 1, dilation=dilation)
        wide = net.norm(wide, 32)
        if activation == "Clip":
            wide = net.node("Clip", wide, net.constant(np.array(0, np.float32)), net.constant(np.array(6, np.float32)))
        elif activation:
            wide = net.node(activation, wide)
        narrow = net.conv(wide, 32, width)
        here = net.node("Add", here, narrow) if residual else narrow
    if skip:
        here = net.node("Concat", here, start, axis=1)
    # At least one layer looks at its neighbours, however the dice fell.
    last = net.conv(here, width * (2 if skip else 1), 3, 3)
    halo = 1 + sum(dilation * (kernel - 1) // 2 for kernel, dilation, *_ in blocks)
    same(net.model(last), (planes, rows, columns), halo)


def test_strips_take_only_what_nothing_else_reads() -> None:
    net = Layers(4, 64, 8)
    first = net.conv("x", 4, 4, 3)
    small_picture = net.node("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2])
    back = net.node("Resize", small_picture, "", net.constant(np.array([1, 1, 2, 2], np.float32)))
    both = net.node("Concat", first, back, axis=-3)
    model = net.model(net.conv(both, 8, 3, 5))
    stripped = in_strips(model, TENSORS, MANY)
    kinds = [node.op_type for node in stripped.graph.node]
    # The first convolution is read by the pooling as well, so it runs once, on the whole picture.
    assert kinds[:3] == ["Conv", "MaxPool", "Resize"]
    assert kinds.count("Conv") == 1 + count(stripped)
    same(model, (4, 64, 8), 2)


def strided(net: Layers) -> str:
    doubled = net.node("Resize", "x", "", net.constant(np.array([1, 1, 2, 2], np.float32)))
    return net.node("Conv", doubled, net.weight(3, 4, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])


def lopsided(net: Layers) -> str:
    return net.node("Conv", "x", net.weight(3, 4, 3, 3), pads=[2, 1, 0, 1])


def automatic(net: Layers) -> str:
    return net.node("Conv", "x", net.weight(3, 4, 4, 3), auto_pad="SAME_UPPER")


def along_rows(net: Layers) -> str:
    top = net.node("MaxPool", "x", kernel_shape=[2, 1], strides=[2, 1])
    return net.node("Concat", top, top, axis=2)


def weights_from_the_picture(net: Layers) -> str:
    kernel = net.node("ReduceMean", "x", axes=[0, 2, 3], keepdims=1)
    return net.node("Conv", "x", kernel)


def a_gradient(net: Layers) -> str:
    return net.node("Add", "x", net.constant(np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 64, 1)))


def turned(net: Layers) -> str:
    return net.node("Transpose", net.conv("x", 4, 3, 3), perm=[0, 1, 3, 2])


def branching(net: Layers) -> str:
    net.conv("x", 4, 3, 3)
    inner = helper.make_graph(
        [helper.make_node("Relu", ["t0"], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    chosen = net.node("If", net.constant(np.array(True)), then_branch=inner, else_branch=inner)
    return net.conv(net.node("Add", chosen, "t0"), 3, 3, 3)


def of_unknown_size(net: Layers) -> str:
    size = net.node("Shape", net.node("NonZero", net.node("ReduceMean", "x", axes=[1, 2, 3])))
    sizes = net.node("Concat", net.constant(np.array([1, 4], np.int64)), size, axis=0)
    return net.conv(net.node("Expand", net.node("ReduceMean", "x", axes=[2, 3], keepdims=1), sizes), 4, 3, 3)


@pytest.mark.parametrize(
    "build",
    [
        *(strided, lopsided, automatic, along_rows, weights_from_the_picture, a_gradient, turned, branching),
        of_unknown_size,
    ],
)
def test_what_cannot_be_cut_is_left_alone(build: Callable[[Layers], str]) -> None:
    net = Layers(4, 64, 64)
    model = net.model(build(net))
    assert in_strips(model, TENSORS, MANY) is model


def test_an_old_operator_set_is_left_alone() -> None:
    net = Layers(4, 64, 64)
    model = net.model(net.conv("x", 4, 3, 3), opset=9)
    assert in_strips(model, replace(TENSORS, opset=9), MANY) is model


def test_a_result_that_is_given_out_too_is_still_given_out() -> None:
    net = Layers(4, 64, 64)
    first = net.conv("x", 4, 4, 3)
    model = net.model(net.conv(first, 4, 3, 3))
    model.graph.output.append(helper.make_tensor_value_info(first, TensorProto.FLOAT, ["n", 4, 64, 64]))
    stripped = in_strips(model, TENSORS, MANY)
    assert [node.op_type for node in stripped.graph.node].count("Conv") == 1 + count(stripped)
    exports.checked(stripped)


def test_small_tensors_stay_in_the_cache_anyway(tmp_path: Path) -> None:
    net = Layers(4, 64, 64)
    model = net.model(net.conv("x", 4, 3, 3))
    assert in_strips(model, TENSORS, 1) is model
    light = build_light_model(UNET_328)
    path = exports.save(light, tmp_path / "light.onnx")
    assert in_strips(light, read_model(str(path), UNET_328), 1) is light


@pytest.mark.parametrize("batch", [1, 2])
def test_the_real_network_too(tmp_path: Path, batch: int) -> None:
    model = build_unet328()
    path = exports.save(model, tmp_path / "unet.onnx")
    tensors = read_model(str(path), UNET_328)
    stripped = in_strips(model, tensors, batch)
    # Two depthwise layers look at one row on either side each, and a strip has eight rows for each of these two.
    assert count(stripped) == 320 // 16
    rng = np.random.default_rng(5)
    feed = {
        tensors.image: rng.random((batch, 6, 320, 320), np.float32),
        tensors.audio: rng.random((batch, 32, 16, 16), np.float32),
    }
    assert np.array_equal(answer(stripped, feed), answer(model, feed))
