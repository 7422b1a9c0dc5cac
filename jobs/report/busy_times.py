"""Which worker was busy when, worked out from the table of timings.

The table says when each batch began and how long each stage of each frame took, not when a frame was finished. A range
is taken to last as long as its stages together. Where a worker does several at once, it starts its next range sooner
than that; the stages are then scaled by how much sooner, the median over the worker's ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from actors.core.timings import STAGES

# Who did it: workers keep their number when their process is replaced, and nodes may have the same process ids.
PROCESS = ["worker", "node", "pid"]

# A pause in which no batch began for this many seconds lies between two commands, not inside of one.
PAUSE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class CommandFrames:
    """The frames of one command.

    Attributes:
        rows: their rows of the timing table.
        earlier: how many other rows there are.
        by_command: whether they are those of the record's own command; otherwise the newest there are.
    """

    rows: pd.DataFrame
    earlier: int
    by_command: bool


def last_session(frames: pd.DataFrame, started_at: float) -> CommandFrames:
    """The frames that the last command rendered; where it rendered none, the newest frames before any long pause.

    Args:
        frames: the timing table.
        started_at: Unix time in seconds at which the last command began.
    """
    own = frames["started_at"] >= started_at
    if own.any() or frames.empty:
        return CommandFrames(frames[own], len(frames) - int(own.sum()), by_command=True)
    began = frames["started_at"].sort_values()
    pauses = began[began.diff() > PAUSE_SECONDS]
    newest = frames["started_at"] >= (began.iloc[0] if pauses.empty else pauses.iloc[-1])
    return CommandFrames(frames[newest], len(frames) - int(newest.sum()), by_command=False)


def spans(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each range of each process, ascending by start.

    Args:
        rows: rows of the timing table.

    Returns:
        Columns: ``worker, node, pid, range_id``; ``start`` and ``end`` in Unix seconds, never past the start of the
        process's next range; ``frames``, ``first`` and ``last`` (frame numbers); the milliseconds of each stage;
        ``pace``, seconds of wall clock per second of stages, at most 1.
    """
    stages = list(STAGES)
    grouped = rows.groupby([*PROCESS, "range_id"], sort=False, observed=True)
    found = grouped[stages].sum()
    found["start"] = grouped["started_at"].min()
    found["frames"] = grouped.size()
    found["first"] = grouped["frame"].min()
    found["last"] = grouped["frame"].max()
    found = found.reset_index().sort_values("start", kind="stable", ignore_index=True)
    worked = found[stages].sum(axis=1) / 1e3
    following = found.groupby(PROCESS, observed=True)["start"].shift(-1)
    taken = following - found["start"]
    # A lone range tells nothing of its worker's pace, and neither does a clock that stood still.
    found["pace"] = taken.where(taken > 0) / worked.where(worked > 0)
    found["pace"] = found.groupby(PROCESS, observed=True)["pace"].transform("median").clip(upper=1.0).fillna(1.0)
    found["end"] = (found["start"] + worked * found["pace"]).clip(upper=following.fillna(float("inf")))
    return found


def finish_times(rows: pd.DataFrame, ranges: pd.DataFrame) -> pd.Series[float]:
    """When each frame was finished, in Unix seconds, ascending: a range's frames follow on each other.

    Args:
        rows: rows of the timing table.
        ranges: `spans` of the same rows.
    """
    keys = [*PROCESS, "range_id"]
    ordered = rows.sort_values("frame").merge(ranges[[*keys, "start", "end", "pace"]], on=keys, how="left")
    worked = ordered[list(STAGES)].sum(axis=1) / 1e3
    so_far = worked.groupby([ordered[key] for key in keys], observed=True).cumsum()
    done = (ordered["start"] + so_far * ordered["pace"]).clip(upper=ordered["end"])
    return done.sort_values(ignore_index=True)
