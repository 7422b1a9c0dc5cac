"""Reading an ONNX file's own description, without a session: of which kind it is, and which of its tensors is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from actors.core.errors import InputError
from actors.core.kind import ModelKind, ModelTensors
from actors.network.face_encoder import face_tensors
from actors.network.onnx_file import (
    NetworkFile,
    Shape,
    check_floats,
    described,
    fits,
    fixed_batch,
    misfits,
    read_network,
)
from actors.network.operators import quantised_operators
from actors.network.sandbox import ask_shapes
from actors.network.shape_folding import ready_network
from actors.network.size_bounds import is_bounded

# Of the kinds that a network is not, so many are named: more would not fit into a message.
NEAREST = 2

FLOATS = ("float", "float16")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a network may be: a kind, two of its inputs, and those of its outputs that may be the picture."""

    kind: ModelKind
    image: str
    audio: str
    outputs: tuple[str, ...]

    @property
    def sides(self) -> dict[str, tuple[int, ...]]:
        """What its inputs are given, behind the batch."""
        return {self.image: self.kind.planes, self.audio: self.kind.audio}


def recognise_model(path: str, kinds: Sequence[ModelKind], output: str | None = None) -> tuple[ModelKind, ModelTensors]:
    """Finds the kind of an ONNX file by the shapes of its tensors, and the tensors by the kind's, never by name.

    What the file leaves so open that several kinds or tensors fit is asked of the runtime, in a process of its own.

    Args:
        path: the ONNX file.
        kinds: those that it may be; if there is only one, it must be that.
        output: name of the output that shows the picture, where that is known.

    Raises:
        InputError: there is no such file, it is not ONNX, its operator set is newer than the runtime's, it has
            operators that the runtime has not, or its tensors are those of none or of several of the kinds.
    """
    network = read_network(path, "--model")
    if output is not None and output not in network.outputs:
        raise InputError(f"--output {output}", f"{path} gives no such tensor", f"it gives {described(network.outputs)}")
    candidates = [found for kind in kinds for found in _candidates(network, kind, output)]
    if not candidates:
        raise _misfit(network, kinds)
    explicit = [one for one in candidates if _is_explicit(network, one)]
    candidates = explicit or candidates
    if not explicit or len(candidates) > 1 or _leaves_open(network, candidates[0].outputs):
        candidates = _that_run(network, candidates)
    found = _the_one(network, kinds, candidates)
    names = (found.image, found.audio, found.outputs[0])
    check_floats(network, names, FLOATS)
    batch = fixed_batch(network, names)
    model = ready_network(network.model, found.image, found.audio, found.kind)
    plain = is_bounded(model, found.sides)
    # A network that may be immense is not taken apart.
    face = face_tensors(model, *names) if plain else ()
    quantised = quantised_operators(network.model)
    return found.kind, ModelTensors(*names, batch, network.opset, network.external, face, plain, quantised)


def read_model(path: str, kind: ModelKind) -> ModelTensors:
    """Which tensor of an ONNX file is which, where it is known of which kind it is; raises as `recognise_model`."""
    return recognise_model(path, (kind,))[1]


def _candidates(network: NetworkFile, kind: ModelKind, output: str | None) -> list[_Candidate]:
    """What a network may be as one of a kind; nothing where an input is left over that it cannot do without."""
    images = [name for name, shape in network.inputs.items() if fits(shape, kind.planes)]
    audios = [name for name, shape in network.inputs.items() if fits(shape, kind.audio)]
    outputs = tuple(
        name for name, shape in network.outputs.items() if fits(shape, kind.output) and output in {None, name}
    )
    if not outputs:
        return []
    return [
        _Candidate(kind, image, audio, outputs)
        for image, audio in product(images, audios)
        if image != audio and network.used <= {image, audio}
    ]


def _is_explicit(network: NetworkFile, candidate: _Candidate) -> bool:
    """Whether its inputs say how many planes they have."""
    shapes = [network.inputs[name] for name in (candidate.image, candidate.audio)]
    return all(shape is not None and shape[1] is not None for shape in shapes)


def _leaves_open(network: NetworkFile, outputs: Sequence[str]) -> bool:
    """Whether several outputs may be the picture, and one of them does not say its sides."""
    shapes = [network.outputs[name] for name in outputs]
    return len(shapes) > 1 and any(shape is None or None in shape[1:] for shape in shapes)


def _that_run(network: NetworkFile, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Those that the runtime can run, with those of their outputs that then have the right sides."""
    answers = ask_shapes(network.path, [one.sides for one in candidates], network.batch)
    found = []
    for one, answer in zip(candidates, answers, strict=True):
        if answer is not None:
            right = tuple(name for name in one.outputs if tuple(answer.get(name, ())[1:]) == one.kind.output)
            found.append(_Candidate(one.kind, one.image, one.audio, right))
    return [one for one in found if one.outputs]


def _the_one(network: NetworkFile, kinds: Sequence[ModelKind], candidates: Sequence[_Candidate]) -> _Candidate:
    if not candidates:
        raise _misfit(network, kinds)
    names = list(dict.fromkeys(one.kind.name for one in candidates))
    if len(names) > 1:
        fitting = " and ".join(names)
        raise InputError(
            network.path,
            f"leaves so much open that it fits {fitting} ({_shapes(network)})",
            "say which it is with --kind",
        )
    first = candidates[0]
    if len(candidates) > 1:
        raise InputError(
            network.path,
            f"leaves open which of its inputs is the picture ({_shapes(network)})",
            "export it with the sides of its inputs, the batch alone open",
        )
    if len(first.outputs) > 1:
        raise InputError(
            network.path,
            f"has {len(first.outputs)} outputs that may be the picture ({', '.join(first.outputs)})",
            f"say which it is with --output {first.outputs[0]}",
        )
    return first


def _misfit(network: NetworkFile, kinds: Sequence[ModelKind]) -> InputError:
    """Why a network is of none of these kinds: what the nearest of them ask for that it has not."""
    if len(kinds) == 1:
        said = f"{_shapes(network)} are not those of {kinds[0].name}: it {_objection(network, kinds[0])}"
        fix = _transposed(network, kinds) or "name its own kind, or none: mouthpiece kinds lists them"
        return InputError(network.path, said, fix)
    nearest = sorted(kinds, key=lambda kind: _distance(network, kind))[:NEAREST]
    wanted = ", ".join(f"{kind.name} {_objection(network, kind)}" for kind in nearest)
    fix = _transposed(network, kinds) or "export it as one of these, or describe its kind (docs/add-a-kind.md)"
    return InputError(network.path, f"{_shapes(network)} are of no kind here; nearest: {wanted}", fix)


def _transposed(network: NetworkFile, kinds: Sequence[ModelKind]) -> str:
    """What to do where a tensor is of a kind but for its planes, which come last; empty where none is."""
    for name, shape in (*network.inputs.items(), *network.outputs.items()):
        for kind in kinds:
            for planes, *sides in (kind.planes, kind.output):
                if shape is not None and shape[1:] == (*sides, planes):
                    return f"export it with planes first (NCHW): in {name} they come last"
    return ""


def _distance(network: NetworkFile, kind: ModelKind) -> int:
    """In how many sides of its three tensors a network differs from a kind, counted on the most similar tensors."""

    def least(tensors: dict[str, Shape], sides: tuple[int, ...]) -> int:
        return min((misfits(shape, sides) for shape in tensors.values()), default=len(sides))

    return least(network.inputs, kind.planes) + least(network.inputs, kind.audio) + least(network.outputs, kind.output)


def _objection(network: NetworkFile, kind: ModelKind) -> str:
    """Why a network is not of a kind."""
    images, audios = ([n for n, s in network.inputs.items() if fits(s, sides)] for sides in (kind.planes, kind.audio))
    outputs = [name for name, shape in network.outputs.items() if fits(shape, kind.output)]
    if images and audios and outputs:
        spare = sorted(network.used - {images[0], audios[0]})
        if len(network.used) > 2:
            return f"takes two inputs, not {len(network.used)}: nobody feeds {', '.join(spare)}"
        return (
            f"does not take {_sides(kind.planes)} and {_sides(kind.audio)} and give {_sides(kind.output)} when it runs"
        )
    takes = [_sides(sides) for names, sides in ((images, kind.planes), (audios, kind.audio)) if not names]
    words = [f"takes {' and '.join(takes)}"] if takes else []
    if not outputs:
        words.append(f"gives {_sides(kind.output)}")
    return " and ".join(words)


def _shapes(network: NetworkFile) -> str:
    return f"inputs {described(network.inputs)} and outputs {described(network.outputs)}"


def _sides(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
