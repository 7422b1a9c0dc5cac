"""What a worker tells the driver: metadata only, never pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.choices import PLAIN, GpuTuning
from actors.core.precision_report import PrecisionReport
from actors.core.timings import FrameTiming, from_parquet, to_parquet, to_table

if TYPE_CHECKING:
    from actors.core.ranges import ClipRange


@dataclass(frozen=True, slots=True)
class FrameFailure:
    """One output frame that cannot be delivered, and why.

    Attributes:
        frame: which.
        reason: why; the same words for each frame that failed in the same way.
        values: the least and the greatest value of a prediction that cannot be shown, where they say something.
    """

    frame: int
    reason: str
    values: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class RangeReport:
    """The result of one range: a timing for each frame delivered, a reason for each that failed.

    Attributes:
        range: what was rendered.
        fragment: the delivered frames' timings as Parquet, ready to be put in place: the driver has a thousandth of a
            second for a range, and workers have more of them. Empty where no frame was delivered.
        failures: one per failed frame, ascending.
        seconds: how long the worker was at it; 0 where that is not known.
    """

    range: ClipRange
    fragment: bytes
    failures: tuple[FrameFailure, ...]
    seconds: float

    @classmethod
    def of(
        cls,
        rendered: ClipRange,
        timings: Sequence[FrameTiming],
        failures: tuple[FrameFailure, ...] = (),
        seconds: float = 0.0,
    ) -> RangeReport:
        """The report of a range with these timings, one per delivered frame, ascending."""
        return cls(rendered, to_parquet(to_table(timings)) if timings else b"", failures, seconds)

    @property
    def timings(self) -> tuple[FrameTiming, ...]:
        """One per delivered frame, ascending."""
        table = from_parquet(self.fragment)
        return tuple(FrameTiming(**row) for row in table.to_pylist()) if table is not None else ()


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker that is ready, and what it took to get there.

    Attributes:
        worker: the worker's number.
        node: Ray node id.
        host: host name of the node.
        pid: process id.
        device: ``cpu`` or the name of the GPU.
        cpu: the kind of its machine's processor, see `actors.network.cpu_kind.cpu_kind`.
        provider: ONNX Runtime's execution provider in use.
        batch: frames per inference (a fixed-batch export may force it).
        threads: ONNX Runtime's intra-op threads.
        cpu_nodes: graph nodes that a CUDA session left on the CPU, by operator; empty on a CPU session.
        import_seconds: loading the runtime.
        session_seconds: building the session.
        warm_seconds: warming every batch shape.
        notes: what the user should know, one line each.
        tuning: the options of its CUDA session.
        precision: how far its answers lie from those in fp32, where another precision was asked for.
    """

    worker: int
    node: str
    host: str
    pid: int
    device: str
    cpu: str
    provider: str
    batch: int
    threads: int
    cpu_nodes: tuple[str, ...]
    import_seconds: float
    session_seconds: float
    warm_seconds: float
    notes: tuple[str, ...]
    tuning: GpuTuning = PLAIN
    precision: PrecisionReport | None = None
