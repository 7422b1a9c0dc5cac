"""The check that fp16 has to pass before anything is rendered with it."""

from __future__ import annotations

import math
from typing import Any

import ray
import ray.exceptions

from actors.core.errors import InputError, StoppedError
from actors.rendering.blocks import BlockRequest
from actors.rendering.precision_check import PrecisionReport, compare_precisions
from jobs.planning.render_plan import RenderPlan
from jobs.run.record import RecordedPrecision


def check_precision(
    plan: RenderPlan,
    clip: Any,  # noqa: ANN401 - Ray's references are generic
    samples: tuple[tuple[int, BlockRequest], ...],
) -> PrecisionReport:
    """Compares with fp32 where a worker would run.

    Args:
        plan: what is rendered, how and where.
        clip: what workers are told of the clip, in the object store.
        samples: output frames, at least one, each with a request for its background alone.

    Raises:
        InputError: the pixels differ too much, or a session cannot be had.
        StoppedError: no place was found, or the clip is not what it was.
    """
    wait, network = plan.options.wait, plan.network
    compare = ray.remote(max_retries=1, **plan.placement.resources)(compare_precisions)
    answer = compare.remote(network, clip, samples)
    try:
        report: PrecisionReport = ray.get(answer, timeout=wait)
    except ray.exceptions.GetTimeoutError as error:
        raise StoppedError(f"nobody compared the precisions within {wait:g} s", "give --wait more seconds") from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (InputError, StoppedError)):
            raise error.cause from error
        raise
    if not report.passes:
        raise InputError(
            f"--precision {network.precision.value}",
            f"pixels differ from fp32 by up to {report.worst} levels of 255 (PSNR {report.psnr:.1f} dB)"
            f" on {report.frames} frames",
            "use --precision fp32",
        )
    return report


def recorded(report: PrecisionReport) -> RecordedPrecision:
    """The report as run.json keeps it, which has no number for what is infinite."""
    psnr = report.psnr if math.isfinite(report.psnr) else None
    return RecordedPrecision(frames=report.frames, worst=report.worst, mean=report.mean, psnr=psnr)
