"""What comes after rendering: the video, the final record, and what users are told."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import av.error
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from actors.core.choices import ImageFormat
from actors.core.errors import InputError, StoppedError
from actors.core.timings import column, numbers
from actors.core.worker_reports import WorkerReport
from actors.files import storage
from jobs.console import say
from jobs.run.advice import advice_facts, limit, not_rendering
from jobs.run.attempts import attempt_of, attempts_until, cpu_kinds
from jobs.run.decide import RenderRequest
from jobs.run.execute import Outcome, unwritable
from jobs.run.failures import listed
from jobs.run.figures import ColdStart, Totals
from jobs.run.folder import sweep
from jobs.run.half_precision import recorded, worst_report
from jobs.run.record import RunRecord, Video
from jobs.run.record_file import write_record
from jobs.run.resume import Remaining
from jobs.run.statistics import face_stats, seam_stats, stage_stats, stage_times, worker_stats
from jobs.run.summary import print_summary
from jobs.run.video_file import is_joined, join_video


@dataclass(slots=True)
class StartTimes:
    """Moments of this process before any rendering, on `time.perf_counter`.

    Attributes:
        started: the command began.
        imported: all modules were loaded.
        read: the inputs were read and checked.
        joined: Ray was started or joined.
        faces: seconds, of the time until the inputs were read, in which faces were found, Ray's start included.
        ray: seconds of these in which Ray was started or joined.
    """

    started: float
    imported: float = field(default_factory=time.perf_counter)
    read: float = 0.0
    joined: float = 0.0
    faces: float = 0.0
    ray: float = 0.0


def finish(request: RenderRequest, outcome: Outcome, times: StartTimes, console: Console) -> None:
    """Joins the video where every frame is there, writes the final record and says what came of the run.

    Ray is disconnected by now, so nobody writes into the folder any more. What goes wrong here is the outcome's error.
    """
    ledger = request.ledger
    try:
        sweep(request.folder, request.mark)
        ledger.drop_orphans()
        if outcome.error is None and not outcome.failures and request.options.video:
            outcome.record = outcome.record.model_copy(update={"video": _join(request)})
    except OSError as error:
        outcome.error = outcome.error or unwritable(error)
    except (StoppedError, KeyboardInterrupt) as error:
        outcome.error = outcome.error or error
    try:
        _close(request, outcome, times, ledger.table(), console)
    except OSError as error:
        outcome.error = outcome.error or unwritable(error)
        return
    for line in listed(outcome.failures):
        say(console, line)
    if outcome.failures and request.options.video:
        say(console, "no video: it would have holes where frames failed")
    if outcome.error is None and not outcome.failures:
        _say_where(request, console)


def finish_rendered(request: RenderRequest, earlier: RunRecord, remaining: Remaining, console: Console) -> None:
    """Ends a command that found every frame there: what really rendered them stays in the record.

    Args:
        request: the command.
        earlier: the run's record.
        remaining: what the files say; no frame is left.
        console: where to say where everything is.

    Raises:
        StoppedError: the video could not be joined, or the folder cannot be written.
    """
    options, frames = request.options, request.inputs.frames
    now = earlier.model_copy(
        update={
            "options": options.model_dump(mode="json"),
            "frames": (frames.start, frames.stop),
            "attempts": attempts_until(earlier),
            "status": "complete",
            "reason": "",
            "failures": (),
        }
    )
    try:
        if remaining.audit is not None:
            request.ledger.mend(remaining.audit)
        sweep(request.folder, request.mark)
        if options.video and not is_joined(request.folder, request.inputs, earlier.video):
            storage.remove_file(request.folder.video)
            now = now.model_copy(update={"video": _join(request)})
        if now != earlier:
            write_record(request.folder, now)
    except OSError as error:
        raise unwritable(error) from error
    _say_where(request, console)


def _join(request: RenderRequest) -> Video:
    try:
        return join_video(request.folder, request.inputs, request.ledger.table())
    except (InputError, ValueError, av.error.FFmpegError) as error:
        raise StoppedError(f"the video could not be joined ({error})", "then run the same command again") from error


def _close(request: RenderRequest, outcome: Outcome, times: StartTimes, table: pa.Table, console: Console) -> None:
    """Writes the final record and prints the summary.

    Raises:
        OSError: the record cannot be written.
    """
    ending = {
        "status": outcome.status,
        "reason": str(outcome.error) if outcome.error else "",
        "finished_at": time.time(),
    }
    try:
        record = _ended(request, outcome, times, table, ending)
    except Exception:
        # Whatever is wrong with a figure, the run has come to its end.
        write_record(request.folder, outcome.record.model_copy(update=ending))
        raise
    write_record(request.folder, record)
    if len(kinds := cpu_kinds(record.attempts)) > 1:
        text = f"frames come from CPUs of {len(kinds)} kinds, which may differ in a value's last bit"
        say(console, f"warning: {text}: {'; '.join(kinds)}", style="yellow")
    for note in dict.fromkeys(note for report in outcome.milestones.workers for note in report.notes):
        say(console, f"warning: {note}", style="yellow")
    if record.precision is not None:
        name = request.options.precision.value
        say(console, f"precision: {name}, at most {record.precision.worst} levels from fp32")
    if record.totals is not None:
        stages, workers = list(record.stages), list(record.workers)
        print_summary(console, record.totals, stages, workers, record.faces, record.seam, record.limiting)


def _ended(
    request: RenderRequest, outcome: Outcome, times: StartTimes, table: pa.Table, ending: dict[str, Any]
) -> RunRecord:
    """The final record: how the command ended, its figures, and what happened."""
    record, milestones = outcome.record, outcome.milestones
    rendered = table.filter(pc.is_in(table["range_id"], column(pa.string(), milestones.rendered)))
    steady = (milestones.last_file or 0.0) - (milestones.first_dispatch or 0.0) if len(rendered) else 0.0
    totals = _totals(request, outcome, times, len(rendered), steady)
    slots = len({report.worker for report in milestones.workers})
    stages = stage_stats(stage_times(rendered), slots, steady)
    workers = worker_stats(rendered)
    seam = seam_stats(rendered["frame"].to_pylist(), numbers(rendered, "seam"), rendered["seam_at"].to_pylist())
    incidents = outcome.clip.incidents
    compared = worst_report(worker.precision for worker in milestones.workers)
    ended = {
        **ending,
        "totals": totals,
        "stages": stages,
        "workers": workers,
        "faces": face_stats(rendered["face"].to_pylist()),
        "seam": seam,
        "workers_ready": [_ready(report) for report in milestones.workers],
        "failures": [asdict(failure) for failure in outcome.failures],
        "deaths": [asdict(death) for death in incidents.deaths],
        "retried": [(one.frames.start, one.frames.stop) for one in incidents.retried],
        "split": [(one.frames.start, one.frames.stop) for one in incidents.split],
        "blocks_lost": incidents.blocks_lost,
        "precision": None if compared is None else recorded(compared),
        "cache_bytes": milestones.loaded_bytes,
    }
    # Validated again: what is written can be read.
    record = RunRecord.model_validate({**{name: getattr(record, name) for name in record.model_fields_set}, **ended})
    besides = not_rendering(totals.seconds, totals.steady_s, totals.cold.place_s)
    limits = limit(stages, advice_facts(record, slots), besides).line
    record = record.model_copy(update={"limiting": limits})
    return record.model_copy(update={"attempts": (*record.attempts, attempt_of(record))})


def _ready(report: WorkerReport) -> dict[str, Any]:
    """What a record keeps of a worker; what it compared stands there once."""
    return {name: value for name, value in asdict(report).items() if name != "precision"}


def _totals(request: RenderRequest, outcome: Outcome, times: StartTimes, rendered: int, steady: float) -> Totals:
    now, milestones = time.perf_counter(), outcome.milestones
    first_dispatch = milestones.first_dispatch or now
    cold = ColdStart(
        import_s=times.imported - times.started,
        read_s=times.read - times.imported - times.faces,
        faces_s=times.faces - times.ray,
        ray_s=times.joined - times.read + times.ray,
        session_s=max((worker.import_seconds + worker.session_seconds for worker in milestones.workers), default=0.0),
        warm_s=max((worker.warm_seconds for worker in milestones.workers), default=0.0),
        cache_s=milestones.load_seconds,
        wait_s=first_dispatch - times.joined,
        finish_s=max(0.0, now - first_dispatch - steady),
        place_s=milestones.place_seconds,
    )
    seconds = now - times.started
    return Totals(
        frames=len(request.inputs.frames),
        rendered=rendered,
        failed=len(outcome.failures),
        seconds=seconds,
        steady_s=steady,
        prepare_s=milestones.prepare_seconds,
        fps_total=rendered / seconds,
        fps_steady=rendered / steady if steady > 0 else 0.0,
        cold=cold,
    )


def _say_where(request: RenderRequest, console: Console) -> None:
    folder, options = request.folder, request.options
    paths = {"video": folder.video} if options.video else {}
    paths["timings"] = folder.timings
    if options.image_format is not ImageFormat.NONE:
        paths["frames"] = folder.frames
    for name, path in paths.items():
        say(console, f"{name}: {path}")
