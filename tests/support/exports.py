"""Rewrites of a model into the forms in which people's exporters leave it. Nothing here imports the product's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# The format's version that an exporter of each operator set wrote.
IR_VERSIONS = {9: 4, 11: 6, 13: 7, 17: 8, 21: 10}


def copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def renamed(model: onnx.ModelProto, names: dict[str, str]) -> onnx.ModelProto:
    """Tensors under other names."""
    other = copy(model)
    for value in (*other.graph.input, *other.graph.output):
        value.name = names.get(value.name, value.name)
    for node in other.graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
    return checked(other)


def swapped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The inputs in the opposite order."""
    other = copy(model)
    inputs = [*reversed(other.graph.input)]
    del other.graph.input[:]
    other.graph.input.extend(inputs)
    return checked(other)


def fixed(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A model of dynamic batch as it is when exported without dynamic axes; its nodes would take any batch."""
    other = copy(model)
    for value in (*other.graph.input, *other.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return checked(other)


def baked(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """The same with the batch inside of the graph too: a reshape to a constant shape, as views are exported."""
    other = fixed(model, batch)
    value = other.graph.input[0]
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    other.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), "view.shape"))
    for node in other.graph.node:
        node.input[:] = ["view" if name == value.name else name for name in node.input]
    other.graph.node.insert(0, helper.make_node("Reshape", [value.name, "view.shape"], ["view"]))
    return checked(other)


def lowered(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A model of operator set 17 as set 9, 11 or 13 wrote it; before 11 there is no Resize with aligned corners."""
    other = copy(model)
    other.ir_version = IR_VERSIONS[opset]
    other.opset_import[0].version = opset
    if opset < 13 and any(node.op_type == "Resize" for node in other.graph.node):
        # Required then, and only read by crop_and_resize.
        other.graph.initializer.append(numpy_helper.from_array(np.zeros(0, np.float32), "no.roi"))
        for node in other.graph.node:
            if node.op_type == "Resize":
                node.input[1] = "no.roi"
    return checked(other)


def halved(model: onnx.ModelProto, *, tensors: bool) -> onnx.ModelProto:
    """A model of float16 weights; ``tensors`` says whether its inputs and outputs are float16 too, or cast inside."""
    other = copy(model)
    scales = {node.input[2] for node in other.graph.node if node.op_type == "Resize"}
    for tensor in other.graph.initializer:
        # A Resize takes its scales as float32 whatever it scales.
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in scales:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    if tensors:
        for value in (*other.graph.input, *other.graph.output):
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
        return checked(other)
    inputs, outputs = ([value.name for value in values] for values in (other.graph.input, other.graph.output))
    for node in other.graph.node:
        node.input[:] = [f"{name}.half" if name in inputs else name for name in node.input]
        node.output[:] = [f"{name}.half" if name in outputs else name for name in node.output]
    down = [helper.make_node("Cast", [name], [f"{name}.half"], to=TensorProto.FLOAT16) for name in inputs]
    up = [helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT) for name in outputs]
    nodes = [*down, *other.graph.node, *up]
    del other.graph.node[:]
    other.graph.node.extend(nodes)
    return checked(other)


def with_custom_operators(model: onnx.ModelProto, *operators: str) -> onnx.ModelProto:
    """A model that ends in operators of somebody's own, in the order given; no runtime has them."""
    other = copy(model)
    other.opset_import.append(helper.make_opsetid("com.example", 1))
    output = other.graph.output[0].name
    *_, last = (node for node in other.graph.node if output in node.output)
    last.output[:] = ["plain"]
    chain = ["plain", *(f"plain.{i}" for i in range(1, len(operators))), output]
    for operator, source, target in zip(operators, chain, chain[1:], strict=False):
        other.graph.node.append(helper.make_node(operator, [source], [target], domain="com.example"))
    return other


def save(model: onnx.ModelProto, path: Path, *, external: bool = False) -> Path:
    """Writes a model, its weights in a file of their own beside it if they are to be ``external``."""
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    if external:
        onnx.save_model(copy(model), path, save_as_external_data=True, location=f"{path.name}.data")
    else:
        path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    onnx.checker.check_model(model, full_check=True)
    return model


# Planes of pictures and of mel spectrograms are what a kind asks for; layers have more of them.
MOST_OUTSIDE = 6

# Of the planes of a layer that is slimmed, one in so many stays.
SLIMMING = 4


def slimmed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A generated network with a quarter of its planes in every layer, of the same layers and tensors otherwise.

    A filter sums those that it had for the planes that become one, so that what it makes varies as much as before.
    The picture's own layer has half the weight: a picture that is nearly black and white shows any rounding large.
    Networks where an input is added to a layer are not among these.
    """
    other = copy(model)
    weights = {tensor.name: tensor for tensor in other.graph.initializer}
    inputs = {value.name for value in other.graph.input}
    layers = [node for node in other.graph.node if node.op_type in {"Conv", "ConvTranspose", "BatchNormalization"}]
    for node in layers:
        for attribute in node.attribute:
            if attribute.name == "group" and attribute.i > 1:
                attribute.i //= SLIMMING
        made = 1 if node.op_type == "ConvTranspose" else 0
        for name in node.input[1:]:
            values = numpy_helper.to_array(weights[name])
            values = _fewer(values, made if values.ndim > 1 else 0)
            if values.ndim > 1 and values.shape[1 - made] > 1 and node.input[0] not in inputs:
                values = _summed(values, 1 - made)
            if node is layers[-1]:
                values = values / 2
            weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
    return checked(other)


def _fewer(values: NDArray[Any], axis: int) -> NDArray[Any]:
    planes = values.shape[axis]
    return values if planes <= MOST_OUTSIDE else values.take(range(0, planes, SLIMMING), axis)


def _summed(values: NDArray[Any], axis: int) -> NDArray[Any]:
    before, planes, behind = values.shape[:axis], values.shape[axis], values.shape[axis + 1 :]
    return np.asarray(values.reshape(*before, planes // SLIMMING, SLIMMING, *behind).sum(axis=axis + 1))
