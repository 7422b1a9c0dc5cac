"""Recordings that drive the mouth: what is known of one, and of who shall hear it, before anything is heard."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from actors import storage
from actors.apart import try_encoder
from actors.core.errors import InputError
from actors.core.kind import Hears, ModelKind
from actors.digest import model_digest
from actors.encoder import EncoderTensors, read_encoder
from actors.kinds import kinds_named
from jobs.digest import content_digest, text_digest
from jobs.recording import seconds

# Goes up with every change of `jobs.recording` or `actors.core.mel` that changes features, so that older ones are not
# taken for new ones.
FRONT_END = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that drives the mouth, checked.

    Attributes:
        recording: absolute path of the recording.
        seconds: length of the recording.
        frames: output frames, one feature row for each.
        key: names what decides the features: every byte of the recording and of who hears it, and the front end.
    """

    recording: str
    seconds: Fraction
    frames: int
    key: str

    def __len__(self) -> int:
        return self.frames


@dataclass(frozen=True, slots=True)
class Speech(Recorded):
    """A recording and the encoder that shall hear it, both checked.

    Attributes:
        encoder: absolute path of the encoder.
        tensors: the encoder's input and output.
    """

    encoder: str
    tensors: EncoderTensors


def encoders_kind(name: str | None) -> ModelKind:
    """The kind that an encoder's features are for: the one of this name, or the one that stands for all that take them.

    Raises:
        InputError: that kind takes none, there is no such kind, or several differ in what they take.
    """
    kinds = [kind for kind in kinds_named(name) if kind.hears is Hears.ENCODER]
    if not kinds:
        raise InputError(
            f"--kind {name}", "takes no features of an encoder of mel windows", "mouthpiece kinds lists all"
        )
    if len({(kind.feature, kind.fps) for kind in kinds}) > 1:
        names = ", ".join(kind.name for kind in kinds)
        raise InputError("--kind", f"{names} take different features", "say which of them they are for")
    return kinds[0]


def read_recorded(recording: str, kind: ModelKind) -> Recorded:
    """Checks a recording that a network hears by itself; decodes all of it once, to find its length.

    Args:
        recording: see `jobs.recording.decoded`.
        kind: the network.

    Raises:
        InputError: it cannot be used, or is shorter than a frame.
    """
    recording = storage.resolve(recording)
    length, frames = _length(recording, kind)
    return Recorded(recording, length, frames, _key(recording, kind, "mel"))


def read_speech(recording: str, encoder: str, kind: ModelKind) -> Speech:
    """Checks a recording and an encoder; decodes the whole recording once, to find its length.

    Args:
        recording: see `jobs.recording.decoded`.
        encoder: an ONNX file, see `actors.encoder.read_encoder`.
        kind: the network that the features are for.

    Raises:
        InputError: one of them cannot be used, or the sound is shorter than a frame.
    """
    recording, encoder = storage.resolve(recording), storage.absolute(encoder)
    if kind.hears is not Hears.ENCODER:
        fix = "leave --encoder out" if kind.hears is Hears.MEL else "give --features instead"
        raise InputError("--encoder", f"{kind.name} does not take features of an encoder of mel windows", fix)
    tensors = read_encoder(encoder)
    if not tensors.plain:
        try_encoder(encoder, tensors)
    length, frames = _length(recording, kind)
    key = _key(recording, kind, model_digest(encoder, tensors.external))
    return Speech(recording, length, frames, key, encoder, tensors)


def _length(recording: str, kind: ModelKind) -> tuple[Fraction, int]:
    """Seconds of a recording, and how many output frames these are."""
    length = seconds(recording)
    if length * kind.fps < 1:
        raise InputError(
            recording,
            f"lasts {float(length) * 1e3:.1f} ms, less than a frame",
            f"give at least {1000 / kind.fps:g} ms of sound",
        )
    return length, round(length * kind.fps)


def _key(recording: str, kind: ModelKind, listener: str) -> str:
    return text_digest(repr((FRONT_END, kind.fps, content_digest(recording), listener)))[:32]
