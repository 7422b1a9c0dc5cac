"""What comes after rendering: the final record, the video and what is said, of a run that one worker renders here."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from lone import MARK, ON_CPU, TWO_CORES, plan_of, worker_and_block
from made_run import NODE
from rich.console import Console
from small import SmallClip

from actors.core.errors import StoppedError
from actors.core.ranges import ClipRange, FrameRange
from actors.core.worker_reports import FrameFailure, WorkerReport
from actors.files.run_folder import RunFolder
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.run.decide import RenderRequest, decide
from jobs.run.execute import Outcome
from jobs.run.finish import StartTimes, finish, finish_rendered
from jobs.run.record import RunRecord, WorkerDeath
from jobs.run.record_file import find_run, write_record
from jobs.run.resume import audit_run
from jobs.run.verification import verify_run
from jobs.scheduling.deaths import Death
from jobs.scheduling.open_clip import ClipJob, OpenClip

FRAMES = FrameRange(0, 6)
HALVES = FrameRange(0, 3), FrameRange(3, 6)


@dataclass
class Rendered:
    """A run whose frames stand in its folder, and what is said of it."""

    request: RenderRequest
    outcome: Outcome
    console: Console

    @property
    def text(self) -> str:
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()

    def finish(self) -> RunRecord:
        now = time.perf_counter()
        finish(self.request, self.outcome, StartTimes(now - 3, now - 2, now - 1, now - 1), self.console)
        return find_run(self.request.folder)


@pytest.fixture
def rendered(clip: SmallClip, model: Path, tmp_path: Path) -> Rendered:
    """Two ranges with a video, rendered by a worker without Ray after another had died."""
    out = tmp_path / "run"
    options = CompositeOptions(
        clip=str(clip.folder), model=str(model), out=str(out), frames=f"0:{FRAMES.stop}", video=True, workers=1
    )
    console = Console(file=io.StringIO(), width=200)
    request = RenderRequest(options, read_inputs(options), RunFolder.at(out), MARK, time.time(), None)
    decision = decide(request, [*FRAMES], TWO_CORES, ON_CPU, None, console)
    plan = plan_of(options, request.inputs, out)
    worker, block = worker_and_block(plan)
    write_record(request.folder, decision.record)
    state = OpenClip.of(ClipJob(plan.clip_id, (), plan.blocks_of, 1), 1)
    outcome = Outcome(decision.record, state)
    outcome.milestones.first_dispatch = time.perf_counter()
    for frames in HALVES:
        request.ledger.record(worker.render(plan.clip_id, frames.start, frames.stop, block))
        outcome.milestones.rendered.append(frames.id)
    outcome.milestones.last_file = time.perf_counter()
    outcome.milestones.workers.append(
        WorkerReport(
            worker=0,
            node=NODE,
            host="h",
            pid=7,
            device="cpu",
            cpu="kind",
            batch=1,
            provider="CPUExecutionProvider",
            threads=1,
            cpu_nodes=(),
            notes=("slow",),
            import_seconds=0.1,
            session_seconds=0.1,
            warm_seconds=0.1,
        )
    )
    state.incidents.deaths.append(Death(0, 6, "killed", 1, replaced=True))
    state.incidents.retried.append(ClipRange(plan.clip_id, HALVES[0]))
    return Rendered(request, outcome, console)


def test_the_record_says_what_came_of_it_in_values(rendered: Rendered) -> None:
    record = rendered.finish()
    assert (record.status, record.reason) == ("complete", "")
    assert record.deaths == (WorkerDeath(worker=0, pid=6, reason="killed", ranges=1, replaced=True),)
    assert record.retried == ((0, 3),)
    assert record.totals is not None
    assert (record.totals.rendered, record.totals.failed) == (len(FRAMES), 0)
    assert [one.status for one in record.attempts] == ["complete"]
    assert record.attempts[0].deaths == record.deaths
    written = json.loads((Path(str(rendered.request.folder.record))).read_text())
    assert written["deaths"] == [{"worker": 0, "pid": 6, "reason": "killed", "ranges": 1, "replaced": True}]
    assert verify_run(str(rendered.request.folder)).whole
    for said in ("warning: slow", "fps_steady", f"video: {rendered.request.folder.video}", "timings: ", "frames: "):
        assert said in rendered.text


def test_a_figure_that_cannot_be_leaves_no_run_that_goes_on(rendered: Rendered) -> None:
    workers = rendered.outcome.milestones.workers
    workers.append(replace(workers[0], pid=-1))
    with pytest.raises(ValueError, match="pid"):
        rendered.finish()
    record = find_run(rendered.request.folder)
    assert (record.status, record.totals) == ("complete", None)
    assert record.finished_at is not None


def test_a_stopped_run_has_its_reason_and_no_video(rendered: Rendered) -> None:
    rendered.outcome.error = StoppedError("the disk is full", "free it")
    record = rendered.finish()
    assert record.status == "stopped"
    assert "the disk is full" in record.reason
    assert record.video is None
    assert not Path(str(rendered.request.folder.video)).exists()
    assert "video: " not in rendered.text


def test_failed_frames_are_listed_and_there_is_no_video(rendered: Rendered) -> None:
    rendered.outcome.clip.failures.append(FrameFailure(5, "the model returned NaN"))
    record = rendered.finish()
    assert (record.status, [failure.frame for failure in record.failures]) == ("frames_failed", [5])
    assert "frame 5 failed: the model returned NaN" in rendered.text
    assert "no video: it would have holes where frames failed" in rendered.text


def test_a_command_that_finds_everything_keeps_what_rendered_it(rendered: Rendered) -> None:
    folder = rendered.request.folder
    record = rendered.finish()
    before = Path(str(folder.record)).read_bytes()
    remaining = audit_run(rendered.request.ledger, FRAMES, folder, rendered.console)
    assert remaining.frames == []
    finish_rendered(rendered.request, record, remaining, rendered.console)
    assert Path(str(folder.record)).read_bytes() == before
    # The video is joined again where it is gone, and nothing else changes.
    Path(str(folder.video)).unlink()
    finish_rendered(rendered.request, record, remaining, rendered.console)
    again = find_run(folder)
    assert (again.totals, again.attempts, again.started_at) == (record.totals, record.attempts, record.started_at)
    assert verify_run(str(folder)).whole
