"""What is written to or read from goes away in the middle of a run: it stops with the reason, and goes on later."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import unprivileged
from disturbance import Disturbance, before_loads
from small import Result
from stage import ONE_WORKER, Stage, wait_for

import jobs.planning.preparation
import jobs.run.engine
from actors.core.ranges import ClipBlock
from jobs.planning.block_plan import BlockPlan
from jobs.scheduling.job_spec import JobSpec

UNPRIVILEGED = (sys.executable, unprivileged.__file__)


def test_output_that_cannot_grow(stage: Stage) -> None:
    stage.order("limit-50")
    done = stage.check_stopped(stage.render(*ONE_WORKER), "File too large")
    assert stage.record["status"] == "stopped"
    assert not list((stage.run / "frames").glob("*frame_000050*"))
    stage.check_resumes(done)


def is_refused(folder: Path) -> bool:
    """Whether a command that gave up root's right is refused what the folder's mode forbids."""
    folder.mkdir(0o500)
    program = "import sys; open(sys.argv[1], 'w')"
    probe = [*UNPRIVILEGED, sys.executable, "-c", program, str(folder / "file")]
    return "[Errno 13]" in subprocess.run(probe, capture_output=True, text=True, check=False).stderr


def test_permission_is_lost(stage: Stage) -> None:
    """The whole command, Ray included, runs without the right that would let root write all the same."""
    if not is_refused(stage.folder / "probe"):
        pytest.skip("this user may write everywhere and cannot give that up")
    stage.order("wait-50")
    driver = stage.start(*ONE_WORKER, before=UNPRIVILEGED)
    wait_for(stage.obeyed, driver)
    folders = [stage.run / "frames", stage.run / "timings", stage.run]
    modes = [folder.stat().st_mode for folder in folders]
    for folder in folders:
        folder.chmod(0o500)
    stage.withdraw("wait-50")
    output = driver.communicate()[0]
    assert driver.returncode is not None
    done = stage.check_stopped(Result(driver.returncode, output), "Permission denied")
    for folder, mode in zip(folders, modes, strict=True):
        folder.chmod(mode)
    stage.check_resumes(done)


@pytest.mark.parametrize(("instead", "reason"), [(None, "20.png: cannot be read"), ("3.png", "20.png changed while")])
def test_the_source_goes_away(instead: str | None, reason: str, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two backgrounds, three at a time: the last one is read when frames have long been written."""
    monkeypatch.setattr(jobs.planning.preparation, "plan_blocks", lambda *_: BlockPlan(2, 10, 3, 1 << 20))
    copy = stage.folder / "clip"
    shutil.copytree(stage.clip.folder, copy)
    last, away = copy / "full_body_img" / "20.png", copy / "away"

    class Removing(Disturbance):
        def change(self, job: JobSpec) -> JobSpec:
            def remove(block: ClipBlock) -> None:
                if block.number == 9:
                    last.rename(away)
                    if instead is not None:
                        shutil.copy(copy / "full_body_img" / instead, last)

            return before_loads(job, remove)

    with monkeypatch.context() as removing:
        Removing().install(removing)
        done = stage.check_stopped(stage.render(*ONE_WORKER, clip=copy), reason)
    away.replace(last)
    stage.check_resumes(done, clip=copy)
