"""The parts of ``run.json`` that the report shows; whatever else stands there is left alone."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actors.core.errors import InputError
from actors.layout import record_path
from jobs.record import read_record

# Unix seconds that a calendar has a date for.
Moment: TypeAlias = Annotated[float, Field(ge=0, le=4e9)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Totals(_Part):
    """The figures of the last command; see `jobs.summary.Totals`."""

    frames: int
    rendered: int
    failed: int
    seconds: float
    steady_s: float
    fps_total: float
    fps_steady: float
    cold: dict[str, float]
    prepare_s: float = 0.0


class Blocks(_Part):
    """How backgrounds lie in the object store; see `jobs.plan.BlockPlan`."""

    frames: int
    count: int
    capacity: int
    bytes: int


class Plan(_Part):
    """How the work was laid out; ``finishers`` are a worker's threads that finish frames beside its network."""

    blocks: Blocks
    background_bytes: int
    faces: bool = False
    ranges: int
    workers: int
    threads: int
    batch: int
    finishers: int = 0


class Device(_Part):
    """ONNX Runtime's provider, and why it was chosen."""

    provider: str
    reason: str


class Cluster(_Part):
    """What Ray had when the command began."""

    cpus: float
    gpus: float
    nodes: tuple[str, ...]
    store: int


class ReadyWorker(_Part):
    """One worker process that became ready; see `actors.core.report.WorkerReport`."""

    worker: int
    node: str
    host: str
    pid: int
    device: str
    provider: str
    strips: int = 1
    notes: tuple[str, ...] = ()


class Failure(_Part):
    """One frame that was not delivered; see `actors.core.report.FrameFailure`."""

    frame: int
    reason: str
    values: tuple[float, float] | None = None


class Model(_Part):
    """The network's file."""

    path: str
    sha256: str


class Clip(_Part):
    """What the clip was taken for."""

    id: str
    form: str
    backgrounds: int


class RunRecord(_Part):
    """A run's record. What only a command that came to its end writes is ``None`` or empty until then."""

    status: str
    started_at: Moment
    frames: tuple[int, int]
    options: dict[str, Any]
    identity: dict[str, Any]
    model: Model
    clip: Clip
    device: Device
    cluster: Cluster
    plan: Plan
    versions: dict[str, str] = {}
    hardware: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    reason: str = ""
    finished_at: Moment | None = None
    totals: Totals | None = None
    workers_ready: tuple[ReadyWorker, ...] = ()
    failures: tuple[Failure, ...] = ()
    deaths: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    blocks_lost: int = 0
    cache_bytes: int = 0


def read_run_record(out: str) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        InputError: there is no run, or its record cannot be used.
    """
    found = read_record(out)
    if found is None:
        raise InputError(out, "holds no run of mouthpiece", "name the folder that was given as --out")
    try:
        return RunRecord.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            record_path(out), f"is not a record that can be shown ({where}: {first['msg']})", "render the clip again"
        ) from error
