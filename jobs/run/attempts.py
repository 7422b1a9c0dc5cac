"""The history of a run: what each command that rendered, or failed, left in its record. Pure.

The record's own figures are those of the last of them; what earlier commands needed, and what happened to them, stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.run.record import RunRecord

# What an attempt is remembered by. Frames that failed are in the run's own record as long as they are missing.
KEPT = (
    *("started_at", "finished_at", "status", "reason", "frames", "device", "totals", "stages", "workers", "seam"),
    *("limiting", "workers_ready", "deaths", "retried", "split", "blocks_lost", "cache_bytes"),
)


def attempt_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of the attempt that a record is about."""
    return {name: record[name] for name in KEPT if name in record}


def attempts_until(before: RunRecord) -> list[dict[str, Any]]:
    """Every attempt that an earlier record knows of, oldest first.

    The last one is among them even where its driver was killed before it could say so, or wrote no history yet.
    """
    said = before.as_written()
    attempts: list[dict[str, Any]] = said.get("attempts", [])
    known = bool(attempts) and attempts[-1].get("started_at") == said["started_at"]
    idle = before.totals is not None and before.totals.rendered == 0 and before.status == "complete"
    return attempts if known or idle else [*attempts, attempt_of(said)]


def cpu_kinds(attempts: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds of processors on which networks ran in some attempts, each once, in order; none for GPUs."""
    workers = (worker for attempt in attempts for worker in attempt.get("workers_ready", []))
    return list(dict.fromkeys(worker["cpu"] for worker in workers if worker["device"] == "cpu" and worker.get("cpu")))


def history(record: RunRecord) -> str:
    """One sentence on how a run came about; empty where one command did it and nothing happened."""
    attempts = record.attempts
    ends = Counter(attempt.status for attempt in attempts if attempt.status != "complete")
    happened = record.happened
    parts = [
        f"{len(attempts)} commands" if len(attempts) > 1 else "",
        *(f"{count} {_end(status)}" for status, count in ends.items()),
        _counted(happened.deaths, "death") if happened.deaths else "",
        f"{_counted(happened.retried, 'range')} given out again" if happened.retried else "",
    ]
    told = ", ".join(filter(None, parts))
    return f"history: {told}" if told else ""


def _counted(lines: Sequence[str], what: str) -> str:
    return f"{len(lines)} {what}{'' if len(lines) == 1 else 's'}"


def _end(status: str) -> str:
    return {"running": "without an end", "frames_failed": "with failed frames"}.get(status, status)
