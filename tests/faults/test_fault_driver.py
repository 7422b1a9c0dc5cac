"""Drivers are ended in the middle of the run, each in another way, or Ray dies under one; another completes it."""

from __future__ import annotations

import json
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import reference
import small
from small import Result
from stage import ROWS, Stage, is_gone, wait_for

from jobs.run.verification import verify_run

# How a driver ends, at which frame its worker stands then, and how it had divided the work.
ENDS = (
    (signal.SIGKILL, 45, ("--workers", 1)),
    (signal.SIGTERM, 100, ("--workers", 2, "--batch", 3)),
    (signal.SIGINT, 100, ("--workers", 1, "--batch", 4)),
)


def test_drivers_are_ended_and_another_goes_on(stage: Stage) -> None:
    done = stage.done()
    first: dict[Path, int] = {}
    for count, (by, frame, layout) in enumerate(ENDS):
        stage.order(f"hang-{frame}")
        driver = stage.start(*layout, "--address", stage.address)
        wait_for(lambda count=count: len(stage.obeyed()) > count, driver)  # type: ignore[misc]
        driver.send_signal(by)
        said, _ = driver.communicate(timeout=60)
        assert driver.returncode == (-signal.SIGKILL if by is signal.SIGKILL else 130), said
        assert ("interrupted; the same command goes on from here" in said) == (by is not signal.SIGKILL)
        # It takes its workers along: nobody writes into the folder any more.
        wait_for(partial(is_gone, stage.pids()[-1]))
        before, done = done, stage.done()
        first = first or done
        assert 0 < len(done) < ROWS
        assert done.items() >= before.items()
    stage.check_resumes(done)
    assert stage.table().loc[100, "pid"] not in stage.pids()
    # What became of each of them stays, and running it again changes nothing and asks nobody.
    attempts = stage.record["attempts"]
    assert [attempt["status"] for attempt in attempts] == ["running", "interrupted", "interrupted", "complete"]
    rendered = [attempt["totals"]["rendered"] for attempt in attempts[1:]]
    assert sum(rendered) == ROWS - len(first)
    before_it = {**stage.record, "options": None}
    result = stage.render(at="127.0.0.1:1")
    assert (result.code, "120 of 120 done" in result.output) == (0, True), result.output
    assert {**stage.record, "options": None} == before_it
    assert verify_run(str(stage.run)).history == "history: 4 commands, 1 without an end, 2 interrupted"


def test_a_driver_is_killed_among_frames_without_a_face(stage: Stage, tmp_path: Path) -> None:
    gaps = {3, 8, 9, 10, 18, 19}
    rects = tmp_path / "rects.json"
    rects.write_text(json.dumps([None if i in gaps else box for i, box in enumerate(stage.clip.boxes)]))
    shown = [reference.bounce(t, small.BACKGROUNDS) for t in range(ROWS)]
    assert {shown[45], shown[46], shown[47]} < gaps
    stage.order("hang-46")
    driver = stage.start("--workers", 1, "--rects", rects, "--address", stage.address)
    wait_for(stage.obeyed, driver)
    driver.kill()
    driver.communicate(timeout=60)
    wait_for(partial(is_gone, stage.pids()[-1]))
    done = stage.done()
    assert 0 < len(done) < ROWS
    result = stage.render("--rects", rects)
    assert result.code == 0, result.output
    assert f"{len(done)} of {ROWS} done" in result.output
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert list(stage.table()["face"]) == ["none" if background in gaps else "given" for background in shown]
    assert verify_run(str(stage.run)).whole
    # As if nothing had happened.
    cut_short = small.contents(stage.run)
    assert stage.render("--rects", rects, "--restart").code == 0
    assert small.contents(stage.run) == cut_short
    for t, frame in small.read_frames(stage.run).items():
        assert np.array_equal(frame, stage.clip.frames[shown[t]]) == (shown[t] in gaps)


@pytest.mark.parametrize("server", ["gcs_server", "raylet"])
def test_rays_own_processes_die_and_the_run_says_so(stage: Stage, server: str) -> None:
    stage.order("hang-45")
    driver = stage.start("--workers", 1, "--address", "local")
    wait_for(stage.obeyed, driver)
    (process,) = [child for child in psutil.Process(driver.pid).children() if child.name() == server]
    process.kill()
    said, _ = driver.communicate(timeout=60)
    done = stage.check_stopped(Result(driver.returncode, said), f"Ray's own process {process.pid} died")
    assert stage.record["status"] == "stopped"
    wait_for(partial(is_gone, stage.pids()[0]))
    stage.check_resumes(done)


def gcs_of(driver: subprocess.Popen[str]) -> psutil.Process | None:
    """The first of Ray's own processes that a driver starts."""
    return next((child for child in psutil.Process(driver.pid).children() if child.name() == "gcs_server"), None)


@pytest.mark.parametrize("ended", ["driver", "server"])
def test_a_run_ends_while_ray_is_starting(stage: Stage, ended: str) -> None:
    driver = stage.start("--workers", 1, "--address", "local")
    wait_for(lambda: gcs_of(driver), driver)
    server = gcs_of(driver)
    assert server is not None
    (driver if ended == "driver" else server).send_signal(signal.SIGTERM if ended == "driver" else signal.SIGKILL)
    said, _ = driver.communicate(timeout=30)
    if ended == "driver":
        assert driver.returncode == 130, said
        assert "interrupted: ending within seconds" in said
    else:
        assert driver.returncode == 3, said
        assert f"Ray's own process {server.pid} died" in said
    wait_for(partial(is_gone, server.pid))
    assert not stage.run.exists()
