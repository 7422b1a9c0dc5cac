"""Reading an ONNX file's own description: which of its tensors is which, without building a session."""

from __future__ import annotations

from actors.core.errors import InputError
from actors.core.kind import ModelKind, ModelTensors
from actors.onnx_file import check_floats, described, fits, fixed_batch, read_network


def read_model(path: str, kind: ModelKind) -> ModelTensors:
    """Checks that an ONNX file honours the kind's contract and finds its tensors by shape, never by name.

    Args:
        path: the ONNX file.
        kind: the contract.

    Raises:
        InputError: there is no such file, it is not ONNX, its operator set is newer than the runtime's, or its
            tensors are not the kind's.
    """
    network = read_network(path, "--model")
    inputs, outputs = network.inputs, network.outputs
    image = [name for name, shape in inputs.items() if fits(shape, kind.planes)]
    audio = [name for name, shape in inputs.items() if fits(shape, kind.audio)]
    # Some exporters leave the output's channels open; the session counts the planes it really gets.
    output = [name for name, shape in outputs.items() if fits(shape, kind.output, open_channels=True)]
    if len(inputs) != 2 or len(image) != 1 or len(audio) != 1 or image == audio or len(output) != 1:
        raise InputError(
            path,
            f"inputs {described(inputs)} and outputs {described(outputs)} are not those of {kind.name}",
            f"it takes B x {_sides(kind.planes)} and B x {_sides(kind.audio)} and gives B x {_sides(kind.output)}",
        )
    names = (image[0], audio[0], output[0])
    check_floats(network, names)
    return ModelTensors(*names, fixed_batch(network, names), network.opset, network.external)


def _sides(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))
