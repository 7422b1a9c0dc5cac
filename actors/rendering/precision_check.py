"""What half precision costs in pixels, on frames of the clip itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Device, Precision
from actors.network.device import arena_limit, own_device
from actors.rendering.blocks import BlockRequest, load_block, network_view

if TYPE_CHECKING:
    from actors.core.pixels import Planes
    from actors.rendering.worker_config import ClipConfig, NetworkConfig


@dataclass(frozen=True, slots=True)
class PrecisionReport:
    """How far the pixels of the network's answers lie from those in fp32.

    Attributes:
        frames: how many output frames were compared.
        worst: the greatest difference of any value, in levels of 255.
        mean: the mean difference, in levels.
        psnr: peak signal-to-noise ratio in dB; infinite where all are equal.
    """

    frames: int
    worst: int
    mean: float
    psnr: float


def compare_precisions(
    config: NetworkConfig, clip: ClipConfig, samples: tuple[tuple[int, BlockRequest], ...]
) -> PrecisionReport:
    """Runs sample frames in the precision that is wanted and in fp32, on the device that is wanted.

    Args:
        config: the network's configuration.
        clip: whose frames they are.
        samples: output frames, each with a request for its background alone.

    Raises:
        InputError: a background cannot be read, or a session cannot be had.
    """
    frames = []
    for frame, request in samples:
        block, _ = load_block(request, config.kind)
        frames.append((network_view(block, 0, config.kind)[None], clip.audio.tensors(frame, frame + 1, config.kind)))
    wanted, exact = (_answers(config, precision, frames) for precision in (config.precision, Precision.FP32))
    found = np.abs(wanted - exact).astype(np.float64)
    error = float((found**2).mean())
    psnr = 10 * np.log10(255**2 / error) if error else np.inf
    return PrecisionReport(len(samples), int(found.max()), float(found.mean()), float(psnr))


def _answers(
    config: NetworkConfig, precision: Precision, frames: Sequence[tuple[NDArray[Any], Planes]]
) -> NDArray[np.int16]:
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
    return np.concatenate([session.run(image, window).planes for image, window in frames]).astype(np.int16)
