"""The timeline: a lane for each worker, a bar for each range, a mark where a process died."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pandas as pd

from actors.core.timings import STAGES
from jobs.report.busy_times import PROCESS
from jobs.run.record import WorkerDeath

# More lanes and bars than this make a page that is slow to open, and nobody can tell them apart.
MOST_LANES = 64
MOST_BARS = 400
LEAST_BARS_PER_LANE = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """Successive ranges of one process.

    Attributes:
        start: seconds since the first batch began.
        end: the same.
        frames: how many were rendered.
        first: the lowest frame number among them.
        last: the highest.
        ranges: how many ranges.
        parts: by stage, the part of the bar's time that was spent in it; together at most 1.
    """

    start: float
    end: float
    frames: int
    first: int
    last: int
    ranges: int
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class DeathMark:
    """A process that died.

    Attributes:
        after: end of its last recorded range, seconds since the first batch began.
        until: start of its replacement's first range, or the end of the time shown.
        pid: which process.
    """

    after: float
    until: float
    pid: int


@dataclass(frozen=True, slots=True)
class Lane:
    """One worker of one node, through all of its processes.

    Attributes:
        worker: its number.
        node: Ray node id.
        pids: its processes, in order.
        frames: how many it rendered.
        busy: part of the time in which it rendered.
        bars: ascending.
        deaths: ascending.
    """

    worker: int
    node: str
    pids: tuple[int, ...]
    frames: int
    busy: float
    bars: tuple[Bar, ...]
    deaths: tuple[DeathMark, ...]


def lanes(ranges: pd.DataFrame, deaths: Iterable[WorkerDeath], length: float) -> list[Lane]:
    """The timeline's lanes, by worker and node.

    Args:
        ranges: `jobs.report.busy_times.spans`.
        deaths: of the attempt; a worker that died before it was ready has no process, and no lane.
        length: seconds shown, above 0.
    """
    if ranges.empty:
        return []
    began = float(ranges["start"].min())
    dead = {(death.worker, death.pid) for death in deaths if death.pid is not None}
    groups = [group for _, group in ranges.groupby(["worker", "node"], observed=True)]
    most = max(LEAST_BARS_PER_LANE, MOST_BARS // len(groups))
    found = []
    for group in groups[:MOST_LANES]:
        processes = [rows for _, rows in group.groupby("pid", sort=False)]
        each = max(1, -(-len(group) // most))
        bars = [bar for rows in processes for bar in _bars(rows, began, each)]
        found.append(
            Lane(
                worker=int(group["worker"].iloc[0]),
                node=str(group["node"].iloc[0]),
                pids=tuple(int(rows["pid"].iloc[0]) for rows in processes),
                frames=int(group["frames"].sum()),
                busy=min(1.0, float((group["end"] - group["start"]).sum()) / length),
                bars=tuple(sorted(bars, key=lambda bar: bar.start)),
                deaths=tuple(death_marks(processes, dead, began, length)),
            )
        )
    return found


def _bars(rows: pd.DataFrame, began: float, each: int) -> list[Bar]:
    """The ranges of one process, ``each`` of them to a bar."""
    # One pass over plain arrays: a data frame is slow to take apart row by row.
    starts, ends = rows["start"].to_numpy() - began, rows["end"].to_numpy() - began
    frames, first, last = (rows[name].to_numpy() for name in ("frames", "first", "last"))
    worked = rows[list(STAGES)].to_numpy() / 1e3
    found = []
    for place in range(0, len(rows), each):
        part = slice(place, place + each)
        start, end = float(starts[part].min()), float(ends[part].max())
        spent = worked[part].sum(axis=0)
        # Stages that run beside each other take longer together than the bar; their proportions are kept.
        whole = max(end - start, float(spent.sum()), 1e-9)
        found.append(
            Bar(
                start=start,
                end=end,
                frames=int(frames[part].sum()),
                first=int(first[part].min()),
                last=int(last[part].max()),
                ranges=len(starts[part]),
                parts=tuple(
                    (stage.removesuffix("_ms"), float(time) / whole)
                    for stage, time in zip(STAGES, spent, strict=True)
                    if time > 0
                ),
            )
        )
    return found


def death_marks(
    processes: list[pd.DataFrame], dead: Collection[tuple[int, int]], began: float, length: float
) -> Iterable[DeathMark]:
    """Where a lane's processes died: somewhere between their own last range and the next process's first.

    Args:
        processes: the rows of each, in order.
        dead: workers and processes that died.
        began: Unix seconds that the lane begins with.
        length: seconds shown.
    """
    starts = [float(rows["start"].min()) - began for rows in processes[1:]]
    for rows, until in zip(processes, [*starts, length], strict=True):
        worker, _, pid = (rows[name].iloc[0] for name in PROCESS)
        if (int(worker), int(pid)) in dead:
            yield DeathMark(float(rows["end"].max()) - began, until, int(pid))
