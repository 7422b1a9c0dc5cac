"""The face encoder: the part of a network that depends on the image alone, not on the audio.

Networks of this family encode image and audio in layers of their own, and join the two further on. What the image's
layers hand over is the same in every frame drawn on a background, so it can be kept with the background. Each
value is made of the same numbers in the same order as in the whole network, so that no bit of it changes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from actors.core.kind import FaceTensor
from actors.network.graph import BATCH, IMAGE
from actors.network.onnx_file import DEFAULT_DOMAINS
from actors.network.operators import is_training
from actors.network.shapes import has_graphs, tensor_sides

if TYPE_CHECKING:
    from actors.core.kind import ModelTensors

# A tensor is kept if making it takes so many floating-point operations for each of its bytes; below that it is made
# again. Measured: reading a byte takes as long as some 40 of them, and kept bytes cost memory as well.
LEAST_OPERATIONS = 64

# Operators whose inputs are all of a sort.
BROADCASTING = frozenset({"Add", "Concat", "Div", "Mul", "Sub"})
# What the layers that see the picture may be: each frame of a batch is worked on by itself and by the same kernels
# whatever the batch, and the first axis stays the batch. (Sums over planes round otherwise in batches, for one.)
BY_FRAME = BROADCASTING | {"AveragePool", "BatchNormalization", "Conv", "Identity", "MaxPool"}
BY_FRAME |= {"Clip", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh"}
PLANES_AXES = frozenset({1, -3})
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
    if has_graphs(model) or model.graph.sparse_initializer:
        return ()
    return _Layers(model, image, audio, output).kept()


def face_encoder(graph: onnx.ModelProto, tensors: ModelTensors) -> onnx.ModelProto:
    """The part that makes the face tensors, of one background at a time.

    Args:
        graph: the network that takes `actors.network.graph.IMAGE`, see `pixel_graph`; its batch is open, or 1.
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
        self._constants = _constants(model)
        self._maker = {name: place for place, node in enumerate(self._nodes) for name in _made(node)}
        self._readers: Mapping[str, set[int]] = defaultdict(set)
        # What follows from the image alone, and what follows from the audio as well.
        of_image, of_audio = {image}, {audio}
        for place, node in enumerate(self._nodes):
            for name in node.input:
                self._readers[name].add(place)
            if of_audio.intersection(node.input):
                of_audio.update(_made(node))
            elif of_image.intersection(node.input):
                of_image.update(_made(node))
        self._image_tensors, self._audio_tensors = of_image, of_audio

    def kept(self) -> tuple[FaceTensor, ...]:
        """The tensors to keep."""
        joining = {self._maker[name] for name in self._audio_tensors if name in self._maker}
        handed_over = [
            name
            for node in self._nodes
            for name in _made(node)
            if name in self._image_tensors and joining & self._readers[name]
        ]
        kept: dict[str, FaceTensor] = {}
        for tensor in (FaceTensor(name, self._sides[name]) for name in handed_over if name in self._sides):
            work = sum(map(self._operations, self._behind([tensor.name], kept)))
            if work >= LEAST_OPERATIONS * tensor.bytes:
                kept[tensor.name] = tensor
        parts_well = self._parts_well(self._behind(kept, ()), self._behind([self._output], kept))
        return tuple(kept.values()) if parts_well else ()

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
        if node.op_type != "Conv" or len(node.input) < 2 or node.input[1] not in self._constants:
            return 0
        return 2 * math.prod(self._sides.get(node.output[0], (0,))) * math.prod(self._constants[node.input[1]][1:])

    def _parts_well(self, encoder: set[int], decoder: set[int]) -> bool:
        """Whether both parts together give the same bits as the whole network, for batches of any size.

        The runtime makes one layer of a convolution and what alone reads it (a normalisation, an addition, an
        activation), and may then round otherwise. So wherever a part has not all that reads a tensor, nothing may be
        of that sort; layers that make nothing for the output count too, because the runtime keeps them.
        """
        if not all(self._by_frame(self._nodes[place]) for place in encoder):
            return False
        for part in (encoder, decoder):
            for name in {name for place in part for name in _made(self._nodes[place])} - self._constants.keys():
                if not self._readers[name] <= part and not all(map(self._separate, self._readers[name])):
                    return False
        return True

    def _by_frame(self, node: onnx.NodeProto) -> bool:
        """Whether a layer of the encoder works on each frame by itself."""
        if self._constants.keys() >= {*node.output}:
            return True
        if node.domain not in DEFAULT_DOMAINS or node.op_type not in BY_FRAME or len(_made(node)) != 1:
            return False
        if is_training(node):
            return False
        if node.op_type == "Concat" and not any(one.name == "axis" and one.i in PLANES_AXES for one in node.attribute):
            return False
        others = {name for name in node.input if name} - self._image_tensors
        if not others <= self._constants.keys():
            return False
        # What is not a weight must not make several frames of one.
        return node.op_type not in BROADCASTING or all(_is_one_frame(self._constants[name]) for name in others)

    def _separate(self, place: int) -> bool:
        node = self._nodes[place]
        if node.domain not in DEFAULT_DOMAINS:
            return False
        if node.op_type == "Concat":
            readers = [self._nodes[reader] for name in _made(node) for reader in self._readers[name]]
            return all(reader.op_type in SEPARATE and reader.domain in DEFAULT_DOMAINS for reader in readers)
        return node.op_type in SEPARATE


def _made(node: onnx.NodeProto) -> list[str]:
    """What a node makes; outputs may be left out."""
    return [name for name in node.output if name]


def _constants(model: onnx.ModelProto) -> dict[str, Sequence[int]]:
    """The sides of all that is known before anything runs, by name."""
    found: dict[str, Sequence[int]] = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            sides = [attribute.t.dims for attribute in node.attribute if attribute.name == "value"]
            found.update(dict.fromkeys(node.output, sides[0] if sides else ()))
        elif node.op_type == "Identity" and found.keys() >= {*node.input}:
            # So exporters write a weight that two layers share.
            found.update({made: found[given] for given, made in zip(node.input, node.output, strict=False)})
    return found


def _is_one_frame(sides: Sequence[int]) -> bool:
    return len(sides) < 4 or sides[0] == 1
