"""Recordings that drive the mouth: what is known of one, and of who shall hear it, before anything is heard."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from actors.core.choices import AudioSource
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.files import storage
from actors.files.digests import content_digest, model_digest, text_digest
from actors.kinds import kinds_named
from actors.network.audio_encoder import EncoderTensors, read_encoder
from actors.network.sandbox import try_encoder
from jobs.audio.scan import Survey, survey

# Goes up with every change of `jobs.audio.decoding` or `actors.core.mel` that changes features, so that older ones are
# not taken for new ones.
FRONT_END = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that drives the mouth, checked.

    Attributes:
        found: what was found of the recording; its path is absolute.
        frames: output frames, one feature row for each.
        key: names what decides the features: every byte of the recording, which of its channels are heard, every byte
            of who hears them, and the front end.
    """

    found: Survey
    frames: int
    key: str

    def __len__(self) -> int:
        return self.frames

    @property
    def recording(self) -> str:
        """Absolute path of the recording."""
        return self.found.path

    @property
    def seconds(self) -> Fraction:
        """Length of the recording."""
        return self.found.seconds


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
    kinds = [kind for kind in kinds_named(name) if kind.audio_source is AudioSource.ENCODER]
    if not kinds:
        raise InputError(
            f"--kind {name}", "takes no features of an encoder of mel windows", "mouthpiece kinds lists all"
        )
    if len({(kind.feature, kind.fps) for kind in kinds}) > 1:
        names = ", ".join(kind.name for kind in kinds)
        raise InputError("--kind", f"{names} take different features", "say which of them they are for")
    return kinds[0]


def read_recorded(recording: str, kind: ModelKind) -> Recorded:
    """Checks a recording that a network hears by itself; decodes all of it once.

    Args:
        recording: see `jobs.audio.decoding.decoded`.
        kind: the network.

    Raises:
        InputError: it cannot be used, or is shorter than a frame.
    """
    found = survey(storage.resolve(recording))
    return Recorded(found, _frames(found, kind), _key(found, kind, "mel"))


def read_speech(recording: str, encoder: str, kind: ModelKind) -> Speech:
    """Checks a recording and an encoder; decodes the whole recording once.

    Args:
        recording: see `jobs.audio.decoding.decoded`.
        encoder: an ONNX file, see `actors.network.audio_encoder.read_encoder`.
        kind: the network that the features are for.

    Raises:
        InputError: one of them cannot be used, or the sound is shorter than a frame.
    """
    recording, encoder = storage.resolve(recording), storage.absolute(encoder)
    if kind.audio_source is not AudioSource.ENCODER:
        fix = "leave --encoder out" if kind.audio_source is AudioSource.MEL else "give --features instead"
        raise InputError("--encoder", f"{kind.name} does not take features of an encoder of mel windows", fix)
    tensors = read_encoder(encoder)
    if not tensors.bounded:
        try_encoder(encoder, tensors)
    found = survey(recording)
    key = _key(found, kind, model_digest(encoder, tensors.external))
    return Speech(found, _frames(found, kind), key, encoder, tensors)


def read_shown(recording: str, rows: int, kind: ModelKind) -> Survey:
    """Checks a recording that is shown beside features, or tells silence; decodes the whole recording once.

    Args:
        recording: see `jobs.audio.decoding.decoded`.
        rows: of the features.
        kind: the network that they are for.

    Raises:
        InputError: it cannot be used, or differs in length from the features by more than a second.
    """
    found = survey(storage.resolve(recording))
    seconds, expected = float(found.seconds), rows / kind.fps
    if abs(seconds - expected) > 1:
        raise InputError(
            found.path,
            f"lasts {seconds:.2f} s, the features beside it {expected:.2f} s",
            "give features of this recording" + (", or --encoder" if kind.audio_source is AudioSource.ENCODER else ""),
        )
    return found


def _frames(found: Survey, kind: ModelKind) -> int:
    """How many output frames a recording has."""
    if found.seconds * kind.fps < 1:
        raise InputError(
            found.path,
            f"lasts {float(found.seconds) * 1e3:.1f} ms, less than a frame",
            f"give at least {1000 / kind.fps:g} ms of sound",
        )
    return round(found.seconds * kind.fps)


def _key(found: Survey, kind: ModelKind, listener: str) -> str:
    decides: tuple[object, ...] = (FRONT_END, kind.fps, content_digest(found.path), listener)
    # What was heard by the first front end as well keeps the key that it had there.
    if found.channels is not None or found.spliced:
        decides = (*decides, found.channels, found.spliced)
    return text_digest(repr(decides))[:32]
