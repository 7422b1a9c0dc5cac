"""What half precision costs in pixels, on frames of the clip itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from actors.core.choices import Device, Precision
from actors.network.device import arena_limit, own_device
from actors.rendering.blocks import BlockRequest, load_block, network_view

if TYPE_CHECKING:
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
    # Imported here, so that a driver never loads the runtime.
    from actors.network.session import Session, SessionOptions  # noqa: PLC0415

    options = SessionOptions(
        config.device,
        config.threads,
        ready_planes=config.ready_planes,
        # Two sessions share what a worker has.
        gpu_memory=arena_limit(own_device(config.gpus).memory, config.gpus) // 2,
        bind=config.device is Device.CUDA,
    )
    wanted, exact = (
        Session(config.model, config.tensors, config.kind, replace(options, precision=precision))
        for precision in (config.precision, Precision.FP32)
    )
    differences = []
    for frame, request in samples:
        block, _ = load_block(request, config.kind)
        image = network_view(block, 0, config.kind)[None]
        window = clip.audio.tensors(frame, frame + 1, config.kind)
        answers = [session.run(image, window).planes.astype(np.int16) for session in (wanted, exact)]
        differences.append(np.abs(answers[0] - answers[1]))
    found = np.stack(differences).astype(np.float64)
    error = float((found**2).mean())
    psnr = 10 * np.log10(255**2 / error) if error else np.inf
    return PrecisionReport(len(samples), int(found.max()), float(found.mean()), float(psnr))
