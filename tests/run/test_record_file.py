"""``run.json`` is written as it is read, within its bounds, and one of the version before is read as well."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small
from made_run import BEGAN, DIED, DIED_1, one_range, record, write_run

import jobs.__main__
import jobs.run.record_file
from actors.core.errors import InputError
from actors.core.precision_report import PrecisionReport
from actors.core.ranges import FrameRange
from actors.files.run_folder import RunFolder
from jobs.run.attempts import attempt_of
from jobs.run.half_precision import recorded
from jobs.run.record import VERSION, RunRecord, WorkerDeath
from jobs.run.record_file import find_run, write_record
from jobs.run.verification import verify_run


def read(said: dict[str, Any]) -> RunRecord:
    return RunRecord.model_validate(said)


def record_1(frames: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """run.json as version 1 had it after two commands: a worker died in the first, which somebody stopped."""
    troubles = {"deaths": [DIED_1, "worker 1: it was not ready"], "retried": ["50:60"], "split": ["50:60"]}
    first = {**record(frames), **troubles, "status": "interrupted", "started_at": BEGAN - 50.0}
    kept = ("started_at", "finished_at", "status", "reason", "frames", "device", "totals", "workers_ready", *troubles)
    attempts = [{name: one[name] for name in kept} for one in (first, record(frames))]
    return {**record(frames), "version": 1, "attempts": attempts, **changes}


def test_a_record_is_written_again_as_it_was(tmp_path: Path) -> None:
    said = {**record(60, deaths=[DIED]), "of a later version": {"a": [1, 2.5, None, {"b": "é"}]}}
    # Of an earlier version.
    said["workers_ready"][1]["strips"] = 20
    run = RunFolder.at(write_run(tmp_path / "run", [], said))
    again = find_run(run).as_json()
    assert again == said
    assert list(again)[:3] == ["version", "id", "status"]
    write_record(run, find_run(run))
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == said


def test_a_record_of_version_1_is_read_as_values(tmp_path: Path) -> None:
    said = record_1(60, deaths=[DIED_1], retried=["1:2"])
    found = find_run(RunFolder.at(write_run(tmp_path / "run", [], said)))
    before = WorkerDeath(worker=0, pid=100, reason=DIED["reason"])
    assert found.deaths == (before,)
    assert found.attempts[0].deaths == (before, WorkerDeath(worker=1, pid=None, reason="it was not ready"))
    assert (found.retried, found.attempts[0].retried, found.attempts[0].split) == (((1, 2),), ((50, 60),), ((50, 60),))
    assert [str(death) for death in found.deaths] == [DIED_1]
    # It is written as today's version, and says no more than it knew.
    again = found.as_json()
    assert again["version"] == VERSION
    assert again["deaths"] == [{"worker": 0, "pid": 100, "reason": DIED["reason"]}]
    assert find_run(RunFolder.at(write_run(tmp_path / "again", [], again))) == found


@pytest.mark.parametrize("name", ["compositing_threads", "finishers"])
def test_threads_for_compositing_are_read_by_either_name(tmp_path: Path, name: str) -> None:
    said = record(60)
    said["plan"][name] = 4
    found = find_run(RunFolder.at(write_run(tmp_path / "run", [], said)))
    assert found.plan.compositing_threads == 4
    plan = found.as_json()["plan"]
    assert plan["compositing_threads"] == 4
    assert "finishers" not in plan


def test_a_run_of_version_1_is_verified_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", one_range(0, 60, BEGAN), record_1(60))
    verdict = verify_run(str(run))
    assert verdict.missing == ()
    assert verdict.history == "history: 2 commands, 1 interrupted, 2 deaths, 1 range given out again"
    assert jobs.__main__.run(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "The actor died unexpectedly" in page
    assert "worker 1: it was not ready" in page
    assert "50:60" in page
    capsys.readouterr()


def test_half_precision_that_changes_nothing_can_be_read_again(tmp_path: Path) -> None:
    """Its signal-to-noise ratio is infinite, which no number in JSON says."""
    report = PrecisionReport(frames=8, worst=0, mean=0.0, psnr=math.inf)
    write_record(RunFolder.at(tmp_path), read(record(60)).model_copy(update={"precision": recorded(report)}))
    found = find_run(RunFolder.at(tmp_path)).precision
    assert found is not None
    assert (found.frames, found.psnr) == (8, None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("deaths", ["it died"], "deaths.0 cannot be"),
        ("deaths", [f"worker {'9' * 5000}: it died"], "deaths.0 cannot be"),
        ("deaths", 7, "deaths cannot be 7"),
        ("retried", ["50-60"], "retried.0 cannot be"),
        ("split", [[1]], "is missing"),
        ("attempts", [7], "attempts.0 cannot be 7"),
        ("attempts", {"a": 1}, "attempts cannot be"),
    ],
)
def test_what_version_1_never_wrote_is_named(tmp_path: Path, name: str, value: object, said: str) -> None:
    run = RunFolder.at(write_run(tmp_path / "run", [], record_1(60, **{name: value})))
    with pytest.raises(InputError) as caught:
        find_run(run)
    assert said in caught.value.problem


def test_a_record_is_read_where_it_was_written(tmp_path: Path) -> None:
    """An address may say more than a path."""
    folder = RunFolder.at(f"{tmp_path.as_uri()}?x=1")
    write_record(folder, read(record(60)))
    assert find_run(folder).wanted == FrameRange(0, 60)


def test_a_record_is_never_written_larger_than_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.run.record_file, "LARGEST", 200_000)
    folder = RunFolder.at(tmp_path)
    whole = read(record(60))
    death = WorkerDeath(worker=0, pid=100, reason=DIED["reason"] * 10)
    update = {"deaths": (death,)}
    attempts = [attempt_of(whole).model_copy(update={"started_at": float(i), **update}) for i in range(100)]
    write_record(folder, whole.model_copy(update={"attempts": tuple(attempts)}))
    kept = find_run(folder).attempts
    assert 10 < len(kept) < 100
    assert kept[-1].started_at == 99
    failures = [{"frame": i, "reason": "the model returned NaN"} for i in range(3000)]
    many = read({**record(60), "failures": failures})
    write_record(folder, many.model_copy(update={"attempts": tuple(attempts)}))
    assert [failure.frame for failure in find_run(folder).failures] == [*range(1000)]
    assert (tmp_path / "run.json").stat().st_size <= 200_000


def test_a_record_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    """The disk is full, or here: a file may not grow."""
    write_record(RunFolder.at(tmp_path), read(record(60)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    program = (
        "import resource, signal, sys; from actors.files.run_folder import RunFolder;"
        "from jobs.run.record_file import find_run, write_record;"
        "folder = RunFolder.at(sys.argv[1]); record = find_run(folder).model_copy(update={'reason': 'x' * 1000});"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "write_record(folder, record)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, cwd=small.ROOT, check=False
    )
    assert "File too large" in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
