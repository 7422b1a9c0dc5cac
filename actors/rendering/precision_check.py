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
    from actors.core.pixels import ColourPlanes, Planes
    from actors.rendering.worker_config import ClipConfig, NetworkConfig


# JPEG at quality 95 leaves about 40 dB, so nobody sees less than this; a few levels in single pixels are rounding, more
# would be a value that half precision cannot hold.
LEAST_PSNR = 50.0
MOST_LEVELS = 4


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

    @classmethod
    def of(cls, found: ColourPlanes, exact: ColourPlanes) -> PrecisionReport:
        """The report on planes ``(n, 3, inner, inner)`` of the same frames, at least one."""
        differences = np.abs(found.astype(np.int16) - exact).astype(np.float64)
        error = float((differences**2).mean())
        psnr = 10 * np.log10(255**2 / error) if error else np.inf
        return cls(len(found), int(differences.max()), float(differences.mean()), float(psnr))

    @property
    def passes(self) -> bool:
        """Whether nobody will see the difference."""
        return self.worst <= MOST_LEVELS and self.psnr >= LEAST_PSNR


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
