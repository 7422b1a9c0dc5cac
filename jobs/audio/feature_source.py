"""Recordings that features are made of: each checked, with its encoder if it has one, before any feature is made."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.choices import AudioSource
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.files import storage
from actors.files.digests import content_digest, model_digest, text_digest
from actors.kinds import kinds_named
from actors.network.audio_encoder import EncoderTensors, read_encoder
from actors.network.sandbox import try_encoder
from jobs.audio.recording import Recording, check_recording

# Goes up with every change of `jobs.audio.decoding` or `actors.core.mel` that changes features, so that older ones are
# not taken for new ones.
FRONT_END = 1


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """A recording that drives the mouth.

    Attributes:
        recording: what was found of it; its path is absolute.
        frames: output frames, one feature row for each.
        key: names what decides the features: every byte of the recording, which of its channels are used, every byte
            of the encoder, and the front end.
    """

    recording: Recording
    frames: int
    key: str

    def __len__(self) -> int:
        return self.frames


@dataclass(frozen=True, slots=True)
class EncoderSource(FeatureSource):
    """A recording and the encoder that makes its features.

    Attributes:
        encoder: absolute path of the encoder.
        tensors: the encoder's input and output.
        digest: SHA-256 of the encoder and its weights.
    """

    encoder: str
    tensors: EncoderTensors
    digest: str


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


def read_mel_source(path: str, kind: ModelKind, *, with_powers: bool = False) -> FeatureSource:
    """Checks a recording whose mel windows a network takes.

    Args:
        path: see `jobs.audio.decoding.decoded`.
        kind: the network.
        with_powers: see `check_recording`.

    Raises:
        InputError: it cannot be used, or is shorter than a frame.
    """
    recording = check_recording(storage.resolve(path), with_powers=with_powers)
    return FeatureSource(recording, _frames(recording, kind), _key(recording, kind, "mel"))


def read_encoder_source(path: str, encoder: str, kind: ModelKind, *, with_powers: bool = False) -> EncoderSource:
    """Checks a recording and an encoder.

    Args:
        path: of the recording, see `jobs.audio.decoding.decoded`.
        encoder: an ONNX file, see `actors.network.audio_encoder.read_encoder`.
        kind: the network that the features are for.
        with_powers: see `check_recording`.

    Raises:
        InputError: one of them cannot be used, or the sound is shorter than a frame.
    """
    path, encoder = storage.resolve(path), storage.absolute(encoder)
    if kind.audio_source is not AudioSource.ENCODER:
        fix = "leave --encoder out" if kind.audio_source is AudioSource.MEL else "give --features instead"
        raise InputError("--encoder", f"{kind.name} does not take features of an encoder of mel windows", fix)
    tensors = read_encoder(encoder)
    if not tensors.plain:
        try_encoder(encoder, tensors)
    recording = check_recording(path, with_powers=with_powers)
    digest = model_digest(encoder, tensors.external)
    key = _key(recording, kind, digest)
    return EncoderSource(recording, _frames(recording, kind), key, encoder, tensors, digest)


def read_sound(path: str, rows: int, kind: ModelKind, *, with_powers: bool = False) -> Recording:
    """Checks a recording that is shown beside features, or tells silence.

    Args:
        path: see `jobs.audio.decoding.decoded`.
        rows: of the features.
        kind: the network that they are for.
        with_powers: see `check_recording`.

    Raises:
        InputError: it cannot be used, or differs in length from the features by more than a second.
    """
    recording = check_recording(storage.resolve(path), with_powers=with_powers)
    seconds, expected = float(recording.seconds), rows / kind.fps
    if abs(seconds - expected) > 1:
        raise InputError(
            recording.path,
            f"lasts {seconds:.2f} s, the features beside it {expected:.2f} s",
            "give features of this recording" + (", or --encoder" if kind.audio_source is AudioSource.ENCODER else ""),
        )
    return recording


def _frames(recording: Recording, kind: ModelKind) -> int:
    """How many output frames a recording has."""
    if recording.seconds * kind.fps < 1:
        raise InputError(
            recording.path,
            f"lasts {float(recording.seconds) * 1e3:.1f} ms, less than a frame",
            f"give at least {1000 / kind.fps:g} ms of sound",
        )
    return round(recording.seconds * kind.fps)


def _key(recording: Recording, kind: ModelKind, encoder: str) -> str:
    decides: tuple[object, ...] = (FRONT_END, kind.fps, content_digest(recording.path), encoder)
    # What was made by the first front end as well keeps the key that it had there.
    if recording.channels is not None or recording.spliced:
        decides = (*decides, recording.channels, recording.spliced)
    return text_digest(repr(decides))[:32]
