"""Rewrites of an exported network: bytes in and out instead of float planes, any batch, half precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.core.pixels import UNIT
from actors.network.operators import is_training
from actors.network.traversal import reads

if TYPE_CHECKING:
    from actors.core.kind import ModelKind, ModelTensors

# Names of the rewritten graph's own tensors; exported names never begin so.
PREFIX = "mouthpiece/"
IMAGE, AUDIO = f"{PREFIX}image", f"{PREFIX}audio"
PIXELS, LOW, HIGH, SUM = f"{PREFIX}pixels", f"{PREFIX}low", f"{PREFIX}high", f"{PREFIX}sum"

DIVISORS, LEVELS, AXES = f"{PREFIX}divisors", f"{PREFIX}levels", f"{PREFIX}axes"
APART, TOGETHER = f"{PREFIX}apart", f"{PREFIX}together"
BLACK, SPAN = f"{PREFIX}black", f"{PREFIX}span"

BATCH = "batch"

# From these versions of the default operator set on, the axes of a reduction are an input instead of an attribute.
AXES_INPUT = {"ReduceSum": 13, "ReduceMin": 18, "ReduceMax": 18}


def pixel_graph(
    model: onnx.ModelProto, tensors: ModelTensors, kind: ModelKind, *, ready_planes: bool
) -> onnx.ModelProto:
    """The network with preparation and finishing built in, so that bytes cross to the device and back, not floats.

    Before the network, colour planes ``(n, 3, inner, inner)`` uint8 become six planes in float32, whole and masked.
    The arithmetic is division by 255 and multiplication with 255 in float32, truncation by the cast; a kind whose range
    is not [0, 1] is scaled to and from it. Beside the pixels it gives what `prediction_fault` looks at, because a value
    outside of (-1/255, 256/255) or NaN leaves no trace in a byte: the least and the greatest value, and the sum, which
    alone is sure to carry NaN.

    Args:
        model: the network; it is not changed.
        tensors: which of its tensors is which.
        kind: the contract it honours.
        ready_planes: the six planes are given, so only finishing is built in.

    Returns:
        A model with the inputs `IMAGE`, ``(batch, 3, inner, inner)`` uint8, blue, green, red, or, for ready planes,
        ``(batch, *kind.planes)`` float32 in the kind's range, and `AUDIO` ``(batch, *kind.audio)`` float32, besides
        what else the network takes, and the outputs `PIXELS` ``(batch, 3, inner, inner)`` uint8, `LOW`, `HIGH` and
        `SUM` ``(batch,)`` float32, of values from black at 0 to white at 1. Colours are taken apart and put together
        outside of it, where that takes a fifth of the time.
    """
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    graph = wrapped.graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    batch: int | str = tensors.batch or BATCH
    planes = IMAGE if ready_planes else f"{PREFIX}planes"
    into_network = helper.make_node("Cast", [planes], [tensors.image], to=types[tensors.image])
    # A decoder may read the face tensors alone.
    reads_image = any(tensors.image in node.input for node in graph.node)
    nodes = [
        *(_prepare(planes, kind) if reads_image and not ready_planes else []),
        *([into_network] if reads_image else []),
        helper.make_node("Cast", [AUDIO], [tensors.audio], to=types[tensors.audio]),
        *graph.node,
        *_finish(tensors, kind),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    black, white = kind.value_range
    x, y, width, height = kind.mask
    # What is divided by infinity is exactly 0: one division scales and masks.
    divisors = np.full((1, 2, 1, kind.inner, kind.inner), 255, np.float32)
    divisors[:, 0 if kind.masked_first else 1, :, y : y + height, x : x + width] = np.inf
    constants: dict[str, NDArray[np.generic]] = {
        DIVISORS: divisors,
        APART: np.array([0, 1, 3, kind.inner, kind.inner], np.int64),
        TOGETHER: np.array([0, *kind.planes], np.int64),
        LEVELS: np.array(255, np.float32),
        AXES: np.array([1, 2, 3], np.int64),
        BLACK: np.array(black, np.float32),
        SPAN: np.array(white - black, np.float32),
    }
    used = {name for node in nodes for name in node.input}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items() if name in used)
    kept = [value for value in graph.input if value.name not in {tensors.image, tensors.audio}]
    image = (TensorProto.FLOAT, kind.planes) if ready_planes else (TensorProto.UINT8, (3, kind.inner, kind.inner))
    del graph.input[:], graph.output[:]
    graph.input.extend(
        [
            helper.make_tensor_value_info(IMAGE, image[0], [batch, *image[1]]),
            helper.make_tensor_value_info(AUDIO, TensorProto.FLOAT, [batch, *kind.audio]),
            *kept,
        ]
    )
    # Left open, so that a network with other planes than it says is found by counting them, not by a failed load.
    graph.output.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, [batch, None, None, None]))
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch]) for name in (LOW, HIGH, SUM))
    give_out_statistics(graph)
    return wrapped


def give_out_statistics(graph: onnx.GraphProto) -> None:
    """Has normalisations in training mode give out the statistics that nobody reads; changes the graph.

    Otherwise the runtime writes them over those that it was given, and answers by what it was asked before.
    """
    read = {name for node in graph.node for name in node.input}
    for number, node in enumerate(graph.node):
        if is_training(node):
            names = [name or f"{PREFIX}statistics-{number}-{place}" for place, name in enumerate(node.output)]
            node.output[:] = names
            graph.output.extend(onnx.ValueInfoProto(name=name) for name in names[1:] if name not in read)


def _prepare(planes: str, kind: ModelKind) -> list[onnx.NodeProto]:
    numbers, apart, both = (f"{PREFIX}{name}" for name in ("numbers", "colours", "both"))
    unit = f"{PREFIX}unit-planes"
    return [
        helper.make_node("Cast", [IMAGE], [numbers], to=TensorProto.FLOAT),
        helper.make_node("Reshape", [numbers, APART], [apart]),
        helper.make_node("Div", [apart, DIVISORS], [both]),
        helper.make_node("Reshape", [both, TOGETHER], [unit]),
        *_rescaled(unit, planes, kind, ("Mul", SPAN), ("Add", BLACK)),
    ]


def _finish(tensors: ModelTensors, kind: ModelKind) -> list[onnx.NodeProto]:
    raw, answer, scaled = (f"{PREFIX}{name}" for name in ("raw", "answer", "scaled"))
    nodes = [
        helper.make_node("Cast", [tensors.output], [raw], to=TensorProto.FLOAT),
        *_rescaled(raw, answer, kind, ("Sub", BLACK), ("Div", SPAN)),
        helper.make_node("Mul", [answer, LEVELS], [scaled]),
        helper.make_node("Cast", [scaled], [PIXELS], to=TensorProto.UINT8),
    ]
    for operator, output in (("ReduceMin", LOW), ("ReduceMax", HIGH), ("ReduceSum", SUM)):
        if tensors.opset >= AXES_INPUT[operator]:
            nodes.append(helper.make_node(operator, [answer, AXES], [output], keepdims=0))
        else:
            nodes.append(helper.make_node(operator, [answer], [output], axes=[1, 2, 3], keepdims=0))
    return nodes


def _rescaled(
    source: str, target: str, kind: ModelKind, first: tuple[str, str], second: tuple[str, str]
) -> list[onnx.NodeProto]:
    """Two steps between the kind's range and [0, 1]; where these are the same, a node that the runtime takes out."""
    if kind.value_range == UNIT:
        return [helper.make_node("Identity", [source], [target])]
    between = f"{target}-between"
    return [
        helper.make_node(first[0], [source, first[1]], [between]),
        helper.make_node(second[0], [between, second[1]], [target]),
    ]


def with_batch(model: onnx.ModelProto, tensors: ModelTensors, batch: int) -> onnx.ModelProto:
    """A model that is fixed to one batch, rewritten for another.

    Besides the declared shapes, exporters bake the batch into constants: the target shapes of reshapes and expansions
    and the sizes of resizes. Whether a leading number there means the batch cannot be told from the graph, so what
    comes out is a proposal: it must be compared with the original before it is used.

    Args:
        model: the network; it is not changed.
        tensors: which of its tensors is which; ``tensors.batch`` is not ``None``.
        batch: frames per inference that are wanted.
    """
    wanted = onnx.ModelProto()
    wanted.CopyFrom(model)
    graph = wanted.graph
    del graph.value_info[:]
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in stored and dims and dims[0].dim_value == tensors.batch:
            dims[0].dim_value = batch
    produced = {name: node for node in graph.node for name in node.output if node.op_type == "Constant"}
    for number, node in enumerate(list(graph.node)):
        place = {"Reshape": 1, "Expand": 1, "Resize": 3}.get(node.op_type)
        if place is None or len(node.input) <= place or not node.input[place]:
            continue
        shape = _constant(stored.get(node.input[place]), produced.get(node.input[place]))
        if shape is not None and shape.size > 1 and shape[0] == tensors.batch:
            name = f"{PREFIX}shape-{number}"
            graph.initializer.append(numpy_helper.from_array(np.array([batch, *shape[1:]], np.int64), name))
            node.input[place] = name
    return wanted


def _constant(stored: TensorProto | None, node: onnx.NodeProto | None) -> NDArray[np.int64] | None:
    tensor = stored
    if node is not None:
        tensor = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
    return None if tensor is None else np.asarray(numpy_helper.to_array(tensor), np.int64).reshape(-1)


def in_half_precision(model: onnx.ModelProto, *, keep_tensors: bool = False) -> onnx.ModelProto:
    """The network with float16 weights and arithmetic.

    Args:
        model: the network; changed.
        keep_tensors: its inputs and outputs stay float32.
    """
    # Imported here so that a driver never loads the runtime.
    from actors.network.runtime import converted_to_float16  # noqa: PLC0415

    halved = converted_to_float16(model, keep_tensors=keep_tensors)
    ordered = in_order(halved.graph.node)
    del halved.graph.node[:]
    halved.graph.node.extend(ordered)
    return halved


def in_order(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Nodes, each behind those that make what it reads, and each once: the same in the same place where that is so.

    The conversion to float16 appends casts behind all that read them, one for each reader, by one name.
    """
    made: set[str] = set()
    waiting = list(nodes)
    coming = {name for node in waiting for name in node.output}
    ordered: list[onnx.NodeProto] = []
    while waiting:
        kept = []
        for node in waiting:
            if node.output and made.issuperset(node.output):
                continue
            if any(name in coming and name not in made for name in reads(node)):
                kept.append(node)
            else:
                ordered.append(node)
                made.update(node.output)
        if len(kept) == len(waiting):
            return [*ordered, *kept]
        waiting = kept
    return ordered
