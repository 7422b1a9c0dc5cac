"""Reading an ONNX file's own description, without a session: of which kind it is, and which of its tensors is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.bounds import is_plain
from actors.core.errors import InputError
from actors.core.kind import ModelKind, ModelTensors
from actors.face_encoder import face_tensors
from actors.onnx_file import NetworkFile, Shape, check_floats, described, fits, fixed_batch, misfits, read_network

# Of the kinds that a network is not, so many are named: more would not fit into a message.
NEAREST = 2

FLOATS = ("float", "float16")


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The tensors that could be what a kind asks for, by name."""

    image: tuple[str, ...]
    audio: tuple[str, ...]
    output: tuple[str, ...]

    @property
    def fit(self) -> bool:
        """Whether there is one for each, and no doubt which."""
        return len(self.image) == len(self.audio) == len(self.output) == 1 and self.image != self.audio


def recognise_model(path: str, kinds: Sequence[ModelKind]) -> tuple[ModelKind, ModelTensors]:
    """Finds the kind of an ONNX file by the shapes of its tensors, and the tensors by the kind's, never by name.

    Args:
        path: the ONNX file.
        kinds: those that it may be; if there is only one, it must be that.

    Raises:
        InputError: there is no such file, it is not ONNX, its operator set is newer than the runtime's, it has
            operators that the runtime has not, or its tensors are those of none or of several of the kinds.
    """
    network = read_network(path, "--model")
    found = [(kind, tensors) for kind in kinds for tensors in [_candidates(network, kind)] if tensors.fit]
    if not found or len(network.inputs) != 2:
        raise _misfit(network, kinds)
    if len(found) > 1:
        fitting = " and ".join(kind.name for kind, _ in found)
        raise InputError(
            path, f"leaves so much open that it fits {fitting} ({_shapes(network)})", "say which it is with --kind"
        )
    kind, candidates = found[0]
    names = (candidates.image[0], candidates.audio[0], candidates.output[0])
    check_floats(network, names, FLOATS)
    batch = fixed_batch(network, names)
    plain = is_plain(network.model)
    # A network that may be immense is not taken apart.
    face = face_tensors(network.model, *names) if plain else ()
    return kind, ModelTensors(*names, batch, network.opset, network.external, face, plain)


def read_model(path: str, kind: ModelKind) -> ModelTensors:
    """Which tensor of an ONNX file is which, where it is known of which kind it is; raises as `recognise_model`."""
    return recognise_model(path, (kind,))[1]


def _candidates(network: NetworkFile, kind: ModelKind) -> _Candidates:
    return _Candidates(
        image=tuple(name for name, shape in network.inputs.items() if fits(shape, kind.planes)),
        audio=tuple(name for name, shape in network.inputs.items() if fits(shape, kind.audio)),
        # Some exporters leave the output's channels open; the session counts the planes it really gets.
        output=tuple(name for name, shape in network.outputs.items() if fits(shape, kind.output, open_channels=True)),
    )


def _misfit(network: NetworkFile, kinds: Sequence[ModelKind]) -> InputError:
    """Why a network is of none of these kinds: what the nearest of them ask for that it has not."""
    if len(kinds) == 1:
        said = f"{_shapes(network)} are not those of {kinds[0].name}: it {_objection(network, kinds[0])}"
        return InputError(network.path, said, "name its own kind, or none: mouthpiece kinds lists them")
    nearest = sorted(kinds, key=lambda kind: _distance(network, kind))[:NEAREST]
    wanted = ", ".join(f"{kind.name} {_objection(network, kind)}" for kind in nearest)
    fix = "export it as one of these, or describe its kind (README, Add a kind)"
    return InputError(network.path, f"{_shapes(network)} are of no kind here; nearest: {wanted}", fix)


def _distance(network: NetworkFile, kind: ModelKind) -> int:
    """In how many sides of its three tensors a network differs from a kind, counted on the most similar tensors."""

    def least(tensors: dict[str, Shape], sides: tuple[int, ...]) -> int:
        return min((misfits(shape, sides) for shape in tensors.values()), default=len(sides))

    return least(network.inputs, kind.planes) + least(network.inputs, kind.audio) + least(network.outputs, kind.output)


def _objection(network: NetworkFile, kind: ModelKind) -> str:
    """Why a network is not of a kind."""
    found = _candidates(network, kind)
    if len(network.inputs) != 2 and found.image and found.audio:
        return f"takes two inputs, not {len(network.inputs)}"
    takes = [sides for names, sides in ((found.image, kind.planes), (found.audio, kind.audio)) if len(names) != 1]
    gives = [kind.output] if len(found.output) != 1 else []
    words = []
    if takes:
        words.append(f"takes {' and '.join(map(_sides, takes))}")
    if gives:
        words.append(f"gives {_sides(kind.output)}")
    return " and ".join(words)


def _shapes(network: NetworkFile) -> str:
    return f"inputs {described(network.inputs)} and outputs {described(network.outputs)}"


def _sides(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
