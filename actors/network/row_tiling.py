"""The last layers of a network in strips of rows, so that what passes between them stays in the processor's cache.

The widest layers of a picture network stand at its end: 128 planes of 320x320 are 52 MB, written by one layer and read
by the next, which no cache holds. Layers that look at few rows around each row can as well be run over a part of the
rows from first to last. What each output value is made of does not change, nor what the runtime makes one of when it
loads the network, so neither does any bit of it. Whether it is faster depends on the processor: on one that calculates
too slowly to wait for its memory, cutting costs more than it saves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from actors.network.graph import PREFIX
from actors.network.onnx_file import DEFAULT_DOMAINS
from actors.network.operators import is_training
from actors.network.shapes import Sides, has_graphs, tensor_sides

if TYPE_CHECKING:
    from actors.core.kind import ModelTensors

# What the largest tensor between two layers must take before strips are worth their cutting. Measured, see
# docs/performance.md: 13 MB gain nothing where 52 MB gain a tenth of the whole network's time.
WIDE_BYTES = 32 << 20
# A strip's own rows for each row that it needs of its neighbours: a fourth is calculated twice.
ROWS_FOR_EACH = 8
# The first version of the default operator set whose Slice takes what to cut as inputs.
SLICE_INPUTS = 10

# Operators by which of their inputs are pictures; the others are weights. Each row of their output depends on the same
# row of these, that of a convolution also on as many rows before and after it as it is padded with.
FIRST_INPUT = frozenset({"Conv", "BatchNormalization", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh"})
ALL_INPUTS = frozenset({"Add", "Concat"})
ROWS_AXIS = 2


@dataclass(frozen=True, slots=True)
class Region:
    """Layers that can be run in strips.

    Attributes:
        nodes: in the graph's order; the last one makes the output.
        sources: tensors of other layers that they read, with their sides.
        rows: of each of their tensors.
        margins: for each of their tensors and sources, how many rows before and after a strip's own it has.
        widest: bytes of the largest tensor between them.
    """

    nodes: tuple[onnx.NodeProto, ...]
    sources: Mapping[str, Sides]
    rows: int
    margins: Mapping[str, int]
    widest: int

    @property
    def output(self) -> str:
        """What the last of them makes."""
        return str(self.nodes[-1].output[0])

    @property
    def strips(self) -> int:
        """How many strips it is worth while to make of it."""
        halo = max(self.margins[name] for name in self.sources)
        return math.ceil(self.rows / (ROWS_FOR_EACH * max(1, halo)))

    def own(self, strip: int) -> tuple[int, int]:
        """First row and end of what a strip gives in the end."""
        return self.rows * strip // self.strips, self.rows * (strip + 1) // self.strips

    def span(self, name: str, strip: int) -> tuple[int, int]:
        """First row and end of a tensor in a strip."""
        start, stop = self.own(strip)
        return max(0, start - self.margins[name]), min(self.rows, stop + self.margins[name])


def find_region(model: onnx.ModelProto, tensors: ModelTensors, batch: int) -> Region | None:
    """The last layers of a network that may be worth running in strips; ``None`` where there are none.

    Meant for CPUs; a GPU has other caches and pays for each layer that is started.

    Args:
        model: the network.
        tensors: which of its tensors is which.
        batch: frames per inference.
    """
    if tensors.opset < SLICE_INPUTS or has_graphs(model):
        return None
    region = _region(model, tensors.output, batch)
    if region is None or region.widest < WIDE_BYTES or region.strips < 2:
        return None
    return region


def in_strips(model: onnx.ModelProto, region: Region) -> onnx.ModelProto:
    """A network with some of its layers in strips.

    Args:
        model: the network, or the region `alone`; it is not changed.
        region: the layers.
    """
    wanted = onnx.ModelProto()
    wanted.CopyFrom(model)
    graph = wanted.graph
    strips, constants = _strips(region)
    inside = {node.output[0] for node in region.nodes}
    del graph.node[:], graph.value_info[:]
    for node in model.graph.node:
        if region.output in node.output:
            # What the layers read was made before the last of them.
            graph.node.extend(strips)
        elif node.output[0] not in inside:
            graph.node.append(node)
    graph.initializer.extend(constants)
    return wanted


def alone(model: onnx.ModelProto, region: Region, batch: int) -> onnx.ModelProto:
    """A network of a region's layers only, to see how long they take.

    What they read is made by a small convolution each, so that it has the order that the runtime gives to what
    convolutions make. For each there is an input, ``(batch, 1, rows, columns)`` float32; the output is the region's.

    Args:
        model: the whole network.
        region: the layers.
        batch: frames per inference.
    """
    inputs, nodes, weights = [], [], []
    for source, (planes, rows, columns) in region.sources.items():
        picture, weight = f"{PREFIX}picture/{source}", f"{PREFIX}weight/{source}"
        inputs.append(helper.make_tensor_value_info(picture, TensorProto.FLOAT, (batch, 1, rows, columns)))
        weights.append(numpy_helper.from_array(np.ones((planes, 1, 1, 1), np.float32), weight))
        nodes.append(helper.make_node("Conv", [picture, weight], [source]))
    # A constant may be a source as well: a picture of where each pixel stands.
    read = {name for node in region.nodes for name in node.input} - region.sources.keys()
    nodes.extend(node for node in model.graph.node if node.op_type == "Constant" and node.output[0] in read)
    graph = helper.make_graph(
        [*nodes, *region.nodes],
        "alone",
        inputs,
        [helper.make_tensor_value_info(region.output, TensorProto.FLOAT, [None] * 4)],
        [*weights, *(tensor for tensor in model.graph.initializer if tensor.name in read)],
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _region(model: onnx.ModelProto, output: str, batch: int) -> Region | None:
    """The layers before the output that are as high as it is and whose results nothing else reads."""
    sides = tensor_sides(model)
    if output not in sides:
        return None
    _, rows, _ = sides[output]
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    weights |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    free = {output} | {name for node in graph.node for name in node.output} - {value.name for value in graph.output}
    read = {output}
    nodes: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        name = node.output[0]
        # All that reads it comes later in the graph, so it has been looked at.
        if name in read and name in free and _local(node, rows, sides, weights):
            nodes.append(node)
            read.update(_pictures(node))
        else:
            free -= set(node.input)
    nodes = _begun_by_convolutions(nodes[::-1])
    if not nodes:
        return None
    inside = {node.output[0] for node in nodes}
    return Region(
        nodes=tuple(nodes),
        sources={name: sides[name] for node in nodes for name in _pictures(node) if name not in inside},
        rows=rows,
        margins=_margins(nodes, output),
        widest=batch
        * max((math.prod(sides[name]) for name in inside - {output}), default=0)
        * np.dtype(np.float32).itemsize,
    )


def _begun_by_convolutions(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes, in the graph's order, less those at the beginning that the runtime may melt into what comes before.

    It makes one layer of a convolution and the normalisation or addition behind it, and then rounds otherwise; the cut
    would keep them apart. So only convolutions read from outside, alone or by way of a Concat that nothing else reads.
    """
    kept = list(nodes)
    read_outside: set[str] = set()
    while True:
        inside = {node.output[0] for node in kept}
        read_otherwise = {name for node in kept if node.op_type != "Conv" for name in _pictures(node)}
        leaving = {
            node.output[0]
            for node in kept
            if node.output[0] in read_outside
            or not (
                node.op_type == "Conv"
                or inside.issuperset(_pictures(node))
                or (node.op_type == "Concat" and node.output[0] not in read_otherwise)
            )
        }
        if not leaving:
            return kept
        read_outside.update(name for node in kept if node.output[0] in leaving for name in _pictures(node))
        kept = [node for node in kept if node.output[0] not in leaving]


def _margins(nodes: Sequence[onnx.NodeProto], output: str) -> dict[str, int]:
    """Rows that each tensor of a strip has before and after the strip's own.

    At least as many as are looked at. A convolution can leave out as many as it looks at on either side, or keep them;
    whatever is calculated row by row has as many as what it is made of. Rows that are kept beyond those that are looked
    at are wrong, because they lack their neighbours, and are cut off in the end.
    """
    margins = {output: 0}
    for node in reversed(nodes):
        for source in _pictures(node):
            margins[source] = max(margins.get(source, 0), margins[node.output[0]] + _padding(node))
    before: dict[str, int] = {}
    # They only grow, and none beyond the largest.
    while margins != before:
        before = dict(margins)
        for node in nodes:
            together = (*_pictures(node), node.output[0])
            most = max(margins[name] for name in together)
            for name in together:
                least = most - (_padding(node) if name == node.output[0] else 0)
                margins[name] = max(margins[name], least)
    return margins


def _local(node: onnx.NodeProto, rows: int, sides: Mapping[str, Sides], weights: set[str]) -> bool:
    """Whether each row that a node gives depends on the same row of its pictures and on those close to it alone."""
    if node.domain not in DEFAULT_DOMAINS or node.op_type not in FIRST_INPUT | ALL_INPUTS or len(node.output) != 1:
        return False
    if is_training(node):
        return False
    pictures = _pictures(node)
    if any(name not in sides or sides[name][1] != rows for name in (*pictures, node.output[0])):
        return False
    if any(name and name not in weights for name in node.input[len(pictures) :]):
        return False
    settings = _settings(node)
    if node.op_type == "Conv":
        # As many rows come out as go in, so equal padding means that the kernel is centred.
        automatic = settings.get("auto_pad", b"NOTSET") != b"NOTSET"
        before, _, after, _ = settings.get("pads", (0, 0, 0, 0))
        return settings.get("strides", (1,))[0] == 1 and before == after and not automatic
    return True


def _pictures(node: onnx.NodeProto) -> Sequence[str]:
    return tuple(node.input if node.op_type in ALL_INPUTS else node.input[:1])


def _padding(node: onnx.NodeProto) -> int:
    """Rows that a local node needs before and after a row."""
    return int(_settings(node).get("pads", (0,))[0]) if node.op_type == "Conv" else 0


def _settings(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _strips(region: Region) -> tuple[list[onnx.NodeProto], list[TensorProto]]:
    """The nodes that take a region's place, and what they cut."""
    nodes: list[onnx.NodeProto] = []

    def cut(source: str, target: str, first: int, last: int) -> None:
        nodes.append(helper.make_node("Slice", [source, *(_number(n) for n in (first, last, ROWS_AXIS))], [target]))

    parts = [f"{PREFIX}kept-{strip}" for strip in range(region.strips)]
    for strip, part in enumerate(parts):
        prefix = f"{PREFIX}strip-{strip}/"
        names = {name: f"{prefix}{name}" for name in region.margins}
        for source in region.sources:
            cut(source, names[source], *region.span(source, strip))
        for node in region.nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{prefix}{node.name}" if node.name else ""
            copy.input[:] = [names.get(name, name) for name in node.input]
            copy.output[:] = [names[node.output[0]]]
            _pad(copy, region.span(node.input[0], strip), region.span(node.output[0], strip))
            nodes.append(copy)
        start, stop = region.own(strip)
        first, _ = region.span(region.output, strip)
        cut(names[region.output], part, start - first, stop - first)
    nodes.append(helper.make_node("Concat", parts, [region.output], axis=ROWS_AXIS))
    return nodes, [numpy_helper.from_array(np.array([n], np.int64), _number(n)) for n in range(region.rows + 1)]


def _pad(node: onnx.NodeProto, source: tuple[int, int], target: tuple[int, int]) -> None:
    """Has a convolution of some rows give certain rows, where it is one that looks at its neighbours."""
    padding = _padding(node)
    for attribute in node.attribute:
        if padding and attribute.name == "pads":
            attribute.ints[0] = padding - (target[0] - source[0])
            attribute.ints[2] = padding - (source[1] - target[1])


def _number(value: int) -> str:
    """The name of a constant that holds a number of rows, or an axis."""
    return f"{PREFIX}number-{value}"
