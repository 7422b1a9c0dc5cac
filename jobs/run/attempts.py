"""The history of a run: what each command that rendered, or failed, left in its record. Pure.

The record's own figures are those of the last of them; what earlier commands needed, and what happened to them, stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sized

from jobs.run.record import Attempt, RunRecord


def attempt_of(record: RunRecord) -> Attempt:
    """What stays of the attempt that a record is about.

    Frames that failed are in the record itself as long as they are missing.
    """
    return Attempt.model_construct(
        record.model_fields_set & set(Attempt.model_fields),
        **{name: getattr(record, name) for name in Attempt.model_fields},
    )


def attempts_until(earlier: RunRecord) -> tuple[Attempt, ...]:
    """Every attempt that an earlier record knows of, oldest first.

    The last one is among them even where its driver was killed before it could say so, or wrote no history yet.
    """
    attempts = earlier.attempts
    known = bool(attempts) and attempts[-1].started_at == earlier.started_at
    idle = earlier.totals is not None and earlier.totals.rendered == 0 and earlier.status == "complete"
    return attempts if known or idle else (*attempts, attempt_of(earlier))


def cpu_kinds(attempts: Iterable[Attempt]) -> list[str]:
    """The kinds of processors on which networks ran in some attempts, each once, in order; none for GPUs."""
    workers = (worker for attempt in attempts for worker in attempt.workers_ready)
    return list(dict.fromkeys(worker.cpu for worker in workers if worker.device == "cpu" and worker.cpu))


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
    text = ", ".join(filter(None, parts))
    return f"history: {text}" if text else ""


def _counted(some: Sized, what: str) -> str:
    return f"{len(some)} {what}{'' if len(some) == 1 else 's'}"


def _end(status: str) -> str:
    return {"running": "without an end", "frames_failed": "with failed frames"}.get(status, status)
