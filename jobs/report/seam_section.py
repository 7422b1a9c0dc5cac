"""How visible the edges of the paste were over the run, and what would hide them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from jobs.report.charts import Box, Mark
from jobs.report.scale import Axis, tick, time_axis, value_axis
from jobs.run.figures import SeamStats
from jobs.run.record import RunRecord
from jobs.run.statistics import seam_stats

# Below this nobody looks for an edge.
VISIBLE = 1.1

MOST_BUCKETS = 200
FRAME_TICKS = 6
SEAM_TICKS = 4


@dataclass(frozen=True, slots=True)
class DrawnSeam:
    """The seam over the output frames.

    Attributes:
        text: the figures in words.
        how: how faces were laid on their frames.
        advice: what to try; empty where no edge stands out.
        path: the outline of the largest seam in each part of the run, as an SVG path without its closing parts.
        parts: one box for each part, with its text, for pointers.
        marks: of the vertical axis, from 0 up.
        along: of the horizontal axis, output frames.
        visible: where `VISIBLE` lies, in percent from the top.
    """

    text: str
    how: str
    advice: str
    path: str
    parts: tuple[tuple[Box, str], ...]
    marks: tuple[Mark, ...]
    along: tuple[Mark, ...]
    visible: float


def draw_seam(frames: pd.DataFrame, record: RunRecord) -> DrawnSeam | None:
    """The seam of all frames of a run; ``None`` where nothing was composited.

    Args:
        frames: the timing table of the run's frames, one row each.
        record: says how they were composited.
    """
    stats = seam_stats(frames["frame"].tolist(), frames["seam"].to_numpy(), frames["seam_at"].tolist())
    if stats is None:
        return None
    seen = frames[frames["seam"] > 0].sort_values("frame")
    first, last = int(seen["frame"].iloc[0]), int(seen["frame"].iloc[-1]) + 1
    count = min(last - first, MOST_BUCKETS)
    bucket = (seen["frame"] - first) * count // (last - first)
    across, up = time_axis(last - first, FRAME_TICKS), value_axis(max(stats.worst, VISIBLE), SEAM_TICKS)
    path: list[str] = []
    parts: list[tuple[Box, str]] = []
    for number, rows in seen.groupby(bucket):
        left, right = (round((int(str(number)) + i) * 1000 / count, 1) for i in (0, 1))
        largest, start, stop = float(rows["seam"].max()), int(rows["frame"].iloc[0]), int(rows["frame"].iloc[-1])
        top = 100 - up.percent(largest)
        path.append(f"{'L' if path else 'M'}{left:.1f},{top:.1f}H{right:.1f}")
        which = f"frame {start}" if start == stop else f"frames {start} to {stop}"
        parts.append((Box("", left, 0, round(right - left, 1), 100), f"{which}: {largest:.2f}"))
    return DrawnSeam(
        text=f"{stats.sentence}; 99 in 100 frames stay below {stats.p99:.2f}. 1.0 is invisible; the dashed line is"
        f" {VISIBLE}.",
        how=_how(record),
        advice=_advice(record, stats),
        path="".join(path),
        parts=tuple(parts),
        marks=tuple(Mark(round(100 - up.percent(value), 2), tick(value)) for value in up.ticks),
        along=tuple(_frame_mark(across, value, first) for value in across.ticks),
        visible=round(100 - up.percent(VISIBLE), 2),
    )


def _frame_mark(axis: Axis, value: float, first: int) -> Mark:
    return Mark(axis.percent(value), f"frame {first + value:,.0f}" if value == 0 else f"{first + value:,.0f}")


def _how(record: RunRecord) -> str:
    options = record.options
    done = ["feathered" if options.get("blend") == "feather" else "pasted with hard edges"]
    done += ["colours matched"] if options.get("colour_match") is True else []
    done += ["their boxes smoothed"] if options.get("smooth_crops") is True else []
    done += ["kept behind a parsing"] if options.get("parsing") else []
    return f"Faces were {', '.join(done)}."


def _advice(record: RunRecord, stats: SeamStats) -> str:
    """What to try next, cheapest first."""
    options = record.options
    if stats.p50 <= VISIBLE:
        return "" if stats.p99 <= VISIBLE else "Most frames show no edge; look at the highest ones above."
    if options.get("blend") != "feather":
        return "Edges show. Try --blend feather: it fades the patch into the frame where the network sees both."
    if options.get("colour_match") is not True:
        return "Edges show though they are feathered: the colours differ. Try --colour-match."
    return (
        "Edges show though they are feathered and colours are matched: the network's picture is another one than the"
        " frame's. A network trained on this clip helps, and boxes like those that it was trained with."
    )
