"""What an ONNX model is made of, wherever it stands: in the graph, in graphs inside of nodes, and in functions."""

from __future__ import annotations

from collections.abc import Container, Iterator

import onnx


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of a model, those of branches, loops and functions included."""
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            yield node
            waiting.extend(graph.node for graph in graphs(node))


def graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds: branches, or the body of a loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names of all that a node reads, the graphs inside of it included; these may name what they make themselves."""
    yield from node.input
    for graph in graphs(node):
        for inner in graph.node:
            yield from reads(inner)
        yield from (value.name for value in graph.output)


def used_names(model: onnx.ModelProto) -> frozenset[str]:
    """Names of all that a model's nodes read or that it gives."""
    read = {name for node in model.graph.node for name in reads(node)}
    return frozenset(read | {value.name for value in model.graph.output})


def without_unused_inputs(model: onnx.ModelProto, kept: Container[str] = ()) -> onnx.ModelProto:
    """A model without those inputs that nothing reads, which it would have to be fed all the same.

    Args:
        model: the network; changed.
        kept: names of inputs that stay.
    """
    used = used_names(model)
    inputs = [value for value in model.graph.input if value.name in used or value.name in kept]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that a model holds: weights of all its graphs and values of all its nodes' attributes."""
    yield from _weights(model.graph)
    for node in nodes(model):
        yield from _values(node.attribute)
        for graph in graphs(node):
            yield from _weights(graph)
    for function in model.functions:
        yield from _values(function.attribute_proto)


def _weights(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _values(attributes: Iterator[onnx.AttributeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for one in (*sparse, *attribute.sparse_tensors):
            yield from (one.values, one.indices)
