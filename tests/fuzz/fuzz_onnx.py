"""Mutants of networks: damaged bytes, and graphs that are well-formed but wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import onnx
from fuzz_base import FileReader
from mutations import EDGES, LARGE_EDGES, WORDS, mutate_bytes
from onnx import TensorProto, helper, numpy_helper

from actors.core.choices import Device
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model
from actors.network.session import Session, SessionOptions

_OPTIONS = SessionOptions(Device.CPU, threads=1, batch=1, gpu_memory=0)
_OPERATORS = (
    "Conv",
    "Add",
    "Reshape",
    "If",
    "Loop",
    "Slice",
    "ConstantOfShape",
    "Expand",
    "Tile",
    "Resize",
    "Nope",
    "",
)

_PLACES = (
    "model.onnx",
    "../x",
    "/etc/passwd",
    "-1",
    "0",
    "",
    "9" * 30,
    "a\0b",
    "a\nb",
    "x" * 300,
    "in",
    "model.onnx\0",
)


class Network(FileReader):
    """An ONNX file, read as every command reads it and then built into a session as a worker does.

    While the session is built a file of the name ``session`` stands beside the folder: where the process dies there,
    the runtime has died, which a render survives because its sessions live in workers.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "model.onnx", [_network(1).SerializeToString(), _network("n").SerializeToString()])
        self.building = folder.parent / "session"

    def mutate(self, content: bytes, chance: Random) -> bytes:
        if chance.random() < 0.4:
            return mutate_bytes(content, chance)
        model = onnx.load_model_from_string(content)
        for _ in range(chance.choice((1, 1, 2))):
            chance.choice(_DAMAGES)(model, chance)
        return bytes(model.SerializeToString())

    def read(self) -> None:
        path = str(self.path)
        tensors = read_model(path, UNET_328)
        assert tensors.image != tensors.audio
        assert tensors.batch is None or tensors.batch > 0
        # A fixed batch decides what the session allocates for its input; one that large is not a matter of reading.
        if tensors.batch is not None and tensors.batch > 16:
            return
        self.building.touch()
        session = Session(path, tensors, UNET_328, _OPTIONS)
        self.building.unlink()
        assert session.batch in {1, tensors.batch}


def _network(batch: int | str) -> onnx.ModelProto:
    """The least that honours the contract: planes mixed by a 1x1 convolution, shifted by the mean of the sound."""
    weights = np.random.default_rng(3).normal(0, 1, (3, 6, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["mixed"], kernel_shape=[1, 1]),
        helper.make_node("ReduceMean", ["audio"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Add", ["mixed", "mean"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["shown"]),
        helper.make_node("Reshape", ["shown", "shape"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "least",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 6, 320, 320]),
            helper.make_tensor_value_info("audio", TensorProto.FLOAT, [batch, 32, 16, 16]),
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 3, 320, 320])],
        [
            numpy_helper.from_array(weights, "weight"),
            numpy_helper.from_array(np.array([-1, 3, 320, 320], np.int64), "shape"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _dims(model: onnx.ModelProto, chance: Random) -> None:
    value = chance.choice([*model.graph.input, *model.graph.output])
    dims = value.type.tensor_type.shape.dim
    match chance.randrange(4):
        case 0 if dims:
            chance.choice(dims).dim_value = chance.choice((0, -1, 2, 3, *LARGE_EDGES[:-2]))
        case 1 if dims:
            chance.choice(dims).dim_param = chance.choice(("n", "", "m"))
        case 2 if dims:
            del dims[chance.randrange(len(dims))]
        case _:
            for _ in range(chance.choice((1, 20))):
                dims.add().dim_value = 1


def _weights(model: onnx.ModelProto, chance: Random) -> None:
    tensor = chance.choice(model.graph.initializer) if model.graph.initializer else model.graph.initializer.add()
    match chance.randrange(6):
        case 0:
            tensor.raw_data = mutate_bytes(tensor.raw_data, chance)
        case 1:
            tensor.dims[:] = [chance.choice((0, 1, -1, 3, *EDGES, (1 << 62))) for _ in range(chance.randrange(5))]
        case 2:
            tensor.data_type = chance.choice((0, 1, 7, 8, 10, 16, 22, 99))
        case 3:
            tensor.ClearField("raw_data")
            tensor.float_data.extend([1.5] * chance.choice((0, 3, 18, 400)))
        case 4:
            tensor.data_location = TensorProto.EXTERNAL
            for key in ("location", "offset", "length"):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, chance.choice(_PLACES)
        case _:
            tensor.name = chance.choice(("image", "mixed", "", "other"))


def _nodes(model: onnx.ModelProto, chance: Random) -> None:
    nodes = model.graph.node
    node = chance.choice(nodes) if nodes else nodes.add()
    match chance.randrange(8):
        case 0:
            node.op_type = chance.choice(_OPERATORS)
        case 1:
            nodes.remove(node)
        case 2:
            nodes.add().CopyFrom(node)
        case 3:
            node.input[:] = [chance.choice(("image", "audio", "output", "weight", "", "none")) for _ in node.input]
        case 4:
            node.output[:] = [chance.choice(("output", "image", "sum", ""))]
        case 5:
            node.domain = chance.choice(("ai.onnx", "com.microsoft", "acme", ""))
        case 6:
            kinds = ("axes", "kernel_shape", "pads", "strides", "group", "keepdims", "dilations", "odd")
            values = ([1 << 62], [-1, -1], [0, 0], 3, -5, 1.5, "x", [1] * 50)
            node.attribute.append(helper.make_attribute(chance.choice(kinds), chance.choice(values)))
        case _:
            _nest(model, chance)


def _nest(model: onnx.ModelProto, chance: Random) -> None:
    """Branches within branches, at most as deep as protobuf reads."""
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("mixed", TensorProto.FLOAT, None)])
    for _ in range(chance.choice((1, 10, 30))):
        node = helper.make_node("If", ["audio"], ["sum"], then_branch=inner, else_branch=onnx.GraphProto())
        inner = helper.make_graph([node], "outer", [], [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)])
    model.graph.node.add().CopyFrom(inner.node[0])


def _header(model: onnx.ModelProto, chance: Random) -> None:
    match chance.randrange(5):
        case 0:
            model.ir_version = chance.choice((0, -1, 1, 3, 99, 1 << 40))
        case 1:
            del model.opset_import[:]
        case 2:
            model.opset_import.append(helper.make_opsetid(chance.choice(("", "acme")), chance.choice((-1, 0, 5, 999))))
        case 3:
            model.graph.name = chance.choice([word for word in WORDS if word.isprintable()])
        case _:
            model.graph.ClearField(chance.choice(("input", "output", "node", "initializer")))


def _names(model: onnx.ModelProto, chance: Random) -> None:
    """Names are printed, so they are the place for line breaks and for what never ends."""
    words = [word for word in WORDS if "\ud800" not in word]
    chance.choice([*model.graph.input, *model.graph.output]).name = chance.choice(words)


def _types(model: onnx.ModelProto, chance: Random) -> None:
    value = chance.choice([*model.graph.input, *model.graph.output])
    if chance.random() < 0.7:
        value.type.tensor_type.elem_type = chance.choice((0, 1, 7, 10, 11, 99))
    else:
        value.type.sequence_type.elem_type.tensor_type.elem_type = 1


def _many(model: onnx.ModelProto, chance: Random) -> None:
    for index in range(chance.choice((1, 3, 400))):
        model.graph.input.append(helper.make_tensor_value_info(f"more{index}", TensorProto.FLOAT, [1, 2]))


_DAMAGES: tuple[Callable[[onnx.ModelProto, Random], None], ...] = (
    *(_dims, _dims, _weights, _weights, _nodes, _nodes, _nodes),
    *(_header, _names, _types, _many),
)
READERS = {"onnx": Network}
