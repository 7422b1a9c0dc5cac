"""The part of a network that sees the face alone: what it makes of a background is the same in every frame drawn on it.

Networks of this family look at the picture and hear the sound in layers of their own, and join the two further on. What
the picture's layers hand over can be kept with the background. Each value is made of the same numbers in the same order
as in the whole network, so that no bit of it changes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper

from actors.core.kind import FaceTensor
from actors.graph import BATCH, IMAGE
from actors.shapes import Sides, has_graphs, tensor_sides

if TYPE_CHECKING:
    from actors.core.kind import ModelTensors

# A tensor is kept if making it takes so many floating-point operations for each of its bytes; below that it is made
# again. Measured: reading a byte takes as long as some 40 of them, and kept bytes cost memory as well.
LEAST_OPERATIONS = 64

# The runtime never makes one layer of these and what they read.
SEPARATE = frozenset({"Conv", "ConvTranspose"})


def face_tensors(model: onnx.ModelProto, image: str, audio: str, output: str) -> tuple[FaceTensor, ...]:
    """What of a network is worth keeping with a background; nothing where it cannot be taken apart.

    Args:
        model: the network.
        image: its input that takes the planes.
        audio: its input that takes the audio window.
        output: its output.

    Returns:
        Tensors in the order in which they are made. All that depends on the picture alone and that the rest reads is
        among them, or follows from the picture by little work.
    """
    try:
        if has_graphs(model) or model.graph.sparse_initializer:
            return ()
        return _Layers(model, image, audio, output).kept()
    except Exception:  # noqa: BLE001 - not documented; what is wrong with a graph is told when the network is loaded
        return ()


def face_encoder(graph: onnx.ModelProto, tensors: ModelTensors) -> onnx.ModelProto:
    """The part that makes the face tensors, of one background at a time.

    Args:
        graph: the network that takes `actors.graph.IMAGE`, see `pixel_graph`; its batch is open, or 1.
        tensors: which of its tensors is which.

    Returns:
        A model with the input `IMAGE` and the outputs ``tensors.face``, ``(batch, *sides)`` float32.
    """
    image = [value for value in graph.graph.input if value.name == IMAGE]
    return _part(graph, image, _described(tensors))


def face_decoder(model: onnx.ModelProto, tensors: ModelTensors) -> onnx.ModelProto:
    """The network with its face tensors as further inputs.

    Args:
        model: the network; it is not changed.
        tensors: which of its tensors is which.
    """
    given = [value for value in model.graph.input if value.name in {tensors.image, tensors.audio}]
    output = [value for value in model.graph.output if value.name == tensors.output]
    return _part(model, [*given, *_described(tensors)], output)


def _described(tensors: ModelTensors) -> list[onnx.ValueInfoProto]:
    batch: int | str = tensors.batch or BATCH
    return [
        helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, [batch, *tensor.sides]) for tensor in tensors.face
    ]


def _part(
    model: onnx.ModelProto, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """The layers between these tensors, as a model of their own."""
    graph = model.graph
    given, read = {value.name for value in inputs}, {value.name for value in outputs}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        # All that reads it comes later in the graph, so it has been looked at.
        if read.intersection(node.output) and not given.intersection(node.output):
            nodes.append(node)
            read.update(node.input)
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    # Before IR version 4 weights were inputs too.
    stored = {tensor.name for tensor in weights}
    inputs = [*inputs, *(value for value in graph.input if value.name in stored)]
    part = helper.make_graph(nodes[::-1], graph.name, inputs, outputs, weights)
    return helper.make_model(
        part, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )


class _Layers:
    """A network's layers by what they depend on."""

    def __init__(self, model: onnx.ModelProto, image: str, audio: str, output: str) -> None:
        self._output = output
        self._nodes = list(model.graph.node)
        self._sides = tensor_sides(model)
        self._weights = _weights(model)
        self._maker = {name: place for place, node in enumerate(self._nodes) for name in node.output}
        used = self._behind([output], ())
        self._readers: Mapping[str, set[int]] = defaultdict(set)
        for place in used:
            for name in self._nodes[place].input:
                self._readers[name].add(place)
        seen, heard = {image}, {audio}
        for place in sorted(used):
            node = self._nodes[place]
            if heard.intersection(node.input):
                heard.update(node.output)
            elif seen.intersection(node.input):
                seen.update(node.output)
        self._seen = seen - {image}
        self._listening = {place for place in used if heard.intersection(self._nodes[place].output)}

    def kept(self) -> tuple[FaceTensor, ...]:
        """The tensors to keep."""
        handed_over = [
            name
            for node in self._nodes
            for name in node.output
            if name in self._seen and self._listening & self._readers[name]
        ]
        names: list[str] = []
        encoder: set[int] = set()
        for name in handed_over:
            layers = self._behind([name], ())
            work = sum(self._operations(place) for place in layers - encoder)
            if name in self._sides and work >= LEAST_OPERATIONS * _bytes(self._sides[name]):
                names.append(name)
                encoder |= layers
        if not names or not self._parts_well(encoder, self._behind([self._output], names)):
            return ()
        return tuple(FaceTensor(name, self._sides[name]) for name in names)

    def _behind(self, names: Iterable[str], given: Container[str]) -> set[int]:
        """The layers that tensors are made by, back to those that are given."""
        found: set[int] = set()
        waiting = [name for name in names if name not in given]
        while waiting:
            place = self._maker.get(waiting.pop())
            if place is not None and place not in found:
                found.add(place)
                waiting.extend(name for name in self._nodes[place].input if name not in given)
        return found

    def _operations(self, place: int) -> int:
        """Multiplications and additions of a layer for one frame; all that count are those of convolutions."""
        node = self._nodes[place]
        if node.op_type != "Conv" or node.output[0] not in self._sides or node.input[1] not in self._weights:
            return 0
        return 2 * math.prod(self._sides[node.output[0]]) * math.prod(self._weights[node.input[1]][1:])

    def _parts_well(self, *parts: set[int]) -> bool:
        """Whether the runtime makes the same layers of each part as of the whole network.

        It makes one layer of a convolution and what alone reads it (a normalisation, an addition, an activation), and
        may then round otherwise. So wherever a part has not all that reads a tensor, nothing may be of that sort.
        """
        for part in parts:
            for name in self._seen.intersection(name for place in part for name in self._nodes[place].output):
                if not self._readers[name] <= part and not all(map(self._separate, self._readers[name])):
                    return False
        return True

    def _separate(self, place: int) -> bool:
        node = self._nodes[place]
        if node.op_type == "Concat":
            return all(self._nodes[reader].op_type in SEPARATE for reader in self._readers[node.output[0]])
        return node.op_type in SEPARATE


def _weights(model: onnx.ModelProto) -> dict[str, Sequence[int]]:
    """The sides of a network's weights, by name."""
    found: dict[str, Sequence[int]] = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = attribute.t.dims
    return found


def _bytes(sides: Sides) -> int:
    return math.prod(sides) * np.dtype(np.float32).itemsize
