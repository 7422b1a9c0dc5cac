"""The check that fp16 has to pass before anything is rendered with it."""

from __future__ import annotations

from typing import Any

import ray
import ray.exceptions

from actors.core.errors import InputError, StoppedError
from actors.rendering.blocks import BlockRequest
from actors.rendering.precision_check import PrecisionReport, compare_precisions
from actors.rendering.worker_config import WorkerConfig

# JPEG at quality 95 leaves about 40 dB, so nobody sees less than this; a few levels in single pixels are rounding, more
# would be a value that half precision cannot hold.
LEAST_PSNR = 50.0
MOST_LEVELS = 4


def check_precision(
    config: WorkerConfig,
    audio: Any,  # noqa: ANN401 - Ray's references are generic
    samples: tuple[tuple[int, BlockRequest], ...],
    *,
    placement: dict[str, Any],
    wait: float,
) -> PrecisionReport:
    """Compares with fp32 where a worker would run.

    Args:
        config: the workers' configuration.
        audio: reference of the sound in the object store.
        samples: output frames, each with a request for its background.
        placement: Ray's resources for one worker.
        wait: seconds to wait for a place and the answer.

    Raises:
        InputError: the pixels differ too much, or a session cannot be had.
        StoppedError: no place was found, or the clip is not what it was.
    """
    answer = ray.remote(max_retries=1, **placement)(compare_precisions).remote(config, audio, samples)
    try:
        report: PrecisionReport = ray.get(answer, timeout=wait)
    except ray.exceptions.GetTimeoutError as error:
        raise StoppedError(f"nobody compared the precisions within {wait:g} s", "give --wait more seconds") from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (InputError, StoppedError)):
            raise error.cause from error
        raise
    if report.worst > MOST_LEVELS or report.psnr < LEAST_PSNR:
        raise InputError(
            f"--precision {config.precision.value}",
            f"pixels differ from fp32 by up to {report.worst} levels of 255 (PSNR {report.psnr:.1f} dB)"
            f" on {report.frames} frames",
            "use --precision fp32",
        )
    return report
