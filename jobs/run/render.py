"""One render, from options to exit code: what is decided, dispatched and finished, and in which order."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from functools import partial

from rich.console import Console

from actors.core.clip import Clip, FrameSource
from actors.core.errors import ExitCode, InputError
from actors.core.kind import ModelKind
from actors.files.run_folder import RECORD
from jobs.clip.face_boxes import FaceBoxes
from jobs.cluster.connection import Cluster
from jobs.console import say
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.run.acquired import Acquired
from jobs.run.clip_faces import ClipFaces
from jobs.run.decide import RenderRequest
from jobs.run.execute import execute
from jobs.run.finish import StartTimes, finish, finish_rendered
from jobs.run.folder import clear, find_folder
from jobs.run.record_file import read_run_record
from jobs.run.resume import Remaining, audit_run


def render(options: CompositeOptions, console: Console, started: float) -> ExitCode:
    """Renders what the options say; see `ExitCode` for what the answer means.

    Args:
        options: what to render, and how.
        console: where to print.
        started: when the command began, on `time.perf_counter`: the record's times count from there.

    Raises:
        InputError: something given cannot be used; nothing has been written.
        StoppedError: the run cannot go on; what is finished stays valid.
        KeyboardInterrupt: the run was interrupted; what is finished stays valid.
    """
    times = StartTimes(started)
    folder = find_folder(options.out, options.inputs)
    with ExitStack() as folders:
        clusters = ExitStack()
        acquired = Acquired(folder.path, RECORD, "run", options.address, console, folders, clusters)
        try:
            with clusters:
                faces = ClipFaces(options, folder, acquired.lock, partial(_join, acquired, times), console)
                inputs = read_inputs(options, partial(_find_faces, faces, times))
                for warning in inputs.warnings:
                    say(console, f"warning: {warning}", style="yellow")
                times.read = time.perf_counter()
                mark = acquired.lock().mark
                earlier = read_run_record(folder) if acquired.exists and not options.restart else None
                request = RenderRequest(options, inputs, folder, mark, time.time(), earlier)
                if earlier is not None:
                    request.check_same_pixels(request.given_device)
                faces.keep()
                if earlier is None:
                    remaining = Remaining(list(inputs.frames))
                else:
                    remaining = audit_run(request.ledger, inputs.frames, folder, console)
                    if not remaining.frames:
                        finish_rendered(request, earlier, remaining, console)
                        return ExitCode.COMPLETE
                cluster = acquired.cluster()
                times.joined = time.perf_counter()
                outcome = execute(request, remaining, cluster, console)
        except InputError:
            # Only now has every worker ended that might still have been writing.
            if acquired.locked and not acquired.exists:
                with suppress(OSError):
                    clear(folder)
            raise
        finish(request, outcome, times, console)
    if outcome.error is not None:
        raise outcome.error
    return ExitCode.FRAMES_FAILED if outcome.failures else ExitCode.COMPLETE


def _find_faces(faces: ClipFaces, times: StartTimes, clip: Clip, frames: FrameSource, kind: ModelKind) -> FaceBoxes:
    began = time.perf_counter()
    try:
        return faces.boxes(clip, frames, kind)
    finally:
        times.faces += time.perf_counter() - began


def _join(acquired: Acquired, times: StartTimes) -> Cluster:
    began = time.perf_counter()
    try:
        return acquired.cluster()
    finally:
        times.ray += time.perf_counter() - began
