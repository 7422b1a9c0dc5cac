"""The sizes of the tensors between a network's layers, inferred from its graph."""

from __future__ import annotations

import math
from typing import TypeAlias

import onnx
from onnx import TensorProto

# Planes, rows and columns of a float32 tensor.
Sides: TypeAlias = tuple[int, int, int]

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
        return _sides(onnx.shape_inference.infer_shapes(_outline(model)))
    except Exception:  # noqa: BLE001 - what damaged names and tensors raise is not documented
        return {}


def has_graphs(model: onnx.ModelProto) -> bool:
    """Whether a node holds a graph of its own, which may read tensors that are not among its inputs."""
    return any(attribute.HasField("g") or attribute.graphs for node in model.graph.node for attribute in node.attribute)


def _outline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what large weights hold, whose copying would take longer than everything else here."""
    outline = onnx.ModelProto(ir_version=model.ir_version)
    outline.opset_import.extend(model.opset_import)
    outline.functions.extend(model.functions)
    graph = model.graph
    outline.graph.node.extend(graph.node)
    outline.graph.input.extend(graph.input)
    outline.graph.output.extend(graph.output)
    outline.graph.value_info.extend(graph.value_info)
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= SHAPE_VALUES:
            outline.graph.initializer.append(tensor)
        else:
            outline.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    return outline


def _sides(model: onnx.ModelProto) -> dict[str, Sides]:
    known = {}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if tensor.elem_type == TensorProto.FLOAT and len(dims) == 4 and all(dim.dim_value > 0 for dim in dims[1:]):
            known[value.name] = (dims[1].dim_value, dims[2].dim_value, dims[3].dim_value)
    return known
