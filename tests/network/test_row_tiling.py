"""The last layers in strips: the same bits as before, and no strips where they would be wrong or gain nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import exports
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import OPSET, Layers, answers
from onnx import TensorProto, helper

from actors.core.kind import ModelTensors
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model
from actors.network.row_tiling import alone, find_region, in_strips
from actors.network.shape_folding import ready_network
from jobs.models.light import build_light_model
from jobs.models.unet import build_unet328

# A batch that makes any tensor a large one.
MANY = 1 << 20
TENSORS = ModelTensors("x", "audio", "y", None, OPSET, ())


def count(model: onnx.ModelProto) -> int:
    """How many strips a model has."""
    return sum(node.op_type == "Slice" and "kept-" in node.output[0] for node in model.graph.node)


def stripped(model: onnx.ModelProto, tensors: ModelTensors, batch: int) -> onnx.ModelProto:
    """A network in strips, or itself where there are none to make."""
    region = find_region(model, tensors, batch)
    return model if region is None else in_strips(model, region)


def same(model: onnx.ModelProto, sides: tuple[int, int, int], strips: int, opset: int = OPSET) -> onnx.ModelProto:
    """Asserts that a network becomes so many strips, and that no bit of its results changes; returns it in strips."""
    tensors = replace(TENSORS, opset=opset)
    before = model.SerializeToString()
    cut = stripped(model, tensors, MANY)
    assert model.SerializeToString() == before
    exports.checked(cut)
    assert count(cut) == strips
    feed = {"x": np.random.default_rng(3).normal(size=(2, *sides)).astype(np.float32)}
    for threads in (1, 2):
        for found, wanted in zip(answers(cut, feed, threads), answers(model, feed, threads), strict=True):
            assert np.array_equal(found, wanted)
    if strips:
        same_alone(model, tensors)
    return cut


def same_alone(model: onnx.ModelProto, tensors: ModelTensors) -> None:
    """Asserts that the layers that become strips give the same in strips when they stand alone."""
    region = find_region(model, tensors, MANY)
    assert region is not None
    layers = exports.checked(alone(model, region, 2))
    rng = np.random.default_rng(4)
    sides = {value.name: [side.dim_value for side in value.type.tensor_type.shape.dim] for value in layers.graph.input}
    pictures = {name: rng.normal(size=size).astype(np.float32) for name, size in sides.items()}
    wanted = answers(layers, pictures)[0]
    assert np.array_equal(answers(exports.checked(in_strips(layers, region)), pictures)[0], wanted)
    if [*region.sources] == ["x"]:
        # Every plane of what they read is that picture; in the whole network no convolution makes it, so that the
        # runtime may sum in another order.
        whole = np.repeat(next(iter(pictures.values())), region.sources["x"][0], axis=1)
        assert np.allclose(answers(model, {"x": whole})[0], wanted, atol=1e-5)


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
    # A sum of something from outside stays outside, and with it all that it is made of.
    inside = list(itertools.dropwhile(lambda block: block[3], blocks))
    halo = 1 + sum(dilation * (kernel - 1) // 2 for kernel, dilation, *_ in inside)
    strips = -(-rows // (8 * halo)) if inside or skip else 0
    same(net.model(last), (planes, rows, columns), strips if strips > 1 else 0)


def test_strips_take_only_what_nothing_else_reads() -> None:
    net = Layers(4, 64, 8)
    first = net.conv("x", 4, 4, 3)
    small_picture = net.node("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2])
    back = net.node("Resize", small_picture, "", net.constant(np.array([1, 1, 2, 2], np.float32)))
    both = net.node("Concat", first, back, axis=-3)
    model = net.model(net.conv(both, 8, 3, 5))
    cut = same(model, (4, 64, 8), 4)
    kinds = [node.op_type for node in cut.graph.node]
    # The first convolution is read by the pooling as well, so it runs once, on the whole picture.
    assert kinds[:3] == ["Conv", "MaxPool", "Resize"]
    assert kinds.count("Conv") == 1 + count(cut)


def sum_with_outside(net: Layers) -> str:
    first = net.conv("x", 32, 32, 3)
    net.node("MaxPool", first, kernel_shape=[2, 2])
    both = net.node("Add", first, net.conv(first, 32, 32))
    return net.node("Relu", both)


def normalised_outside(net: Layers) -> str:
    first = net.node("Conv", "x", net.weight(32, 32, 3, 3), auto_pad="SAME_UPPER")
    return net.norm(first, 32)


def concat_read_twice(net: Layers) -> str:
    first = net.conv("x", 32, 32, 3)
    net.node("MaxPool", first, kernel_shape=[2, 2])
    both = net.node("Concat", first, "x", axis=1)
    return net.node("Add", net.conv(both, 64, 64), both)


@pytest.mark.parametrize(
    ("build", "planes"), [(sum_with_outside, 32), (normalised_outside, 32), (concat_read_twice, 64)]
)
def test_what_the_runtime_makes_one_layer_of_is_not_parted(build: Callable[[Layers], str], planes: int) -> None:
    net = Layers(32, 64, 16)
    wide = net.conv(build(net), planes, 64)
    model = net.model(net.conv(wide, 64, 3, 3))
    before = [node.op_type for node in model.graph.node]
    cut = same(model, (32, 64, 16), 8)
    # Only the two layers at the end are cut.
    after = [node.op_type for node in cut.graph.node]
    assert after.count("Conv") == before.count("Conv") - 2 + 2 * 8
    assert all(after.count(operator) == before.count(operator) for operator in ("Add", "BatchNormalization"))


@pytest.mark.parametrize("opset", [10, 13, 17, 21])
def test_exports_of_all_ages(opset: int) -> None:
    net = Layers(16, 64, 16)
    wide = net.norm(net.conv("x", 16, 32, 3), 32)
    if opset < 11:
        wide = net.node("Clip", wide, min=0.0, max=6.0)
    else:
        wide = net.node("Clip", wide, net.constant(np.array(0, np.float32)), net.constant(np.array(6, np.float32)))
    model = net.model(net.conv(wide, 32, 3, 3), opset=opset)
    # Weights as inputs, one of them as a node of its own, and sizes that the exporter noted.
    last = model.graph.initializer.pop()
    model.graph.node.insert(0, helper.make_node("Constant", [], [last.name], value=last))
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in model.graph.initializer
    )
    noted = onnx.shape_inference.infer_shapes(model)
    assert noted.graph.value_info
    same(exports.checked(noted), (16, 64, 16), 4, opset)


def strided(net: Layers, source: str) -> str:
    # As many rows as before, half of them of padding.
    return net.node("Conv", source, net.weight(4, 4, 3, 3), pads=[33, 1, 33, 1], strides=[2, 1])


def unpadded(net: Layers, source: str) -> str:
    return net.node("Conv", source, net.weight(4, 4, 3, 3), pads=[0, 1, 0, 1])


def lopsided(net: Layers, source: str) -> str:
    return net.node("Conv", source, net.weight(4, 4, 3, 3), pads=[2, 1, 0, 1])


def automatic(net: Layers, source: str) -> str:
    return net.node("Conv", source, net.weight(4, 4, 4, 3), auto_pad="SAME_UPPER")


def weights_from_the_picture(net: Layers, source: str) -> str:
    kernel = net.node("Expand", net.node("ReduceMean", source, axes=[0, 2, 3]), net.constant(np.array([4, 4, 1, 1])))
    return net.node("Conv", source, kernel)


def a_gradient(net: Layers, source: str) -> str:
    return net.node("Add", source, net.constant(np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 64, 1)))


def turned(net: Layers, source: str) -> str:
    return net.node("Transpose", source, perm=[0, 1, 3, 2])


def branching(net: Layers, source: str) -> str:
    inner = helper.make_graph(
        [helper.make_node("Relu", [source], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, ["n", 4, 64, 64])],
    )
    chosen = net.node("If", net.constant(np.array(True)), then_branch=inner, else_branch=inner)
    return net.conv(net.node("Concat", chosen, source, axis=1), 8, 4)


def of_unknown_size(net: Layers, source: str) -> str:
    size = net.node("Shape", net.node("NonZero", net.node("ReduceMean", source, axes=[1, 2, 3])))
    sizes = net.node("Concat", net.constant(np.array([1, 4], np.int64)), size, axis=0)
    return net.node("Expand", net.node("ReduceMean", source, axes=[2, 3]), sizes)


@pytest.mark.parametrize(
    "build",
    [
        *(strided, unpadded, lopsided, automatic, weights_from_the_picture, a_gradient, turned, branching),
        of_unknown_size,
    ],
)
def test_what_cannot_be_cut_is_left_alone(build: Callable[[Layers, str], str]) -> None:
    net = Layers(4, 64, 64)
    # The layer in the middle keeps those before it away, and the one behind it alone has nothing to keep in the cache.
    model = net.model(net.conv(build(net, net.conv("x", 4, 4)), 4, 3, 3))
    assert stripped(model, TENSORS, MANY) is model


def two_layers(opset: int = OPSET) -> onnx.ModelProto:
    net = Layers(4, 64, 64)
    return net.model(net.conv(net.conv("x", 4, 4, 3), 4, 3, 3), opset)


def test_an_old_operator_set_is_left_alone() -> None:
    model = two_layers(opset=9)
    assert stripped(model, replace(TENSORS, opset=9), MANY) is model


def test_a_network_that_contradicts_itself_is_left_to_the_runtime() -> None:
    model = two_layers()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    assert stripped(model, TENSORS, MANY) is model


def test_a_constant_picture_may_be_a_source() -> None:
    net = Layers(4, 64, 16)
    places = net.constant(np.linspace(0, 1, 64 * 16, dtype=np.float32).reshape(1, 1, 64, 16))
    wide = net.conv(net.node("Concat", "x", places, axis=1), 5, 32)
    model = net.model(net.conv(wide, 32, 3, 3))
    where = model.graph.initializer[0]
    model.graph.node.insert(0, helper.make_node("Constant", [], [where.name], value=where))
    del model.graph.initializer[0]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    region = find_region(model, TENSORS, MANY)
    assert region is not None
    assert {*region.sources} == {"x", where.name}
    same_alone(exports.checked(model), TENSORS)


def test_sources_may_be_of_different_widths() -> None:
    net = Layers(4, 64, 16)
    # Columns that go round: the last before the first, the first behind the last.
    ends = [net.constant(np.array([value], np.int64)) for value in (0, 1, 15, 16, 3)]
    before = net.node("Slice", "x", ends[2], ends[3], ends[4])
    after = net.node("Slice", "x", ends[0], ends[1], ends[4])
    round_ = net.node("Concat", before, "x", after, axis=3)
    wide = net.node("Conv", round_, net.weight(32, 4, 3, 3), pads=[1, 0, 1, 0])
    same(net.model(net.conv(wide, 32, 3, 3)), (4, 64, 16), 4)


def test_a_result_that_is_given_out_too_is_still_given_out() -> None:
    net = Layers(4, 64, 64)
    first = net.conv("x", 4, 4, 3)
    model = net.model(net.conv(net.conv(first, 4, 4, 3), 4, 3, 3))
    model.graph.output.append(helper.make_tensor_value_info(first, TensorProto.FLOAT, ["n", 4, 64, 64]))
    cut = same(model, (4, 64, 64), 4)
    assert [node.op_type for node in cut.graph.node].count("Conv") == 1 + 2 * 4


def test_small_tensors_stay_in_the_cache_anyway(tmp_path: Path) -> None:
    model = two_layers()
    assert count(stripped(model, TENSORS, MANY)) == 4
    assert stripped(model, TENSORS, 1) is model
    light = build_light_model(UNET_328)
    path = exports.save(light, tmp_path / "light.onnx")
    assert stripped(light, read_model(str(path), UNET_328), 1) is light


@pytest.mark.parametrize("batch", [1, 2])
def test_the_real_network_too(tmp_path: Path, batch: int) -> None:
    model = build_unet328()
    path = exports.save(model, tmp_path / "unet.onnx")
    tensors = read_model(str(path), UNET_328)
    model = ready_network(model, tensors.image, tensors.audio, UNET_328)
    cut = stripped(model, tensors, batch)
    # Two depthwise layers look at one row on either side each, and a strip has eight rows for each of these two.
    assert count(cut) == 320 // 16
    rng = np.random.default_rng(5)
    feed = {
        tensors.image: rng.random((batch, 6, 320, 320), np.float32),
        tensors.audio: rng.random((batch, 32, 16, 16), np.float32),
    }
    assert np.array_equal(answers(cut, feed)[0], answers(model, feed)[0])
