"""The drawings of the page: the place of every mark, and its text for screen readers.

Drawings are SVG that stretches with the page (x in thousandths, y in hundredths); all text stands beside them in HTML,
so that it keeps its size on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.number_format import number, seconds
from jobs.report.frame_rate import Bucket
from jobs.report.scale import Axis, tick, time_axis, value_axis
from jobs.report.worker_lanes import Bar, DeathMark, Lane
from jobs.run.figures import StageStats

TIME_TICKS = 6
FPS_TICKS = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a drawing; ``name`` is the stage that gives it its colour."""

    name: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A label at a place, in percent of the width or height."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """A bar: its boxes, and what it stands for."""

    text: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class DrawnDeath:
    """The time between a process's last range and its replacement's first, in percent of the width."""

    left: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class DrawnLane:
    """One worker's lane."""

    label: str
    text: str
    bars: tuple[DrawnBar, ...]
    deaths: tuple[DrawnDeath, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Frames per second over time.

    Attributes:
        path: the outline, as an SVG path without its closing parts.
        parts: one box for each bucket, with its text, for pointers.
        marks: of the vertical axis, from 0 up.
        mean: where the average lies, in percent from the top.
        text: the whole in words.
    """

    path: str
    parts: tuple[tuple[Box, str], ...]
    marks: tuple[Mark, ...]
    mean: float
    text: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """A line of the table of stages; the bars are in percent of the longest p99."""

    name: str
    share: str
    mean: str
    p50: str
    p99: str
    p50_width: float
    p99_width: float


def time_marks(length: float) -> tuple[Mark, ...]:
    """Labels of the axis that timeline and curve share."""
    axis = time_axis(length, TIME_TICKS)
    return tuple(Mark(axis.percent(value), f"{tick(value)} s") for value in axis.ticks)


def draw_lane(lane: Lane, length: float, *, name_node: bool) -> DrawnLane:
    """A lane, with its node named where there are several."""
    axis = Axis(length, ())
    where = f", node {lane.node[:8]}" if name_node else ""
    rendered = f"{lane.frames:,} {'frame' if lane.frames == 1 else 'frames'}, busy {lane.busy:.0%} of the time"
    died = [draw_death(death, axis) for death in lane.deaths]
    return DrawnLane(
        label=f"worker {lane.worker}{where}",
        text="; ".join([rendered, *(death.text for death in died)]),
        bars=tuple(_draw_bar(bar, axis) for bar in lane.bars),
        deaths=tuple(died),
    )


def draw_death(death: DeathMark, axis: Axis) -> DrawnDeath:
    """A death on the axis of its lane."""
    left = axis.percent(death.after)
    text = f"process {death.pid} died between {death.after:.2f} and {death.until:.2f} s"
    return DrawnDeath(left, round(axis.percent(death.until) - left, 2), text)


def across(start: float, end: float, axis: Axis) -> tuple[float, float]:
    """Left side and width of a bar in thousandths; never too thin to be seen."""
    left = axis.percent(start) * 10
    return left, max(axis.percent(end) * 10 - left, 0.1)


def _draw_bar(bar: Bar, axis: Axis) -> DrawnBar:
    left, width = across(bar.start, bar.end, axis)
    boxes, top = [], 100.0
    for stage, part in bar.parts:
        top -= part * 100
        boxes.append(Box(stage, round(left, 1), round(top, 1), round(width, 1), round(part * 100, 1)))
    frames = f"frame {bar.first}" if bar.first == bar.last else f"frames {bar.first} to {bar.last}"
    many = f", {bar.ranges} ranges" if bar.ranges > 1 else ""
    shares = ", ".join(f"{stage} {part:.0%}" for stage, part in bar.parts)
    return DrawnBar(f"{frames}{many}, {bar.start:.2f} to {bar.end:.2f} s: {shares}", tuple(boxes))


def draw_rate(buckets: Sequence[Bucket]) -> Curve:
    """The curve, as steps: a bucket's frames are known, not their order inside of it."""
    length = buckets[-1].stop
    along = Axis(length, ())
    up = value_axis(max(bucket.fps for bucket in buckets), FPS_TICKS)
    path: list[str] = []
    parts: list[tuple[Box, str]] = []
    for bucket in buckets:
        left, right = along.percent(bucket.start) * 10, along.percent(bucket.stop) * 10
        top = 100 - up.percent(bucket.fps)
        path.append(f"{'L' if path else 'M'}{left:.1f},{top:.1f}H{right:.1f}")
        when = f"{bucket.start:.2f} to {bucket.stop:.2f} s"
        box = Box("", round(left, 1), 0, round(right - left, 1), 100)
        parts.append((box, f"{when}: {number(bucket.fps)} fps ({bucket.frames} frames)"))
    mean = sum(bucket.frames for bucket in buckets) / length
    slowest, fastest = min(bucket.fps for bucket in buckets), max(bucket.fps for bucket in buckets)
    return Curve(
        path="".join(path),
        parts=tuple(parts),
        marks=tuple(Mark(round(100 - up.percent(value), 2), tick(value)) for value in up.ticks),
        mean=round(100 - up.percent(mean), 2),
        text=f"Frames per second over {seconds(length)}: {number(mean)} on average (dashed), between"
        f" {number(slowest)} and {number(fastest)} in steps of {seconds(buckets[0].stop)}.",
    )


def draw_stages(stats: Sequence[StageStats]) -> list[StageRow]:
    """The table of stages; waiting has a mean only."""
    longest = max((stat.p99_ms for stat in stats if stat.stage != "waiting"), default=0.0)
    axis = Axis(longest or 1.0, ())
    rows = []
    for stat in stats:
        waits = stat.stage == "waiting"
        rows.append(
            StageRow(
                name=stat.stage,
                share=f"{stat.share:.0%}",
                mean=f"{stat.mean_ms:,.2f}",
                p50="" if waits else f"{stat.p50_ms:,.2f}",
                p99="" if waits else f"{stat.p99_ms:,.2f}",
                p50_width=0.0 if waits else axis.percent(stat.p50_ms),
                p99_width=0.0 if waits else axis.percent(stat.p99_ms),
            )
        )
    return rows


def stack(parts: Sequence[tuple[str, float]]) -> list[Box]:
    """One bar of parts beside each other, over the full width."""
    whole = sum(value for _, value in parts)
    boxes, left = [], 0.0
    for name, value in parts:
        width = value / whole * 1000 if whole > 0 else 0.0
        boxes.append(Box(name, round(left, 1), 0, round(width, 1), 100))
        left += width
    return boxes
