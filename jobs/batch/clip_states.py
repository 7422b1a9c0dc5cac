"""What the table says of a clip that has come to an end, by how it did. Pure but for the clock."""

from __future__ import annotations

import time

from actors.core.errors import InputError, StoppedError, one_line
from jobs.batch.batch_clip import BatchClip
from jobs.batch.clip_steps import Ended, Rendered
from jobs.run.clip_table import ClipState, ClipStatus

# What a run's record says of its end, where that is not an early one.
ENDS = {"complete": ClipStatus.DONE, "frames_failed": ClipStatus.FAILED}


def found_state(clip: BatchClip, rendered: Rendered) -> ClipState:
    """Of a clip of which an earlier command has left nothing to do."""
    return ClipState(
        id=clip.row.id,
        state=ClipStatus.DONE,
        frames=rendered.frames,
        seconds=rendered.seconds,
        fps=rendered.fps,
        started=rendered.started,
        ended=rendered.ended,
        options=clip.digest,
    )


def ended_state(clip: BatchClip, ended: Ended, fault: BaseException | None) -> ClipState:
    """Of a clip that was rendered, as far as ``fault`` let it."""
    status = ENDS.get(ended.status, ClipStatus.STOPPED)
    return ClipState(
        id=clip.row.id,
        state=ClipStatus.FAILED if isinstance(fault, InputError) else status,
        frames=ended.frames,
        failed_frames=ended.failed,
        seconds=ended.seconds,
        fps=ended.fps,
        started=clip.start.started_at if clip.start is not None else None,
        ended=time.time(),
        error=one_line(ended.error),
        options=clip.digest,
    )


def refused_state(name: str, digest: str, error: InputError | StoppedError) -> ClipState:
    """Of a clip of which nothing is rendered."""
    status = ClipStatus.FAILED if isinstance(error, InputError) else ClipStatus.STOPPED
    return ClipState(name, status, error=one_line(str(error)), options=digest, ended=time.time())
