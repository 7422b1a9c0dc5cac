"""The driver is ended in the middle of a run, and another one goes on with other workers, batches and ranges."""

from __future__ import annotations

import signal
from functools import partial

import pytest
from stage import ROWS, Stage, is_gone, wait_for


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_driver_is_ended_and_another_goes_on(by: signal.Signals, stage: Stage) -> None:
    stage.order("hang-80")
    driver = stage.start("--workers", 1, "--address", stage.address)
    wait_for(stage.obeyed, driver)
    driver.send_signal(by)
    driver.communicate(timeout=60)
    assert driver.returncode == (-signal.SIGKILL if by is signal.SIGKILL else 130)
    # It takes its workers along: nobody writes into the folder any more.
    [worker] = stage.pids()
    wait_for(partial(is_gone, worker))
    done = stage.done()
    assert done
    assert set(stage.table()["pid"]) == {worker}
    stage.check_resumes(done, "--workers", 2, "--batch", 3)
    assert list(stage.table()["pid"]).count(worker) == len(done) < ROWS
