"""Reading an ONNX file's own description: its tensors, batch and opset, without building a session."""

from __future__ import annotations

import onnx

from actors import storage
from actors.core.errors import InputError
from actors.core.kind import ModelKind, ModelTensors

Shape = tuple[int | None, ...]


def read_model(path: str, kind: ModelKind) -> ModelTensors:
    """Checks that an ONNX file honours the kind's contract and finds its tensors by shape, never by name.

    Args:
        path: the ONNX file.
        kind: the contract.

    Raises:
        InputError: there is no such file, it is not ONNX, its operator set is newer than the runtime's, or its
            tensors are not the kind's.
    """
    if not storage.is_file(path):
        raise InputError(path, "there is no such model", "check --model")
    try:
        proto = onnx.load_model_from_string(storage.read_bytes(path))
    except Exception as error:  # the protobuf runtimes raise different classes for the same broken file
        raise InputError(path, f"not an ONNX file ({type(error).__name__})", "give an exported .onnx file") from error
    if not proto.graph.node or not proto.graph.input:
        raise InputError(path, "not an ONNX network: it has no graph", "give an exported .onnx file")
    opset = max((entry.version for entry in proto.opset_import if entry.domain in {"", "ai.onnx"}), default=0)
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise InputError(
            path, f"operator set {opset} is too new (up to {newest} is understood)", "export it with opset 17"
        )
    return _bind(path, proto.graph, kind, opset, _external(path, proto.graph))


def _external(path: str, graph: onnx.GraphProto) -> tuple[str, ...]:
    """Names of the weight files, each of which must lie beside the model."""
    entries = [entry for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"]
    names = tuple(sorted({entry.value for entry in entries}))
    for name in names:
        if not name.isprintable() or "/" in name or "\\" in name or name in {"", ".", ".."}:
            raise InputError(path, f"keeps weights outside of its folder ({name[:80]})", "export it into one folder")
        if not storage.is_file(storage.join(path.rpartition("/")[0], name)):
            raise InputError(path, f"its weights are missing ({name[:80]})", "put that file beside the model")
    return names


def _bind(path: str, graph: onnx.GraphProto, kind: ModelKind, opset: int, external: tuple[str, ...]) -> ModelTensors:
    stored = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: _shape(value) for value in graph.input if value.name not in stored}
    outputs = {value.name: _shape(value) for value in graph.output}
    image = [name for name, shape in inputs.items() if _fits(shape, kind.planes)]
    audio = [name for name, shape in inputs.items() if _fits(shape, kind.audio)]
    # Some exporters leave the output's channels open; the session counts the planes it really gets.
    output = [name for name, shape in outputs.items() if _fits(shape, kind.output, open_channels=True)]
    if len(inputs) != 2 or len(image) != 1 or len(audio) != 1 or image == audio or len(output) != 1:
        raise InputError(
            path,
            f"inputs {_describe(inputs)} and outputs {_describe(outputs)} are not those of {kind.name}",
            f"it takes B x {_sides(kind.planes)} and B x {_sides(kind.audio)} and gives B x {_sides(kind.output)}",
        )
    kept = {*image, *audio, *output}
    others = [value for value in (*graph.input, *graph.output) if value.name in kept and not _is_float(value)]
    if others:
        kinds = ", ".join(f"{value.name} {_element(value)}" for value in others)
        raise InputError(path, f"its tensors are not float32 ({kinds})", "export it with float32 inputs and outputs")
    fixed = {shape[0] for shape in (*inputs.values(), outputs[output[0]]) if shape[0] is not None}
    if len(fixed) > 1:
        raise InputError(path, f"its tensors have different fixed batches {sorted(fixed)}", "export it again")
    return ModelTensors(image[0], audio[0], output[0], next(iter(fixed), None), opset, external)


def _shape(value: onnx.ValueInfoProto) -> Shape:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)


def _fits(shape: Shape, sides: tuple[int, ...], *, open_channels: bool = False) -> bool:
    """A dimension that the graph leaves open may be anything, an input's channels may not."""
    if len(shape) != len(sides) + 1 or (shape[1] is None and not open_channels):
        return False
    return all(given in {None, wanted} for given, wanted in zip(shape[1:], sides, strict=True))


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def _element(value: onnx.ValueInfoProto) -> str:
    number = value.type.tensor_type.elem_type
    names = onnx.TensorProto.DataType
    return str(names.Name(number)).lower() if number in names.values() else f"type {number}"


def _sides(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))


def _describe(tensors: dict[str, Shape]) -> str:
    texts = [f"{name} [{', '.join('?' if d is None else str(d) for d in shape)}]" for name, shape in tensors.items()]
    return ", ".join(texts) or "(none)"
