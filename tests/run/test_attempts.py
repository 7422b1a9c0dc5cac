"""A run's history: every command that rendered something or failed stays in its record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small
from made_run import BEGAN, DIED, one_range, opening, record, write_run

import jobs.__main__
import jobs.run.record_file
from actors.files.run_folder import RunFolder
from jobs.run.attempts import KEPT, attempt_of, attempts_until, history
from jobs.run.record import RunRecord, find_run
from jobs.run.record_file import write_record
from jobs.run.verification import verify_run


def read(said: dict[str, Any]) -> RunRecord:
    return RunRecord.model_validate(said)


def closed(said: dict[str, Any], before: RunRecord | None = None) -> dict[str, Any]:
    """A record as a command writes it that goes on with an earlier one and comes to its end."""
    attempts = [] if before is None else attempts_until(before)
    return {**said, "attempts": [*attempts, attempt_of(said)]}


def test_a_record_without_history_is_its_own_first_attempt() -> None:
    (attempt,) = attempts_until(read(record(60, deaths=[DIED], retried=["50:60"])))
    assert attempt["deaths"] == [DIED]
    assert attempt["totals"] == record(60)["totals"]
    assert set(attempt) <= set(KEPT)


def test_attempts_follow_on_each_other() -> None:
    first = read(closed(record(60, status="stopped", reason="disk full", deaths=[DIED])))
    # The second driver was killed: its record was never closed.
    second = read({**opening(60), "started_at": BEGAN, "attempts": attempts_until(first)})
    third = read(closed(record(60, started_at=BEGAN + 9, retried=["1:2"]), second))
    assert [one.status for one in third.attempts] == ["stopped", "running", "complete"]
    assert [one.started_at for one in third.attempts] == [BEGAN - 5, BEGAN, BEGAN + 9]
    assert third.happened.deaths == (DIED,)
    assert third.happened.retried == ("1:2",)
    assert history(third) == "history: 3 commands, 1 stopped, 1 without an end, 1 death, 1 range given out again"
    # Once told, an attempt is not told again, however often its record is read and written.
    assert attempts_until(third) == third.as_written()["attempts"]


def test_a_command_that_only_looked_is_no_attempt() -> None:
    """As records without history have it, where the last command found everything done."""
    said = record(60)
    said["totals"] |= {"rendered": 0}
    assert attempts_until(read(said)) == []


def test_an_undisturbed_run_has_no_story() -> None:
    assert history(read(closed(record(60)))) == ""
    assert history(read(record(60))) == ""


def test_a_record_is_written_again_as_it_was(tmp_path: Path) -> None:
    said = {**closed(record(60)), "of a later version": {"a": [1, 2.5, None, {"b": "é"}]}}
    # Of an earlier version.
    said["workers_ready"][1]["strips"] = 20
    again = find_run(RunFolder.at(write_run(tmp_path / "run", [], said))).as_written()
    assert again == said
    assert list(again)[:3] == ["version", "id", "status"]


def test_verify_and_report_show_what_the_run_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last command failed before it rendered anything; the one before rendered everything, and a worker died."""
    before = read(closed(record(60, deaths=[DIED], status="frames_failed")))
    failed = opening(60) | {"started_at": BEGAN + 100, "status": "stopped", "reason": "no worker came"}
    failed["totals"] = {**record(60)["totals"], "rendered": 0, "fps_steady": 0.0, "fps_total": 0.0, "steady_s": 0.0}
    run = write_run(tmp_path / "run", one_range(0, 60, BEGAN), closed(failed, before))
    assert verify_run(str(run)).history == "history: 2 commands, 1 with failed frames, 1 stopped, 1 death"
    assert jobs.__main__.run(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "The last command rendered nothing. The figures below are about the last one that did." in page
    assert "It ended with: no worker came" in page
    assert "15.0" in page  # fps_steady of the attempt that rendered
    assert "The actor died unexpectedly" in page
    assert json.loads((run / "run.json").read_text())["attempts"][0]["deaths"] == [DIED]
    capsys.readouterr()


def test_a_record_is_never_written_larger_than_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.run.record_file, "LARGEST", 200_000)
    said = {name: value for name, value in record(60).items() if name != "version"}
    attempts = [{**attempt_of(said), "started_at": float(i), "deaths": [DIED * 10]} for i in range(100)]
    write_record(RunFolder.at(tmp_path), {**said, "attempts": attempts})
    kept = find_run(RunFolder.at(tmp_path)).attempts
    assert 10 < len(kept) < 100
    assert kept[-1].started_at == 99
    failures = [{"frame": i, "reason": "the model returned NaN"} for i in range(3000)]
    write_record(RunFolder.at(tmp_path), {**said, "attempts": attempts, "failures": failures})
    assert [failure.frame for failure in find_run(RunFolder.at(tmp_path)).failures] == [*range(1000)]
    assert (tmp_path / "run.json").stat().st_size <= 200_000


def test_a_record_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    """The disk is full, or here: a file may not grow."""
    said = {name: value for name, value in record(60).items() if name != "version"}
    write_record(RunFolder.at(tmp_path), said)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    program = (
        "import resource, signal, sys; from actors.files.run_folder import RunFolder;"
        "from jobs.run.record_file import write_record;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "write_record(RunFolder.at(sys.argv[1]), {'reason': 'x' * 1000})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, cwd=small.ROOT, check=False
    )
    assert "File too large" in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
