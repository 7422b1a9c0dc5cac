"""What an ONNX file says of itself, read without building a session: tensors, operator set, files of weights."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import onnx

from actors.core.errors import InputError, error_text
from actors.files import storage
from actors.network.external_weights import external_files
from actors.network.not_onnx import check_head, not_onnx_error
from actors.network.size_bounds import check_calls
from actors.network.traversal import nodes, used_names

# The first axis is the batch; ``None`` where the graph leaves an axis open, or says nothing at all of a shape.
Shape: TypeAlias = tuple[int | None, ...] | None

# The sets of operators that ONNX Runtime brings, by the beginnings of their names.
RUNTIME_DOMAINS = ("ai.onnx", "com.microsoft")

# What the default set of operators is called.
DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})

# Of the operators that it does not have, so many are named.
OPERATORS_NAMED = 4

# Bytes of a protobuf message.
LARGEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """One network.

    Attributes:
        path: the ONNX file.
        model: what is in it; weights that lie beside it are not.
        inputs: shape of each input that is not a weight.
        used: those of them that a node reads.
        outputs: shape of each output.
        elements: the type of each input's and output's numbers, as ONNX calls it in small letters.
        opset: version of the default operator set.
        external: files beside it that hold weights, by name.
    """

    path: str
    model: onnx.ModelProto
    inputs: dict[str, Shape]
    used: frozenset[str]
    outputs: dict[str, Shape]
    elements: dict[str, str]
    opset: int
    external: tuple[str, ...]

    @property
    def batch(self) -> int:
        """A batch that its inputs allow."""
        return next((shape[0] for shape in self.inputs.values() if shape and shape[0] is not None), 1)


def read_network(path: str, flag: str) -> NetworkFile:
    """Reads an ONNX file's description.

    Args:
        path: the ONNX file.
        flag: the flag that named it, for messages.

    Raises:
        InputError: there is no such file, it is not ONNX, its operator set is newer than the runtime's, it has
            operators of somebody's own, or its weights do not lie beside it.
    """
    proto = _parsed(path, flag)
    graph = proto.graph
    opset = max((entry.version for entry in proto.opset_import if entry.domain in DEFAULT_DOMAINS), default=0)
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise InputError(
            path, f"operator set {opset} is too new (up to {newest} is understood)", "export it with opset 17"
        )
    if not all(isinstance(text, str) for text in _texts(proto)):
        raise InputError(path, "holds names that are not UTF-8", "fetch it again, or export it again")
    check_calls(path, proto)
    foreign = sorted(set(_foreign_operators(proto)))
    if foreign:
        more = f" and {len(foreign) - OPERATORS_NAMED} more" if len(foreign) > OPERATORS_NAMED else ""
        raise InputError(
            path,
            f"has operators that ONNX Runtime does not: {', '.join(foreign[:OPERATORS_NAMED])}{more}",
            "export it with standard operators",
        )
    stored = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: _shape(value) for value in graph.input if value.name not in stored}
    return NetworkFile(
        path=path,
        model=proto,
        inputs=inputs,
        used=frozenset(inputs) & used_names(proto),
        outputs={value.name: _shape(value) for value in graph.output},
        elements={value.name: _element(value) for value in (*graph.input, *graph.output)},
        opset=opset,
        external=external_files(path, proto),
    )


def _parsed(path: str, flag: str) -> onnx.ModelProto:
    """What is in a file, which is an ONNX model with a graph."""
    try:
        content = _content(path, flag)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error_text(error)})", "check your access to it") from error
    try:
        proto = onnx.load_model_from_string(content)
    except Exception as error:  # the protobuf runtimes raise different classes for the same broken file
        raise not_onnx_error(path, content, error) from error
    if not proto.graph.node or not proto.graph.input:
        raise not_onnx_error(path, content, None)
    return proto


def _content(path: str, flag: str) -> bytes:
    """All of a file that begins as an ONNX model does."""
    found = storage.entry(path)
    if found is None:
        raise InputError(path, "there is no such model", f"check {flag}")
    if found.is_folder:
        inside = [entry.name for entry in storage.children(path) if entry.name.endswith(".onnx")]
        named = f"{flag} {storage.join(path, inside[0])}" if len(inside) == 1 else f"give {flag} an .onnx file"
        raise InputError(path, "is a folder, not a model", named)
    if not storage.is_file(path):
        raise InputError(path, "is no file but a pipe or a device", f"give {flag} an .onnx file")
    with storage.open_input(path) as file:
        check_head(path, file, found.size)
        if found.size > LARGEST:
            problem = "is larger than 2 GiB, which ONNX files cannot be"
            raise InputError(path, problem, "export it with its weights in a file of their own")
        return file.read()


def fits(shape: Shape, sides: tuple[int, ...]) -> bool:
    """Whether a tensor may have these sides behind the batch; what the graph leaves open may be anything."""
    return misfits(shape, sides) == 0


def misfits(shape: Shape, sides: tuple[int, ...]) -> int:
    """How many of the sides behind the batch a tensor cannot have; all of them where it has more or fewer sides."""
    if shape is None:
        return 0
    if len(shape) != len(sides) + 1:
        return len(sides)
    return sum(given not in {None, wanted} for given, wanted in zip(shape[1:], sides, strict=True))


def described(tensors: Mapping[str, Shape]) -> str:
    """Names and shapes for a message: ``input [?, 6, 320, 320], audio [?, 32, 16, 16]``."""
    texts = [f"{name} [{_described(shape)}]" for name, shape in tensors.items()]
    return ", ".join(texts) or "(none)"


def _described(shape: Shape) -> str:
    return "of any shape" if shape is None else ", ".join("?" if side is None else str(side) for side in shape)


def check_floats(network: NetworkFile, names: Iterable[str], allowed: Container[str]) -> None:
    """Checks that tensors hold numbers that can be fed and read.

    Args:
        network: whose tensors they are.
        names: of the tensors.
        allowed: types that will do, as ONNX calls them in small letters.

    Raises:
        InputError: naming those that hold others.
    """
    others = ", ".join(f"{name} {network.elements[name]}" for name in names if network.elements[name] not in allowed)
    if others:
        raise InputError(
            network.path, f"its tensors are not float32 ({others})", "export it with float32 inputs and outputs"
        )


def fixed_batch(network: NetworkFile, names: Iterable[str]) -> int | None:
    """The batch that these tensors are fixed to, or ``None`` when any will do.

    Raises:
        InputError: they are fixed to different ones.
    """
    shapes = {**network.inputs, **network.outputs}
    fixed = {shape[0] for shape in map(shapes.get, names) if shape and shape[0] is not None}
    if len(fixed) > 1:
        raise InputError(network.path, f"its tensors have different fixed batches {sorted(fixed)}", "export it again")
    return next(iter(fixed), None)


def _texts(proto: onnx.ModelProto) -> Iterator[object]:
    """All names by which a graph is understood; damaged ones come as bytes."""
    for node in nodes(proto):
        yield from (node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer, *proto.opset_import):
        yield value.domain if isinstance(value, onnx.OperatorSetIdProto) else value.name


def _foreign_operators(proto: onnx.ModelProto) -> Iterator[str]:
    """Operators that neither ONNX nor ONNX Runtime defines, nor the model itself, as ``domain:name``."""
    own = {(function.domain, function.name) for function in proto.functions}
    for node in nodes(proto):
        known = node.domain == "" or node.domain.startswith(RUNTIME_DOMAINS)
        if not known and (node.domain, node.op_type) not in own:
            yield f"{node.domain}:{node.op_type}"[:40]


def _shape(value: onnx.ValueInfoProto) -> Shape:
    if not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)


def _element(value: onnx.ValueInfoProto) -> str:
    number = value.type.tensor_type.elem_type
    names = onnx.TensorProto.DataType
    return str(names.Name(number)).lower() if number in names.values() else f"type {number}"
