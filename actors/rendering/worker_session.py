"""A worker's session, at a batch that no frame can be seen to depend on.

Frames of the clip itself are run with others and alone, and compared. Each worker does so for itself: on machines of
different kinds answers of one network may differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from actors.core.choices import Device
from actors.network.batch_check import Sample, session_with_safe_batch
from actors.network.device import arena_limit
from actors.network.runtime import runtime_conflict
from actors.network.session import FaceEncoder, Session, SessionOptions
from actors.rendering.blocks import BlockRequest, load_block, network_view

if TYPE_CHECKING:
    from actors.core.audio_track import AudioTrack
    from actors.core.kind import ModelKind
    from actors.core.pixels import Planes
    from actors.rendering.worker_config import ClipConfig, NetworkConfig


@dataclass(frozen=True, slots=True)
class Ready:
    """A session that is warm, and what it took.

    Attributes:
        session: to render with.
        notes: what the user should know, one line each.
        session_seconds: building it.
        warm_seconds: warming it, and comparing frames.
    """

    session: Session
    notes: tuple[str, ...]
    session_seconds: float
    warm_seconds: float


def ready_session(config: NetworkConfig, memory: int, clip: ClipConfig) -> Ready:
    """The session that a worker renders with.

    Args:
        config: the network's.
        memory: bytes of the GPU's memory, 0 where there is none.
        clip: whose frames are compared.

    Raises:
        InputError: a session cannot be had, a background cannot be read, or the network cannot be run.
    """
    began = time.perf_counter()
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
    session = Session(config.model, config.tensors, config.kind, options)
    built = time.perf_counter()
    warm, single_reason = session_with_safe_batch(
        session,
        lambda: Session(config.model, config.tensors, config.kind, replace(options, batch=1, single=True)),
        lambda: _samples(config, clip),
    )
    notes = [single_reason] if single_reason else []
    if session.training and not single_reason:
        notes.append(f"the model normalises each frame by itself: {session.mixing}")
    if clash := runtime_conflict():
        notes.append(f"{clash} are both installed: the last one installed wins")
    if session.batch != config.batch:
        notes.append(f"the model is fixed to batch {session.batch} and could not be rewritten for another")
    return Ready(warm, tuple(notes), built - began, time.perf_counter() - built)


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
        InputError: a background cannot be read.
    """
    samples = []
    for frame, request in requests:
        # Of a background the network alone is asked here.
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
