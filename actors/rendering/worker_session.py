"""A worker's session, at a batch that no frame can be seen to depend on.

Frames of the clip itself are run with others and alone, and compared. Each worker does so for itself: on machines of
different kinds answers of one network may differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import PLAIN, Device, Precision
from actors.core.errors import of_clip
from actors.core.precision_report import PrecisionReport
from actors.network.batch_check import Sample, session_with_safe_batch
from actors.network.device import arena_limit
from actors.network.runtime import runtime_conflict
from actors.network.session import FaceEncoder, Session, SessionOptions, rounding_levels
from actors.network.tuned_session import replies, tuned_session
from actors.rendering.blocks import BlockRequest, load_block, network_view

if TYPE_CHECKING:
    from actors.core.audio_track import AudioTrack
    from actors.core.kind import ModelKind
    from actors.core.pixels import Planes
    from actors.network.prediction import Prediction
    from actors.rendering.worker_config import ClipConfig, NetworkConfig


@dataclass(frozen=True, slots=True)
class Ready:
    """A session that is warm, and what it took.

    Attributes:
        session: to render with.
        notes: what the user should know, one line each.
        session_seconds: building it.
        warm_seconds: warming it, and comparing frames.
        alone: frames are run alone because their answers would change with what else is in a batch.
    """

    session: Session
    notes: tuple[str, ...]
    session_seconds: float
    warm_seconds: float
    alone: bool = False


def ready_session(config: NetworkConfig, memory: int, clip: ClipConfig) -> Ready:
    """The session that a worker renders with.

    Args:
        config: the network's.
        memory: bytes of the GPU's memory, 0 where there is none.
        clip: whose frames are compared.

    Raises:
        ClipError: a background cannot be read.
        ClipStoppedError: a background is not what it was.
        InputError: a session cannot be had, or the network cannot be run.
    """
    options = SessionOptions(
        device=config.device,
        threads=config.threads,
        batch=config.batch,
        precision=config.precision,
        ready_planes=config.ready_planes,
        faces=config.faces,
        gpu_memory=arena_limit(memory, config.gpus),
        bind=config.device is Device.CUDA,
    )
    return _plain(config, options, clip) if config.tuning == PLAIN else _tuned(config, options, clip)


def _plain(config: NetworkConfig, options: SessionOptions, clip: ClipConfig) -> Ready:
    began = time.perf_counter()
    session = Session(config.model, config.tensors, config.kind, options)
    built = time.perf_counter()
    warm, single_reason = session_with_safe_batch(
        session,
        lambda: Session(config.model, config.tensors, config.kind, _alone(options)),
        lambda: _samples(config, clip),
    )
    notes = [single_reason] if single_reason else []
    if session.training and not single_reason:
        notes.append(f"the model normalises each frame by itself: {session.mixing}")
    if clash := runtime_conflict():
        notes.append(f"{clash} are both installed: the last one installed wins")
    if session.batch != config.batch:
        notes.append(f"the model is fixed to batch {session.batch} and could not be rewritten for another")
    return Ready(warm, tuple(notes), built - began, time.perf_counter() - built, alone=bool(single_reason))


def _tuned(config: NetworkConfig, options: SessionOptions, clip: ClipConfig) -> Ready:
    """A session with the options of `NetworkConfig.tuning`, as far as answers stay those of a plain one."""
    began = time.perf_counter()
    samples = _samples(config, clip)
    if not samples:
        ready = _plain(config, options, clip)
        note = f"the session goes without {config.tuning}: there is no frame to compare"
        return replace(ready, notes=(*ready.notes, note))
    reference = _reference(config, options, clip, samples)
    chosen = _alone(options) if reference.alone else options
    session, note = tuned_session(
        lambda tuning: Session(config.model, config.tensors, config.kind, replace(chosen, tuning=tuning)),
        config.tuning,
        reference.right,
        samples,
        _agree if config.precision is Precision.FP32 else _agree_in_half_precision,
    )
    notes = (*reference.notes, note) if note else reference.notes
    return Ready(session, notes, reference.session_seconds, time.perf_counter() - began - reference.session_seconds)


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a plain session said, which is gone so that the next one has its room.

    Attributes:
        right: the answers to compare with.
        alone: frames must be run alone.
        notes: as `Ready.notes`.
        session_seconds: building it.
    """

    right: list[Prediction]
    alone: bool
    notes: tuple[str, ...]
    session_seconds: float


def _reference(
    config: NetworkConfig, options: SessionOptions, clip: ClipConfig, samples: Sequence[Sample]
) -> _Reference:
    plain = _plain(config, options, clip)
    return _Reference(replies(plain.session, samples), plain.alone, plain.notes, plain.session_seconds)


def _alone(options: SessionOptions) -> SessionOptions:
    return replace(options, batch=1, single=True)


def _agree(found: Sequence[Prediction], right: Sequence[Prediction]) -> bool:
    levels = rounding_levels(Device.CUDA)
    return all(one.equals(other, levels) for one, other in zip(found, right, strict=True))


def _agree_in_half_precision(found: Sequence[Prediction], right: Sequence[Prediction]) -> bool:
    """As close to each other as half precision must be to single precision."""
    faults = [[fault is not None for answer in answers for fault in answer.faults] for answers in (found, right)]
    shown = ~np.array(faults[1])
    one, other = (np.concatenate([answer.planes for answer in answers]) for answers in (found, right))
    return faults[0] == faults[1] and (not shown.any() or PrecisionReport.of(one[shown], other[shown]).passes)


def load_samples(
    requests: Sequence[tuple[int, BlockRequest]],
    audio: AudioTrack,
    kind: ModelKind,
    encode: Callable[[NDArray[Any]], Sequence[Planes]] | None,
) -> list[Sample]:
    """Frames of the clip itself.

    Args:
        requests: output frames, each with a request for its background alone.
        audio: what drives the mouth.
        kind: of the network.
        encode: what the network's face encoder makes of an image; ``None`` where the whole network is run.

    Raises:
        ClipError: a background cannot be read.
        ClipStoppedError: a background is not what it was.
    """
    samples = []
    for frame, request in requests:
        # Of a background the network alone is asked here.
        with of_clip():
            block, _ = load_block(replace(request, delivery=None), kind)
        image = network_view(block, 0, kind)[None]
        samples.append(Sample(image, audio.tensors(frame, frame + 1, kind), tuple(encode(image) if encode else ())))
    return samples


def _samples(config: NetworkConfig, clip: ClipConfig) -> list[Sample]:
    """The frames on which a worker compares its session's answers."""
    encode = None
    if config.faces:
        encode = FaceEncoder(config.model, config.tensors, config.kind, ready_planes=config.ready_planes).run
    return load_samples(clip.samples, clip.audio, config.kind, encode)
