"""The page: every figure as text, put into the template.

Nothing in it depends on when or where it is made: the same run gives the same page. It loads nothing, runs nothing,
and whatever comes from files is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from actors.core.timings import STAGES
from jobs.number_format import seconds
from jobs.report import charts, facts, start_up
from jobs.report.busy_times import finish_times, spans
from jobs.report.frame_rate import rate
from jobs.report.run_data import Run, shown_rows
from jobs.report.seam_section import draw_seam
from jobs.report.templates import render
from jobs.report.worker_lanes import lanes
from jobs.run.advice import Limit, advice_facts, limit, not_rendering
from jobs.run.figures import StageStats, Totals
from jobs.run.record import Attempt
from jobs.run.statistics import stage_stats

SLOWEST = 10

# How a run ended, with a sign for those who cannot tell the colours.
STATUS = {
    "complete": ("✓", "complete"),
    "frames_failed": ("!", "frames failed"),
    "stopped": ("✗", "stopped"),
    "interrupted": ("‖", "interrupted"),
    "running": ("…", "not finished"),
}


@dataclass(frozen=True, slots=True)
class Slow:
    """One of the slowest frames; ``at`` in seconds since the first batch began."""

    frame: int
    worker: int
    at: str
    total: str
    most: str
    most_ms: str


def render_page(run: Run) -> str:
    """The page about a run, as one HTML document."""
    return render("page.html", _context(run))


def _context(run: Run) -> dict[str, Any]:
    record, rows = run.record, shown_rows(run)
    # Totals are about their own command only.
    totals = run.shown.totals if run.session.by_command and not rows.empty else None
    ranges = spans(rows)
    began = float(ranges["start"].min()) if not ranges.empty else 0.0
    length = max(float(ranges["end"].max()) - began, 1e-3) if not ranges.empty else 0.0
    workers = _workers(run.shown, rows)
    spent = {stage: rows[stage].to_numpy() for stage in STAGES}
    stats = stage_stats(spent, workers, totals.steady_s if totals else length)
    drawn = lanes(ranges, run.shown.deaths, length)
    buckets = rate([t - began for t in finish_times(rows, ranges)], length) if length else []
    nodes = {lane.node for lane in drawn}
    mark, status = STATUS.get(record.status, ("?", record.status))
    return {
        "name": run.name,
        "mark": mark,
        "status": status,
        "good": record.status == "complete",
        "faces": run.faces,
        "when": facts.date(record.started_at),
        "record": record,
        "remarks": facts.remarks(run, len(rows)),
        "facts": facts.headline(run, totals, workers, len(rows), length),
        "limit": _limit(run, stats, workers, totals),
        "strip": run.strip,
        "marks": charts.time_marks(length) if length else (),
        "lanes": [charts.draw_lane(lane, length, name_node=len(nodes) > 1) for lane in drawn],
        "lanes_left_out": ranges.groupby(["worker", "node"]).ngroups - len(drawn) if not ranges.empty else 0,
        "legend": [stat.stage for stat in stats],
        "curve": charts.draw_rate(buckets) if buckets else None,
        "seam": draw_seam(run.frames, record),
        "stages": charts.draw_stages(stats),
        "shares": charts.stack([(stat.stage, stat.share) for stat in stats]),
        "shares_text": ", ".join(f"{stat.stage} {stat.share:.0%}" for stat in stats),
        "overlap": record.plan.compositing_threads > 0,
        "slowest": _slowest(rows, began),
        "cold": start_up.parts(totals) if totals else [],
        "cold_bar": charts.stack(start_up.durations(totals)) if totals else [],
        "beside": start_up.beside(totals) if totals else "",
        "mostly_start": start_up.mostly_start(totals) if totals else "",
        "memory": facts.memory(run),
        "faults": facts.faults(record),
        "environment": facts.environment(record),
        "defaults": facts.options(record, given=False),
    }


def _workers(shown: Attempt, rows: pd.DataFrame) -> int:
    """How many workers there were; one whose process died and was replaced counts once."""
    ready = {report.worker for report in shown.workers_ready}
    return len(ready | set(rows["worker"]))


def _limit(run: Run, stats: Sequence[StageStats], workers: int, totals: Totals | None) -> Limit:
    besides = not_rendering(totals.seconds, totals.steady_s, totals.cold.place_s) if totals else None
    return limit(stats, advice_facts(run.record, workers), besides)


def _slowest(rows: pd.DataFrame, began: float) -> list[Slow]:
    found = []
    for _, row in rows.nlargest(SLOWEST, "total_ms").iterrows():
        stage = max(STAGES, key=lambda name: float(row[name]))
        found.append(
            Slow(
                frame=int(row["frame"]),
                worker=int(row["worker"]),
                at=seconds(float(row["started_at"]) - began),
                total=f"{row['total_ms']:,.1f}",
                most=stage.removesuffix("_ms"),
                most_ms=f"{row[stage]:,.1f}",
            )
        )
    return found
