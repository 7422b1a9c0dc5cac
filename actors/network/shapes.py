"""The sizes of the tensors between a network's layers, inferred from its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import onnx
from onnx import TensorProto

# Planes, rows and columns of a float32 tensor.
Sides: TypeAlias = tuple[int, int, int]

# Graphs of more nodes are not looked through: what is done here and in `actors.network.shape_folding` takes longer than
# in proportion to them. Networks of the family have some hundreds.
MOST_NODES = 10_000

# A tensor of so few numbers may be one of sizes, from which others follow.
SHAPE_VALUES = 16


def tensor_sides(model: onnx.ModelProto) -> dict[str, Sides]:
    """Sides of all float32 tensors of four axes, the first being the batch, whose sizes are known.

    Args:
        model: the network.

    Returns:
        By name; nothing for a network that contradicts itself, of which the runtime will say so, or does not mind.
    """
    try:
        return _sides(onnx.shape_inference.infer_shapes(outline(model)))
    except Exception:  # noqa: BLE001 - what damaged names and tensors raise is not documented
        return {}


def all_bytes(model: onnx.ModelProto, fed: Mapping[str, tuple[int, ...]]) -> list[int] | None:
    """Bytes of everything that a network's nodes make for one frame; ``None`` where they do not all follow from it.

    Args:
        model: the network.
        fed: for its inputs the sides behind the batch; another axis that an input leaves open is taken for 1.
    """
    asked = outline(model)
    stored = {tensor.name for tensor in asked.graph.initializer}
    del asked.graph.value_info[:]
    for value in asked.graph.input:
        given = (1, *fed.get(value.name, ()))
        for place, dim in enumerate(value.type.tensor_type.shape.dim):
            if value.name not in stored and dim.dim_value <= 0:
                dim.dim_value = given[place] if place < len(given) else 1
    for value in asked.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        graph = onnx.shape_inference.infer_shapes(asked, strict_mode=True, data_prop=True).graph
    except Exception:  # noqa: BLE001 - as in `tensor_sides`
        return None
    known = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.output)}
    made = [name for node in graph.node for name in node.output if name]
    if any(name not in known or not known[name].HasField("shape") for name in made):
        return None
    shapes = [known[name].shape.dim for name in made]
    if any(not dim.HasField("dim_value") or dim.dim_value < 0 for shape in shapes for dim in shape):
        return None
    # No element of a tensor is larger.
    return [8 * math.prod(dim.dim_value for dim in shape) for shape in shapes]


def has_graphs(model: onnx.ModelProto) -> bool:
    """Whether a node holds a graph of its own, which may read tensors that are not among its inputs."""
    return any(attribute.HasField("g") or attribute.graphs for node in model.graph.node for attribute in node.attribute)


def outline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what large weights hold, whose copying would take longer than everything else here."""
    made = onnx.ModelProto(ir_version=model.ir_version)
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    graph = model.graph
    made.graph.node.extend(graph.node)
    made.graph.input.extend(graph.input)
    made.graph.output.extend(graph.output)
    made.graph.value_info.extend(graph.value_info)
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= SHAPE_VALUES:
            made.graph.initializer.append(tensor)
        else:
            made.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    return made


def _sides(model: onnx.ModelProto) -> dict[str, Sides]:
    known = {}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if tensor.elem_type == TensorProto.FLOAT and len(dims) == 4 and all(dim.dim_value > 0 for dim in dims[1:]):
            known[value.name] = (dims[1].dim_value, dims[2].dim_value, dims[3].dim_value)
    return known
