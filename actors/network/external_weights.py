"""Weights that stand in files beside an ONNX model: where they may be, and what is in them."""

from __future__ import annotations

import math
from pathlib import Path

import onnx

from actors.core.errors import InputError, error_text
from actors.files import storage
from actors.network.not_onnx import LFS_POINTER, LFS_PULL
from actors.network.traversal import tensors

# As much of a file's name as a message holds.
NAMED = 80

# Bytes of what Git leaves where LFS has not fetched a file.
_LARGEST_POINTER = 1024

# Types whose numbers each have bytes of their own.
_WHOLE_BYTES = {
    *(onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE),
    *(onnx.TensorProto.INT8, onnx.TensorProto.INT16, onnx.TensorProto.INT32, onnx.TensorProto.INT64),
    *(onnx.TensorProto.UINT8, onnx.TensorProto.UINT16, onnx.TensorProto.UINT32, onnx.TensorProto.UINT64),
    onnx.TensorProto.BOOL,
}


def external_files(path: str, model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the files of weights, as the model gives them, relative to the folder of its path as given.

    They may be where ONNX Runtime reads them: below that folder or, where the path is a link, below the folder of the
    file it leads to, links followed. So a model in the cache of Hugging Face's programs is whole.

    Raises:
        InputError: one of them is elsewhere, missing or shorter than the model says.
    """
    sizes: dict[str, int] = {}
    for tensor in tensors(model):
        if _is_outside(tensor):
            settings = _settings(tensor)
            name = settings.get("location", "")
            if name not in sizes:
                sizes[name] = _size(path, name)
            _span(path, tensor, sizes[name])
    return tuple(sorted(sizes))


def load_network(path: str) -> onnx.ModelProto:
    """A whole ONNX model, weights beside it included.

    Raises:
        InputError: it or its weights cannot be read.
    """
    try:
        model = onnx.load_model_from_string(storage.read_bytes(path))
        for tensor in tensors(model):
            if _is_outside(tensor):
                _read_inside(path, tensor)
    except InputError:
        raise
    except Exception as error:  # the protobuf runtimes raise different classes for the same broken file
        raise InputError(path, f"cannot be read ({error_text(error)})", "put it back, or export it again") from error
    return model


def _size(path: str, name: str) -> int:
    """Bytes of a file of weights."""
    if not name or not name.isprintable() or not _is_contained(path, name):
        raise InputError(path, f"keeps weights outside of its folder ({name[:NAMED]})", "export it into one folder")
    place = storage.beside(path, name)
    found = storage.entry(place)
    if found is None or not storage.is_file(place):
        raise InputError(path, f"its weights are missing ({name[:NAMED]})", "put that file beside the model")
    if found.size <= _LARGEST_POINTER:
        with storage.open_input(place) as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                problem = f"its weights were not fetched ({name[:NAMED]} is a Git LFS pointer)"
                raise InputError(path, problem, LFS_PULL)
    return found.size


def _span(path: str, tensor: onnx.TensorProto, size: int) -> tuple[int, int]:
    """First byte of a tensor in its file of ``size`` bytes, and how many it has, which its shape says at least."""
    settings = _settings(tensor)
    needed = _bytes(tensor)
    try:
        start = int(settings.get("offset") or 0)
        length = int(settings.get("length") or 0) or (size - start if needed is None else needed)
    except ValueError:
        start = length = -1
    if start < 0 or length < (needed or 0) or start + length > size:
        problem = f"its weights are not all there ({settings['location'][:NAMED]} has {size} bytes)"
        raise InputError(path, problem, "fetch that file again, or export the model again")
    return start, length


def _read_inside(path: str, tensor: onnx.TensorProto) -> None:
    """Puts what a tensor's file holds of it into the tensor itself."""
    name = _settings(tensor)["location"]
    start, length = _span(path, tensor, _size(path, name))
    with storage.open_input(storage.beside(path, name)) as file:
        file.seek(start)
        tensor.raw_data = file.read(length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _bytes(tensor: onnx.TensorProto) -> int | None:
    """What a tensor's numbers take by its shape; ``None`` where their type is packed, or of no known size."""
    if tensor.data_type not in _WHOLE_BYTES:
        return None
    each = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(math.prod(tensor.dims) * each)


def _is_outside(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def _settings(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _is_contained(path: str, name: str) -> bool:
    if not storage.is_local(path):
        return ".." not in name.split("/") and not name.startswith("/") and "\\" not in name
    if Path(name).is_absolute():
        return False
    try:
        wanted = Path(storage.beside(path, name)).resolve()
    except RuntimeError:
        # Links that lead to each other; there is nothing, wherever it is.
        return True
    return any(wanted.is_relative_to(folder) for folder in (Path(path).parent.resolve(), Path(path).resolve().parent))
