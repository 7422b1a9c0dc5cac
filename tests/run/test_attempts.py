"""A run's history: every command that rendered something or failed stays in its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_run import BEGAN, DIED, one_range, opening, record, write_run

import jobs.__main__
from jobs.run.attempts import attempt_of, attempts_until, history
from jobs.run.record import RunRecord, WorkerDeath
from jobs.run.verification import verify_run


def read(said: dict[str, Any]) -> RunRecord:
    return RunRecord.model_validate(said)


def closed(said: dict[str, Any], earlier: RunRecord | None = None) -> dict[str, Any]:
    """A record as a command writes it that goes on with an earlier one and comes to its end."""
    attempts = () if earlier is None else attempts_until(earlier)
    return {**said, "attempts": [*attempts, attempt_of(read(said))]}


def test_a_record_without_history_is_its_own_first_attempt() -> None:
    (attempt,) = attempts_until(read(record(60, deaths=[DIED], retried=[[50, 60]])))
    assert attempt.deaths == (WorkerDeath(**DIED),)
    assert attempt.totals == read(record(60)).totals
    assert attempt.model_extra == {}


def test_attempts_follow_on_each_other() -> None:
    first = read(closed(record(60, status="stopped", reason="disk full", deaths=[DIED])))
    # The second driver was killed: its record was never closed.
    second = read({**opening(60), "started_at": BEGAN, "attempts": attempts_until(first)})
    third = read(closed(record(60, started_at=BEGAN + 9, retried=[[1, 2]]), second))
    assert [one.status for one in third.attempts] == ["stopped", "running", "complete"]
    assert [one.started_at for one in third.attempts] == [BEGAN - 5, BEGAN, BEGAN + 9]
    assert third.happened.deaths == (WorkerDeath(**DIED),)
    assert third.happened.retried == ((1, 2),)
    assert history(third) == "history: 3 commands, 1 stopped, 1 without an end, 1 death, 1 range given out again"
    # Once told, an attempt is not told again, however often its record is read and written.
    assert attempts_until(third) == third.attempts


def test_a_command_that_only_looked_is_no_attempt() -> None:
    """As records without history have it, where the last command found everything done."""
    said = record(60)
    said["totals"] |= {"rendered": 0}
    assert attempts_until(read(said)) == ()


def test_an_undisturbed_run_has_no_story() -> None:
    assert history(read(closed(record(60)))) == ""
    assert history(read(record(60))) == ""


def test_verify_and_report_show_what_the_run_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last command failed before it rendered anything; the one before rendered everything, and a worker died."""
    before = read(closed(record(60, deaths=[DIED], status="frames_failed")))
    failed = opening(60) | {"started_at": BEGAN + 100, "status": "stopped", "reason": "no worker came"}
    failed["totals"] = {**record(60)["totals"], "rendered": 0, "fps_steady": 0.0, "fps_total": 0.0, "steady_s": 0.0}
    run = write_run(tmp_path / "run", one_range(0, 60, BEGAN), read(closed(failed, before)).as_json())
    assert verify_run(str(run)).history == "history: 2 commands, 1 with failed frames, 1 stopped, 1 death"
    assert jobs.__main__.run(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "The last command rendered nothing. The figures below are about the last one that did." in page
    assert "It ended with: no worker came" in page
    assert "15.0" in page  # fps_steady of the attempt that rendered
    assert "The actor died unexpectedly" in page
    assert json.loads((run / "run.json").read_text())["attempts"][0]["deaths"] == [DIED]
    capsys.readouterr()
