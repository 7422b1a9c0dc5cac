"""``run.json``: what a run was asked for, with what, on what, and what came of it. The one model of that file.

`jobs.run.record_file` reads and writes it. Times are Unix seconds, durations seconds, sizes bytes; frames are output
frames, and a range is ``[first, end]``, its end not included.
"""

from __future__ import annotations

from typing import Any, Literal, Self, TypeAlias

from pydantic import AliasChoices, Field, model_validator

from actors.core.choices import PLAIN, Device, GpuTuning, ImageFormat
from actors.core.kind import FaceTensor
from actors.core.ranges import FrameRange
from jobs.run.figures import (
    Count,
    FaceStats,
    Moment,
    Rate,
    RecordPart,
    SeamStats,
    Seconds,
    StageStats,
    Totals,
    WorkerStats,
)

# Format of run.json; raised when a key changes its meaning. Version 1 had sentences for deaths and ranges.
VERSION = 2

# What a record begins with when it is written.
FIRST = ("version", "id", "status", "started_at", "options", "frames")

# File names have nine digits for a frame.
MOST_FRAMES = 10**9

Scalar: TypeAlias = str | bool | int | float | None
Range: TypeAlias = tuple[Count, Count]


class Blocks(RecordPart):
    """How backgrounds lie in the object store; see `jobs.planning.block_plan.BlockPlan`."""

    frames: Count
    count: Count
    capacity: Count
    bytes: Count


class RecordedPlan(RecordPart):
    """How the work was laid out.

    Attributes:
        blocks: of backgrounds.
        background_bytes: size of all backgrounds as they are held.
        faces: whether the face encoder was run ahead.
        ranges: how many there were at first.
        workers: how many were planned.
        threads: of each worker's session.
        batch: frames per inference.
        gpus: share of a GPU of each worker.
        compositing_threads: a worker's threads that composite, encode and write frames beside its network.
        tuning: options of each session on a GPU.
        resources: what each worker asked Ray for.
    """

    blocks: Blocks
    background_bytes: Count
    faces: bool = False
    ranges: Count
    workers: Count
    threads: Count
    batch: Count
    gpus: Rate = 0.0
    # The other name stands in records of earlier versions.
    compositing_threads: Count = Field(default=0, validation_alias=AliasChoices("compositing_threads", "finishers"))
    tuning: GpuTuning = PLAIN
    resources: dict[str, Rate] = Field(default_factory=dict)


class RecordedDevice(RecordPart):
    """ONNX Runtime's provider, and why it was chosen."""

    provider: str
    reason: str

    @property
    def on_gpus(self) -> bool:
        """Whether the network ran on GPUs."""
        return self.provider != Device.CPU.provider


class RecordedCluster(RecordPart):
    """What Ray had when the attempt began; see `jobs.cluster.connection.ClusterResources`."""

    cpus: Rate
    gpus: Rate
    nodes: tuple[str, ...]
    rendering: tuple[str, ...] = ()
    store: Count
    smallest_node_cpus: Rate = 0.0
    gpu_node_cpus: Rate = 0.0
    gpu_memory: Count = 0


class ReadyWorker(RecordPart):
    """One worker process that became ready; see `actors.core.worker_reports.WorkerReport`."""

    worker: Count
    node: str
    host: str
    pid: Count
    device: str
    cpu: str = ""
    provider: str
    batch: Count = 0
    threads: Count = 0
    cpu_nodes: tuple[str, ...] = ()
    import_seconds: Seconds = 0.0
    session_seconds: Seconds = 0.0
    warm_seconds: Seconds = 0.0
    notes: tuple[str, ...] = ()
    tuning: GpuTuning = PLAIN


class WorkerDeath(RecordPart):
    """One worker that died; see `jobs.scheduling.deaths.Death`.

    Attributes:
        worker: its slot.
        pid: its process, ``None`` if it had not become ready.
        reason: all that is known.
        ranges: how many it had, which were given out again or failed; ``None`` where version 1 did not say.
        replaced: whether another was started in its place; likewise.
    """

    worker: Count
    pid: Count | None
    reason: str
    ranges: Count | None = None
    replaced: bool | None = None

    def __str__(self) -> str:
        return f"worker {self.worker}{'' if self.pid is None else f' (pid {self.pid})'}: {self.reason}"


class Failure(RecordPart):
    """One frame that was not delivered; see `actors.core.worker_reports.FrameFailure`."""

    frame: Count
    reason: str
    values: tuple[float, float] | None = None


class RecordedPrecision(RecordPart):
    """How far the frames lie from those in fp32; see `actors.core.precision_report.PrecisionReport`.

    ``psnr`` is ``None`` where all are equal.
    """

    frames: Count
    worst: Count
    mean: float
    psnr: float | None


class Model(RecordPart):
    """The network's file, and which tensor of it is which; see `actors.core.kind.ModelTensors`."""

    path: str
    sha256: str
    image: str = ""
    audio: str = ""
    output: str = ""
    batch: Count | None = None
    opset: Count = 0
    external: tuple[str, ...] = ()
    face: tuple[FaceTensor, ...] = ()
    plain: bool = True
    quantised: tuple[str, ...] = ()


class RecordedClip(RecordPart):
    """What the clip was taken for."""

    id: str
    form: str
    backgrounds: Count


class Video(RecordPart):
    """The finished video, by which it is known again, and what it was joined of."""

    bytes: Count
    checksum: str
    frames: Range | None = None
    sound: str | None = None


class Troubles(RecordPart):
    """What went wrong in an attempt and was dealt with.

    Attributes:
        deaths: workers that died, in order.
        retried: ranges given out again, in order.
        split: ranges cut in two after killing twice.
        blocks_lost: how often a block had to be loaded again.
    """

    deaths: tuple[WorkerDeath, ...] = ()
    retried: tuple[Range, ...] = ()
    split: tuple[Range, ...] = ()
    blocks_lost: Count = 0


class Attempt(Troubles):
    """What one command did for the run; see `jobs.run.attempts`.

    Attributes:
        status: ``running``, ``complete``, ``frames_failed``, ``stopped`` or ``interrupted``.
        started_at: when the command had read its inputs.
        finished_at: when it came to its end; ``None`` if it never did, and then there are no totals either.
        reason: why it ended early, or empty.
        frames: the output frames that it asked for.
        device: what the network ran on.
        totals: the command's figures.
        stages: figures by stage.
        workers: figures by worker process.
        faces: how many frames have no face box of their own; ``None`` where each has one.
        seam: how visible the edges of the paste were; ``None`` where nothing was composited.
        limiting: one sentence that names what limits.
        workers_ready: every worker process that became ready, in order.
        cache_bytes: size of all blocks loaded.
    """

    status: str
    started_at: Moment
    finished_at: Moment | None = None
    reason: str = ""
    frames: Range | None = None
    device: RecordedDevice | None = None
    totals: Totals | None = None
    stages: tuple[StageStats, ...] = ()
    workers: tuple[WorkerStats, ...] = ()
    faces: FaceStats | None = None
    seam: SeamStats | None = None
    limiting: str = ""
    workers_ready: tuple[ReadyWorker, ...] = ()
    cache_bytes: Count = 0


class RunRecord(Attempt):
    """A run's record; as an attempt it is the last one that rendered something, or failed.

    Attributes:
        version: of this format.
        id: of the run.
        frames: the output frames that the last command asked for.
        options: of the last command; see `jobs.inputs.options.CompositeOptions`.
        identity: what decides the pixels; see `jobs.inputs.inputs.Inputs.identity`.
        model: the network.
        clip: what was rendered.
        device: what the network ran on.
        cluster: what Ray had.
        plan: how the work was laid out.
        precision: how far the frames lie from those in fp32, where another precision was asked for.
        versions: of Python and of packages, by name.
        hardware: the driver's machine.
        warnings: what was said of the inputs.
        failures: frames that were not delivered.
        video: the finished video, or ``None``.
        attempts: every command that rendered something or failed, oldest first.
    """

    version: Literal[2]
    id: str = ""
    frames: Range
    options: dict[str, Scalar]
    identity: dict[str, Scalar]
    model: Model
    clip: RecordedClip
    device: RecordedDevice
    cluster: RecordedCluster
    plan: RecordedPlan
    precision: RecordedPrecision | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: dict[str, Scalar] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    video: Video | None = None
    attempts: tuple[Attempt, ...] = ()

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        first, stop = self.frames
        if not first < stop <= MOST_FRAMES:
            raise ValueError(f"frames: {first} to {stop} are no frames")
        if self.options.get("composite") is not False and self.options.get("format") not in list(ImageFormat):
            raise ValueError(f"options.format: there is no {self.options.get('format')}")
        if self.identity.get("device") not in {None, *(device.provider for device in Device)}:
            raise ValueError(f"identity.device: there is no {self.identity.get('device')}")
        return self

    @property
    def began_on(self) -> Device | None:
        """What the frames are made on; ``None`` where the record does not say."""
        provider = self.identity.get("device")
        return None if provider is None else Device.of_provider(str(provider))

    @property
    def wanted(self) -> FrameRange:
        """The output frames that the last command asked for."""
        return FrameRange(*self.frames)

    @property
    def image_format(self) -> ImageFormat:
        """Format of the frame files; none where nothing was composited."""
        name = self.options.get("format") if self.options.get("composite") is not False else ImageFormat.NONE
        return ImageFormat(str(name))

    @property
    def joins_video(self) -> bool:
        """Whether the last command asked for a video."""
        return self.options.get("video") is True

    @property
    def happened(self) -> Troubles:
        """What went wrong in all attempts together."""
        closed = self.attempts if any(one.started_at == self.started_at for one in self.attempts) else ()
        every: tuple[Troubles, ...] = closed or (*self.attempts, self)
        return Troubles(
            deaths=tuple(death for one in every for death in one.deaths),
            retried=tuple(frames for one in every for frames in one.retried),
            split=tuple(frames for one in every for frames in one.split),
            blocks_lost=sum(one.blocks_lost for one in every),
        )

    def as_json(self) -> dict[str, Any]:
        """The record as JSON has it, with whatever else stood in it."""
        whole = self.model_dump(mode="json", exclude_unset=True)
        return {name: whole[name] for name in FIRST if name in whole} | whole
