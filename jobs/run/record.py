"""What ``run.json`` must say to be gone on with, verified or shown: the one place where it is read and bounded.

`jobs.run.record_file` writes it. A file that was damaged or made up gives one line about the first thing that cannot
be, and takes memory in proportion to its size only.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from actors.core.choices import ImageFormat
from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.clip.files import is_file, load, parse_json, show

# Format of run.json; raised when a key changes its meaning.
VERSION = 1

# Bytes of run.json, which no run comes near, and how deep its values may nest. Parsed, a byte may take twenty.
LARGEST = 16 << 20
DEEPEST = 32

# What a record begins with when it is written again.
FIRST = ("version", "id", "status", "started_at", "options", "frames")

# File names have nine digits for a frame.
MOST_FRAMES = 10**9

Moment: TypeAlias = Annotated[float, Field(ge=0, le=4e9, description="Unix seconds that a calendar has a date for.")]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=4e9)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1e9)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1 << 53)]
Scalar: TypeAlias = str | bool | int | float | None


class _Part(BaseModel):
    """Keys that are not declared are kept as they are, so that a record can be written again whole."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class RecordedTotals(_Part):
    """The figures of an attempt; see `jobs.run.statistics.RecordedTotals`."""

    frames: Count
    rendered: Count
    failed: Count
    seconds: Seconds
    steady_s: Seconds
    fps_total: Rate
    fps_steady: Rate
    cold: dict[str, Seconds]
    prepare_s: Seconds = 0.0


class Blocks(_Part):
    """How backgrounds lie in the object store; see `jobs.planning.block_plan.BlockPlan`."""

    frames: Count
    count: Count
    capacity: Count
    bytes: Count


class RecordedPlan(_Part):
    """How the work was laid out; ``finishers`` are a worker's threads that finish frames beside its network."""

    blocks: Blocks
    background_bytes: Count
    faces: bool = False
    ranges: Count
    workers: Count
    threads: Count
    batch: Count
    finishers: Count = 0


class RecordedDevice(_Part):
    """ONNX Runtime's provider, and why it was chosen."""

    provider: str
    reason: str


class RecordedCluster(_Part):
    """What Ray had when the attempt began."""

    cpus: Rate
    gpus: Rate
    nodes: tuple[str, ...]
    store: Count


class ReadyWorker(_Part):
    """One worker process that became ready; see `actors.core.worker_reports.WorkerReport`."""

    worker: Count
    node: str
    host: str
    pid: Count
    device: str
    cpu: str = ""
    provider: str
    notes: tuple[str, ...] = ()


class Failure(_Part):
    """One frame that was not delivered; see `actors.core.worker_reports.FrameFailure`."""

    frame: Count
    reason: str
    values: tuple[float, float] | None = None


class Model(_Part):
    """The network's file."""

    path: str
    sha256: str


class RecordedClip(_Part):
    """What the clip was taken for."""

    id: str
    form: str
    backgrounds: Count


class Video(_Part):
    """The finished video, by which it is known again, and what it was joined of."""

    bytes: Count
    checksum: str
    frames: tuple[Count, Count] | None = None
    sound: str | None = None


class Troubles(_Part):
    """What went wrong in an attempt and was dealt with."""

    deaths: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    blocks_lost: Count = 0


class Attempt(Troubles):
    """What one command did for the run; see `jobs.run.attempts`. Without totals its driver never came to its end."""

    status: str
    started_at: Moment
    reason: str = ""
    finished_at: Moment | None = None
    totals: RecordedTotals | None = None
    workers_ready: tuple[ReadyWorker, ...] = ()


class RunRecord(Attempt):
    """A run's record; as an attempt it is the last one that rendered something, or failed.

    What only a command that came to its end writes is ``None`` or empty until then.
    """

    version: Literal[1]
    frames: tuple[Count, Count]
    options: dict[str, Scalar]
    identity: dict[str, Scalar]
    model: Model
    clip: RecordedClip
    device: RecordedDevice
    cluster: RecordedCluster
    plan: RecordedPlan
    versions: dict[str, str] = {}
    hardware: dict[str, Scalar] = {}
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    video: Video | None = None
    cache_bytes: Count = 0
    attempts: tuple[Attempt, ...] = ()

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        first, stop = self.frames
        if not first < stop <= MOST_FRAMES:
            raise ValueError(f"frames: {first} to {stop} are no frames")
        if self.options.get("composite") is not False and self.options.get("format") not in list(ImageFormat):
            raise ValueError(f"options.format: there is no {self.options.get('format')}")
        if self.identity.get("device") not in {"CPUExecutionProvider", "CUDAExecutionProvider", None}:
            raise ValueError(f"identity.device: there is no {self.identity.get('device')}")
        return self

    @property
    def asked(self) -> FrameRange:
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
            deaths=tuple(line for one in every for line in one.deaths),
            retried=tuple(line for one in every for line in one.retried),
            split=tuple(line for one in every for line in one.split),
            blocks_lost=sum(one.blocks_lost for one in every),
        )

    def as_written(self) -> dict[str, Any]:
        """The record as JSON has it, with whatever else stood in it."""
        said = self.model_dump(mode="json", exclude_unset=True)
        return {name: said[name] for name in FIRST if name in said} | said


def find_run(folder: RunFolder) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        InputError: there is no run, its record cannot be used, or the folder cannot be read.
    """
    try:
        found = storage.entry(folder.path)
    except OSError as error:
        raise InputError(str(folder), f"cannot be read ({error})", "check the path and its permissions") from error
    if found is None:
        raise InputError(str(folder), "there is no such folder", "name the folder that was given as --out")
    if not found.is_folder:
        raise InputError(str(folder), "is a file", "name the folder that was given as --out")
    record = read_run_record(folder)
    if record is None:
        raise InputError(str(folder), "holds no run of mouthpiece", "name the folder that was given as --out")
    return record


def read_run_record(folder: RunFolder) -> RunRecord | None:
    """The record of the run in a folder; ``None`` where there is none.

    Raises:
        InputError: there is a run.json that is not ours, is damaged or cannot be read.
    """
    path = str(folder.record)
    if not is_file(path):
        return None
    fix = "put a whole one back, begin anew with --restart, or name another --out"
    try:
        found = parse_json(load(path, LARGEST), path)
        _check_values(found)
    except InputError as error:
        raise InputError(path, error.problem, fix) from error
    except ValueError as error:
        raise InputError(path, f"is not a record of a run ({error})", fix) from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise InputError(path, "is not a run of this version of mouthpiece", "choose another --out")
    try:
        return RunRecord.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            problem = f"{where} is missing"
        elif where:
            problem = f"{where} cannot be {show(first['input'])}"
        else:
            problem = str(first["ctx"]["error"])  # of our own check
        raise InputError(path, f"is not a record of a run ({problem})", fix) from error


def _check_values(value: object, depth: int = 0) -> None:
    """Raises a ValueError where a value cannot be written again, or nests so deep that it was made to."""
    if depth > DEEPEST:
        raise ValueError(f"its values nest deeper than {DEEPEST}")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_values(name, depth + 1)
            _check_values(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
    elif isinstance(value, str) and not value.isascii():
        value.encode()  # lone surrogates are no text: a ValueError
