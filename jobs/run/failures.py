"""Frames that could not be delivered, by the sort of their fault. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from actors.core.errors import StoppedError
from actors.core.pixels import guess_output
from actors.core.ranges import FrameRange, divide
from actors.core.worker_reports import FrameFailure

# So many failures without one frame that succeeded are the network's fault, not that of single frames.
LEAST_FAILURES = 32

# Of the frames that failed in one way, so many runs of consecutive ones are named.
RUNS_NAMED = 8


def listed(failures: Iterable[FrameFailure]) -> list[str]:
    """One line for each sort of fault; failures come in any order."""
    sorts: defaultdict[str, list[FrameFailure]] = defaultdict(list)
    for failure in sorted(failures, key=lambda failure: failure.frame):
        sorts[failure.reason].append(failure)
    return [f"{_frames(sort)} failed: {_told(sort)}" for sort in sorts.values()]


def hopeless(failures: Sequence[FrameFailure], remaining: int, value_range: tuple[float, float]) -> StoppedError | None:
    """Why a run that has delivered no frame need not go on; ``None`` where it may.

    Args:
        failures: of all frames that were tried.
        remaining: frames that were not.
        value_range: what black and white are to the network.
    """
    if len({failure.reason for failure in failures}) != 1 or (len(failures) < LEAST_FAILURES and remaining):
        return None
    values = _values(failures)
    guess = f", {guess_output(*values, value_range)}" if values else ""
    reason = f"none of {len(failures)} frames that were tried can be shown: {_told(failures)}{guess}"
    return StoppedError(reason, "mend that and add --restart; --frames tries others")


def _told(sort: Sequence[FrameFailure]) -> str:
    """The reason of failures of one sort, with their values."""
    values = _values(sort)
    return sort[0].reason + (f" ({values[0]:.4g} to {values[1]:.4g})" if values else "")


def _values(sort: Sequence[FrameFailure]) -> tuple[float, float] | None:
    """The least and the greatest value of failures of one sort."""
    values = [failure.values for failure in sort if failure.values is not None]
    return (min(low for low, _ in values), max(high for _, high in values)) if values else None


def _frames(sort: Sequence[FrameFailure]) -> str:
    if len(sort) == 1:
        return f"frame {sort[0].frame}"
    runs = divide([failure.frame for failure in sort], len(sort))
    more = f" and {len(runs) - RUNS_NAMED} runs more" if len(runs) > RUNS_NAMED else ""
    return f"{len(sort)} frames ({', '.join(map(_run, runs[:RUNS_NAMED]))}{more})"


def _run(frames: FrameRange) -> str:
    return str(frames.start) if len(frames) == 1 else str(frames)
