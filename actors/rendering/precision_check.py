"""What half precision costs in pixels, on frames of the clip itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Device, Precision
from actors.core.errors import InputError, of_clip
from actors.core.precision_report import PrecisionReport
from actors.network.device import arena_limit, own_device
from actors.rendering.blocks import BlockRequest, load_block, network_view

if TYPE_CHECKING:
    from actors.core.pixels import ColourPlanes, Planes
    from actors.rendering.worker_config import ClipConfig, NetworkConfig


def check_precision(config: NetworkConfig, clip: ClipConfig) -> PrecisionReport | None:
    """Compares with fp32; ``None`` where nothing else is wanted, or no frame of the clip has a face to compare.

    Args:
        config: the network's.
        clip: whose frames are compared.

    Raises:
        InputError: the pixels differ too much; and as `compare_precisions`.
    """
    if config.precision is Precision.FP32 or not clip.samples:
        return None
    report = compare_precisions(config, clip, clip.samples)
    if not report.passes:
        raise InputError(
            f"--precision {config.precision.value}",
            f"pixels differ from fp32 by up to {report.worst} levels of 255 (PSNR {report.psnr:.1f} dB)"
            f" on {report.frames} frames",
            "use --precision fp32",
        )
    return report


def compare_precisions(
    config: NetworkConfig, clip: ClipConfig, samples: tuple[tuple[int, BlockRequest], ...]
) -> PrecisionReport:
    """Runs sample frames in the precision that is wanted and in fp32, on the device that is wanted.

    Args:
        config: the network's configuration.
        clip: whose frames they are.
        samples: output frames, each with a request for its background alone.

    Raises:
        ClipError: a background cannot be read.
        ClipStoppedError: a background is not what it was.
        InputError: a session cannot be had.
    """
    frames = []
    for frame, request in samples:
        with of_clip():
            block, _ = load_block(request, config.kind)
        frames.append((network_view(block, 0, config.kind)[None], clip.audio.tensors(frame, frame + 1, config.kind)))
    wanted, exact = (_answers(config, precision, frames) for precision in (config.precision, Precision.FP32))
    return PrecisionReport.of(wanted, exact)


def _answers(
    config: NetworkConfig, precision: Precision, frames: Sequence[tuple[NDArray[Any], Planes]]
) -> ColourPlanes:
    """The planes of some frames' inputs in a precision, ``(n, 3, inner, inner)``; the session is gone afterwards."""
    # Imported here, so that a driver never loads the runtime.
    from actors.network.session import Session, SessionOptions  # noqa: PLC0415

    options = SessionOptions(
        config.device,
        config.threads,
        precision=precision,
        ready_planes=config.ready_planes,
        gpu_memory=arena_limit(own_device(config.gpus).memory, config.gpus),
        bind=config.device is Device.CUDA,
    )
    session = Session(config.model, config.tensors, config.kind, options)
    return np.concatenate([session.run(image, window).planes for image, window in frames])
