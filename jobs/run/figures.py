"""The figures of one command as ``run.json`` keeps them, and what all parts of that file are made of.

Times are Unix seconds, durations seconds, sizes bytes; frames are output frames.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

# What the places in `actors.core.seam.EDGES` are called.
EDGES = {"square": "the box's edge", "inner": "the network's edge", "mask": "the mask's edge"}

Moment: TypeAlias = Annotated[float, Field(ge=0, le=4e9, description="Unix seconds that a calendar has a date for.")]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=4e9)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1e9)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1 << 53)]


class RecordPart(BaseModel):
    """A part of the record.

    Keys that are not declared are kept as they are, so that a record with more of them is written again whole.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class ColdStart(RecordPart):
    """Seconds before the first range was given out, and after the last file stood.

    Attributes:
        import_s: start of the process until its own modules were loaded.
        read_s: reading and checking clip, model and sound.
        faces_s: finding the faces of footage without face boxes.
        ray_s: starting or joining Ray.
        session_s: the slowest worker's session, its runtime's import included.
        warm_s: the slowest worker's warm-up.
        cache_s: decoding and preparing backgrounds, the face encoder included, summed over the loading tasks (which run
            beside the sessions).
        wait_s: cluster joined until the first range was given out.
        finish_s: last file until the end: video, record, summary.
        place_s: of ``wait_s``, how long the first worker waited for its place on the cluster and for its process.
    """

    import_s: Seconds = 0.0
    read_s: Seconds = 0.0
    faces_s: Seconds = 0.0
    ray_s: Seconds = 0.0
    session_s: Seconds = 0.0
    warm_s: Seconds = 0.0
    cache_s: Seconds = 0.0
    wait_s: Seconds = 0.0
    finish_s: Seconds = 0.0
    place_s: Seconds = 0.0


class Totals(RecordPart):
    """The figures of one command.

    Attributes:
        frames: output frames asked for.
        rendered: of these, rendered by this command.
        failed: of these, not delivered.
        seconds: command start to exit.
        steady_s: first dispatch to last file on disk.
        fps_total: frames rendered by this command over all of its time.
        fps_steady: the same over ``steady_s``.
        cold: where the rest of the time went.
        prepare_s: processor time for what is done once per background, its encoding and the face encoder, summed over
            the loading tasks.
    """

    frames: Count
    rendered: Count
    failed: Count
    seconds: Seconds
    steady_s: Seconds
    fps_total: Rate
    fps_steady: Rate
    cold: ColdStart
    prepare_s: Seconds = 0.0


class StageStats(RecordPart):
    """Milliseconds per frame of one stage, and its share of the workers' time while they rendered."""

    stage: str
    mean_ms: float
    p50_ms: float
    p99_ms: float
    share: float


class WorkerStats(RecordPart):
    """What one worker process did."""

    worker: Count
    node: str
    pid: Count
    device: str
    frames: Count
    busy_ms: float


class FaceStats(RecordPart):
    """How many of the frames have no face box of their own; see `actors.core.faces.FaceOrigin`.

    Attributes:
        none: frames without a face, which show the background as it is.
        interpolated: frames whose face box lies between those of others.
    """

    none: Count
    interpolated: Count

    @property
    def sentence(self) -> str:
        """The figures in words."""
        parts = [f"{self.none} without a face"] if self.none else []
        return ", ".join([*parts, f"{self.interpolated} interpolated"] if self.interpolated else parts)


class SeamStats(RecordPart):
    """How visible the edges of the paste were over the frames; see `actors.core.seam`.

    Attributes:
        p50: the seam of half of the frames is no larger.
        p99: that of 99 in 100.
        worst: the largest of all.
        frame: the first frame that has it.
        edge: where it is there: ``square``, ``inner`` or ``mask``.
    """

    p50: float
    p99: float
    worst: float
    frame: Count
    edge: str

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return f"{self.p50:.2f} median, {self.worst:.2f} at most (frame {self.frame}, {EDGES[self.edge]})"
