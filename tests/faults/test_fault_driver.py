"""Drivers are ended in the middle of the run, each in another way, or Ray dies under one; another completes it."""

from __future__ import annotations

import signal
from functools import partial

import psutil
import pytest
from small import Result
from stage import ROWS, Stage, is_gone, wait_for

# How a driver ends, at which frame its worker stands then, and how it had divided the work.
ENDS = (
    (signal.SIGKILL, 45, ("--workers", 1)),
    (signal.SIGTERM, 100, ("--workers", 2, "--batch", 3)),
    (signal.SIGINT, 100, ("--workers", 1, "--batch", 4)),
)


def test_drivers_are_ended_and_another_goes_on(stage: Stage) -> None:
    done = stage.done()
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
        assert 0 < len(done) < ROWS
        assert done.items() >= before.items()
    stage.check_resumes(done)
    assert stage.table().loc[100, "pid"] not in stage.pids()


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
