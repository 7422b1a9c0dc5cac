"""The timeline of a batch: a lane for each worker, a bar for each clip that it worked on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jobs.report.charts import Box, DrawnBar, DrawnLane, across, draw_death
from jobs.report.scale import Axis
from jobs.report.worker_lanes import LEAST_BARS_PER_LANE, MOST_BARS, MOST_LANES, death_marks

# Neighbouring clips differ in colour: there are so many of them.
COLOURS = 6

# A pause of this part of the time shown can be seen, and ends a bar.
SEEN = 1 / 500


def clip_lanes(
    ranges: pd.DataFrame,
    clips: NDArray[np.int64],
    names: Sequence[str],
    dead: Collection[tuple[int, int]],
    length: float,
) -> list[DrawnLane]:
    """The lanes, by worker and node.

    Args:
        ranges: `jobs.report.busy_times.spans`, at least one.
        clips: the place of each range's clip.
        names: of the clips, by their place.
        dead: workers and processes that died.
        length: seconds shown, above 0.
    """
    began = float(ranges["start"].min())
    groups = [group for _, group in ranges.assign(clip=clips).groupby(["worker", "node"], observed=True)]
    most = max(LEAST_BARS_PER_LANE, MOST_BARS // len(groups))
    several = len(ranges["node"].unique()) > 1
    axis = Axis(length, ())
    found = []
    for group in groups[:MOST_LANES]:
        processes = [rows for _, rows in group.groupby("pid", sort=False)]
        deaths = [draw_death(mark, axis) for mark in death_marks(processes, dead, began, length)]
        frames, different = int(group["frames"].sum()), group["clip"].nunique()
        busy = min(1.0, float((group["end"] - group["start"]).sum()) / length)
        text = f"{_counted(frames, 'frame')} of {_counted(different, 'clip')}, busy {busy:.0%} of the time"
        where = f", node {group['node'].iloc[0][:8]}" if several else ""
        found.append(
            DrawnLane(
                label=f"worker {group['worker'].iloc[0]}{where}",
                text="; ".join([text, *(death.text for death in deaths)]),
                bars=tuple(_bars(group, names, began, axis, most)),
                deaths=tuple(deaths),
            )
        )
    return found


def _bars(group: pd.DataFrame, names: Sequence[str], began: float, axis: Axis, most: int) -> list[DrawnBar]:
    """Successive ranges of one clip as one bar; of more bars than ``most``, successive ones together."""
    starts, ends = group["start"].to_numpy() - began, group["end"].to_numpy() - began
    clips, pids, frames = (group[name].to_numpy() for name in ("clip", "pid", "frames"))
    same = (clips[1:] == clips[:-1]) & (pids[1:] == pids[:-1]) & (starts[1:] - ends[:-1] < axis.end * SEEN)
    firsts = np.flatnonzero(np.concatenate([[True], ~same]))
    firsts = firsts[:: -(-len(firsts) // most)]
    found = []
    for first, stop in zip(firsts, [*firsts[1:], len(group)], strict=True):
        part = slice(first, stop)
        start, end = float(starts[part].min()), float(ends[part].max())
        own = list(dict.fromkeys(clips[part].tolist()))
        left, width = across(start, end, axis)
        more = f" and {_counted(len(own) - 1, 'more clip')}" if len(own) > 1 else ""
        text = f"{names[own[0]]}{more}: {_counted(int(frames[part].sum()), 'frame')}, {start:.2f} to {end:.2f} s"
        found.append(DrawnBar(text, (Box(f"clip{own[0] % COLOURS}", round(left, 1), 0, round(width, 1), 100),)))
    return found


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
