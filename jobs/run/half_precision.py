"""What a run's record keeps of the comparison that half precision has to pass. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from actors.core.precision_report import PrecisionReport
from jobs.run.record import RecordedPrecision


def worst_report(reports: Iterable[PrecisionReport | None]) -> PrecisionReport | None:
    """Of what workers found the worst; ``None`` where none has compared anything."""
    found = [report for report in reports if report is not None]
    return max(found, key=lambda report: report.worst, default=None)


def recorded(report: PrecisionReport) -> RecordedPrecision:
    """The report as run.json keeps it, which has no number for what is infinite."""
    psnr = report.psnr if math.isfinite(report.psnr) else None
    return RecordedPrecision(frames=report.frames, worst=report.worst, mean=report.mean, psnr=psnr)
