"""Arithmetic on sizes is folded where sizes are known: no bit of an answer changes, and more can be taken apart."""

from __future__ import annotations

from collections.abc import Callable

import exports
import numpy as np
import onnx
import pytest
from layers import Layers, answers, open_session
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from stand_ins import stand_in

from actors.kinds.unet_160_ave import KIND as UNET_160
from actors.network.face_encoder import face_tensors
from actors.network.shape_folding import ARITHMETIC, folded
from actors.network.shapes import tensor_sides

SIDES = {"x": (3, 12, 10), "audio": (2, 5, 5)}


def numbers(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def side(net: Layers, source: str, axis: int) -> str:
    return net.node("Gather", net.node("Shape", source), net.constant(numbers(axis)))


def floor_half(net: Layers, value: str) -> str:
    """``value // 2`` as torch writes it for whole numbers of any sign."""
    two, none = net.constant(numbers(2)), net.constant(numbers(0))
    negative = net.node("Xor", net.node("Less", value, none), net.node("Less", two, none))
    uneven = net.node("Not", net.node("Equal", net.node("Mod", value, two), none))
    mend = net.node("Cast", net.node("And", negative, uneven), to=TensorProto.INT64)
    return net.node("Sub", net.node("Div", value, two), mend)


def padded(net: Layers, small: str, large: str) -> str:
    """Zeros around one picture up to the size of another, by pads that are laid out as torch does."""
    pads = []
    for axis in (3, 2):
        less = net.node("Sub", side(net, large, axis), side(net, small, axis))
        half = floor_half(net, less)
        pads += [half, net.node("Sub", less, half)]
    none = net.node("ConstantOfShape", net.constant(numbers(4)), value=numpy_helper.from_array(numbers(0)))
    pairs = net.node("Concat", *pads, none, axis=0)
    rows = net.node("Reshape", pairs, net.constant(numbers(-1, 2)))
    last, end, first, step = (net.constant(numbers(value)) for value in (-1, -9, 0, -1))
    turned = net.node("Transpose", net.node("Slice", rows, last, end, first, step), perm=[1, 0])
    flat = net.node("Cast", net.node("Reshape", turned, net.constant(numbers(-1))), to=TensorProto.INT64)
    return net.node("Pad", small, flat)


def ends_equal(net: Layers) -> str:
    """A picture that needs no zeros, as in all networks of the family."""
    return padded(net, net.node("Relu", "x"), "x")


def ends_smaller(net: Layers) -> str:
    """A picture that has an odd number of rows less."""
    return padded(net, net.node("MaxPool", "x", kernel_shape=[4, 2], strides=[1, 1]), "x")


def ends_resized(net: Layers) -> str:
    """A picture resized to the size of another: the batch is among the sizes."""
    half = net.node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2])
    begins = net.node("Slice", net.node("Shape", half), *(net.constant(numbers(value)) for value in (0, 2, 0)))
    sizes = net.node("Concat", begins, side(net, "x", 2), side(net, "x", 3), axis=0)
    return net.node("Resize", half, "", "", sizes, mode="nearest")


def ends_flat(net: Layers) -> str:
    """A view by the batch, and back."""
    flat = net.node("Reshape", "x", net.node("Concat", side(net, "x", 0), net.constant(numbers(-1)), axis=0))
    back = net.node("Concat", side(net, "x", 0), net.constant(numbers(3, 12, 10)), axis=0)
    return net.node("Reshape", flat, back)


def built(end: Callable[[Layers], str]) -> onnx.ModelProto:
    net = Layers(*SIDES["x"])
    heard = net.node("GlobalAveragePool", net.node("Conv", "audio", net.weight(3, 2, 1, 1)))
    return net.model(net.node("Add", end(net), heard), sound=SIDES["audio"])


@pytest.mark.parametrize(
    ("end", "left"),
    [(ends_equal, set()), (ends_smaller, {"Pad"}), (ends_resized, {"Resize", "Shape"}), (ends_flat, {"Reshape"})],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_no_bit_changes_and_sizes_are_known(end: Callable[[Layers], str], left: set[str]) -> None:
    model = built(end)
    whole = exports.copy(model)
    rest = exports.checked(folded(model, SIDES))
    operators = {node.op_type for node in rest.graph.node}
    assert left <= operators
    assert "Mod" not in operators
    if "Shape" not in left and end is not ends_flat:
        assert not operators & (ARITHMETIC - {"Add"})
    sides = tensor_sides(rest)
    last = next(node for node in rest.graph.node if "y" in node.output)
    assert {sides[name] for name in last.input if name in sides} >= {SIDES["x"]}
    sessions = [open_session(part) for part in (rest, whole)]
    rng = np.random.default_rng(1)
    for batch in (1, 3):
        feed = {name: rng.random((batch, *some), np.float32) for name, some in SIDES.items()}
        folded_answer, answer = (answers(session, feed)[0] for session in sessions)
        assert np.array_equal(folded_answer, answer)


def test_what_is_immense_is_left_alone() -> None:
    net = Layers(*SIDES["x"])
    many = net.node("Mul", side(net, "x", 2), net.constant(numbers(1 << 40)))
    most = net.node("ReduceMax", net.node("ConstantOfShape", many), keepdims=0)
    model = net.model(net.node("Add", "x", most))
    assert "ConstantOfShape" in {node.op_type for node in folded(model, SIDES).graph.node}


def test_networks_without_sizes_are_the_same_object() -> None:
    net = Layers(*SIDES["x"])
    model = net.model(net.node("Relu", "x"))
    before = model.SerializeToString()
    assert folded(model, SIDES) is model
    assert model.SerializeToString() == before


def test_the_networks_of_the_family_are_taken_apart_though_they_pad() -> None:
    model = exports.copy(stand_in(UNET_160.name))
    assert {"Shape", "Pad"} <= {node.op_type for node in model.graph.node}
    assert face_tensors(model, "input", "audio", "output") == ()
    ready = folded(model, {"input": UNET_160.planes, "audio": UNET_160.audio})
    assert face_tensors(ready, "input", "audio", "output")
    assert not {node.op_type for node in ready.graph.node} & {"Shape", "Gather", "Pad", "Constant"}
    exports.checked(ready)


def test_a_damaged_network_is_left_to_the_runtime() -> None:
    model = built(ends_equal)
    model.graph.initializer[0].raw_data = b"x"
    model.graph.node.append(helper.make_node("Shape", ["nothing"], ["lost"]))
    folded(model, SIDES)
