"""Arithmetic on the sizes of a network's tensors, done once instead of in every run, where it follows from the file.

Exports pad and resize by what they find the sizes to be, so that nothing between there and the end has sizes that are
known. With the sizes of a kind's picture and audio they are known, all but the batch.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from actors.core.kind import ModelKind
from actors.network.onnx_file import DEFAULT_DOMAINS
from actors.network.shapes import MOST_NODES, has_graphs, outline, tensor_sides
from actors.network.traversal import without_unused_inputs

Values: TypeAlias = dict[str, NDArray[Any]]
Sizes: TypeAlias = dict[str, tuple[int, ...]]

# What does not change between these batches does not depend on the batch: the least that there is, and the greatest.
BATCHES = (1, 256)

# Tensors of more numbers are not sizes.
MOST_NUMBERS = 256

# The batch, planes, rows and columns.
PICTURE_AXES = 4

# As often sizes are inferred again with those that have become known: once for each step of a network's way up.
MOST_ROUNDS = 32

SIZES = frozenset({"Shape", "Size"})
# What exporters calculate sizes with.
ARITHMETIC = SIZES | {
    "Abs",
    "Add",
    "And",
    "Cast",
    "Ceil",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Expand",
    "Floor",
}
ARITHMETIC |= {"Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul"}
ARITHMETIC |= {"Neg", "Not", "Or", "Range", "ReduceProd", "Reshape", "Slice", "Squeeze", "Sub", "Transpose"}
ARITHMETIC |= {"Unsqueeze", "Where", "Xor"}


def ready_network(model: onnx.ModelProto, image: str, audio: str, kind: ModelKind) -> onnx.ModelProto:
    """A network as everything that takes it apart or runs it has it: no inputs that nothing reads, sizes folded.

    Args:
        model: what is in its file; changed.
        image: its input that takes the planes.
        audio: its input that takes the audio window.
        kind: the contract it honours.
    """
    fed = {image: kind.planes, audio: kind.audio}
    return folded(without_unused_inputs(model, fed), fed)


@dataclass(slots=True)
class _Known:
    """What is known of a network at one batch.

    Attributes:
        values: of sizes that nodes calculate.
        sizes: of tensors, by name.
        floats: names of the float32 tensors among them.
    """

    values: Values
    sizes: Sizes
    floats: set[str]


def folded(model: onnx.ModelProto, sides: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """A network whose sizes are constants where they depend on the file alone; no bit of its answers changes.

    Args:
        model: the network; changed.
        sides: of its inputs, behind the batch.
    """
    nodes = model.graph.node
    if len(nodes) > MOST_NODES or has_graphs(model) or model.functions:
        return model
    if not any(node.op_type in SIZES for node in nodes):
        return model
    try:
        first, *others = (_at(model, sides, batch) for batch in BATCHES)
    except Exception:  # noqa: BLE001 - what damaged names and tensors raise is not documented
        return model
    same = {
        name: value
        for name, value in first.values.items()
        if all(name in other.values and _equal(value, other.values[name]) for other in others)
    }
    _drop_empty_pads(model.graph, same)
    _replace(model.graph, same)
    _drop_unread(model.graph)
    known = {
        name: size[1:]
        for name, size in first.sizes.items()
        if name in first.floats
        and len(size) == PICTURE_AXES
        and all(other.sizes.get(name, ())[1:] == size[1:] for other in others)
    }
    _describe(model, known)
    return model


def _at(model: onnx.ModelProto, sides: Mapping[str, tuple[int, ...]], batch: int) -> _Known:
    constants = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        # What lies in another file is not read: here and on a worker the same must be folded.
        if math.prod(tensor.dims) <= MOST_NUMBERS and not tensor.external_data
    }
    values: Values = {}
    for _ in range(MOST_ROUNDS):
        sizes, floats = _sizes(model, {name: (batch, *some) for name, some in sides.items()}, values)
        before = len(values)
        known = ChainMap(values, constants)
        for node in model.graph.node:
            if len(node.output) == 1 and node.output[0] not in values:
                value = _value(node, known, sizes)
                if value is not None and value.size <= MOST_NUMBERS:
                    values[node.output[0]] = value
        if len(values) == before:
            break
    return _Known(values, sizes, floats)


def _sizes(model: onnx.ModelProto, inputs: Sizes, values: Values) -> tuple[Sizes, set[str]]:
    """Sizes of all tensors that follow from those of the inputs and from the values that are known; which are float."""
    asked = outline(model)
    graph = asked.graph
    del graph.value_info[:]
    for value in graph.input:
        if value.name in inputs:
            value.CopyFrom(helper.make_tensor_value_info(value.name, _element(value), inputs[value.name]))
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    nodes = [node for node in graph.node if not _is_known(node, values)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    graph = onnx.shape_inference.infer_shapes(asked, data_prop=True).graph
    found, floats = dict(inputs), set()
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            found[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
            if tensor.elem_type == onnx.TensorProto.FLOAT:
                floats.add(value.name)
    return found, floats


def _value(node: onnx.NodeProto, known: Mapping[str, NDArray[Any]], sizes: Sizes) -> NDArray[Any] | None:
    """What a node makes of what is known; ``None`` where that is not enough, or no arithmetic on sizes."""
    if node.domain not in DEFAULT_DOMAINS:
        return None
    settings = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type in SIZES:
        return _size(node, settings, sizes.get(node.input[0]))
    if node.op_type == "Constant" and set(settings) == {"value"}:
        value = settings["value"]
        here = math.prod(value.dims) <= MOST_NUMBERS and not value.external_data
        return numpy_helper.to_array(value) if here else None
    given = [name for name in node.input if name]
    if node.op_type not in ARITHMETIC or not given or any(name not in known for name in given):
        return None
    small = _count(node, [known[name] for name in given]) <= MOST_NUMBERS
    return _evaluated(node, {name: known[name] for name in given}) if small else None


def _size(node: onnx.NodeProto, settings: Mapping[str, Any], size: tuple[int, ...] | None) -> NDArray[Any] | None:
    if size is None:
        return None
    if node.op_type == "Size":
        return np.array(math.prod(size), np.int64)
    return np.array(size[settings.get("start", 0) : settings.get("end", len(size))], np.int64)


def _count(node: onnx.NodeProto, given: list[NDArray[Any]]) -> float:
    """How many numbers a node makes whose inputs do not bound that by their own."""
    if node.op_type in {"ConstantOfShape", "Expand"}:
        return float(np.prod(given[-1].astype(np.float64)))
    if node.op_type == "Range":
        start, stop, step = (float(one) for one in given)
        return (stop - start) / step if step else math.inf
    return 0


def _evaluated(node: onnx.NodeProto, given: Values) -> NDArray[Any] | None:
    # Slow to import, and few exports need it.
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    try:
        (value,) = ReferenceEvaluator(node).run(None, given)
    except Exception:  # noqa: BLE001 - not documented; the runtime will say what is wrong with the node
        return None
    return np.asarray(value)


def _is_known(node: onnx.NodeProto, values: Values) -> bool:
    return len(node.output) == 1 and node.output[0] in values


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


def _replace(graph: onnx.GraphProto, values: Values) -> None:
    """Has constants stand for the nodes that make them."""
    nodes = [node for node in graph.node if node.op_type == "Constant" or not _is_known(node, values)]
    made = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    new = [numpy_helper.from_array(value, name) for name, value in values.items() if name in read - made]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(new)


def _drop_empty_pads(graph: onnx.GraphProto, values: Values) -> None:
    """Takes out padding by nothing."""
    given = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        pads = values.get(node.input[1]) if node.op_type == "Pad" and len(node.input) > 1 else None
        if pads is not None and node.output[0] not in given and not pads.any():
            renamed[node.output[0]] = node.input[0]
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Takes out arithmetic that nothing reads any more."""
    read = {value.name for value in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if node.op_type not in ARITHMETIC | {"Constant"} or read.intersection(node.output):
            nodes.append(node)
            read.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(nodes))


def _describe(model: onnx.ModelProto, sides: Sizes) -> None:
    """Puts down the sizes of pictures that no longer follow from the graph by themselves."""
    graph = model.graph
    inferred = tensor_sides(model)
    made = {name for node in graph.node for name in node.output} - {value.name for value in graph.output}
    new = {name: some for name, some in sides.items() if name in made and name not in inferred}
    others = [value for value in graph.value_info if value.name not in new]
    del graph.value_info[:]
    graph.value_info.extend(others)
    for name, some in new.items():
        graph.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, *some]))


def _element(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.elem_type)
