"""What a run took: totals, stages, workers and seam; from the timing table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.core.timings import STAGES, numbers

# What the places in `actors.core.seam.EDGES` are called.
EDGES = {"square": "the box's edge", "inner": "the network's edge", "mask": "the mask's edge"}


@dataclass(frozen=True, slots=True)
class StageStats:
    """Milliseconds per frame of one stage, and its share of the workers' time while they rendered."""

    stage: str
    mean_ms: float
    p50_ms: float
    p99_ms: float
    share: float


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """What one worker did."""

    worker: int
    node: str
    pid: int
    device: str
    frames: int
    busy_ms: float


@dataclass(frozen=True, slots=True)
class SeamStats:
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
    frame: int
    edge: str

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return f"{self.p50:.2f} median, {self.worst:.2f} at most (frame {self.frame}, {EDGES[self.edge]})"


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds before the first range was given out, and after the last file stood.

    Attributes:
        import_s: command start until its own modules were loaded.
        read_s: reading and checking clip, model and sound.
        ray_s: starting or joining Ray.
        session_s: the slowest worker's session, its runtime's import included.
        warm_s: the slowest worker's warm-up.
        cache_s: decoding and preparing backgrounds, the face encoder included, summed over the loading tasks (which run
            beside the sessions).
        wait_s: cluster joined until the first range was given out.
        finish_s: last file until the end: video, record, summary.
        place_s: of ``wait_s``, how long the first worker waited for its place on the cluster and for its process.
    """

    import_s: float
    read_s: float
    ray_s: float
    session_s: float
    warm_s: float
    cache_s: float
    wait_s: float
    finish_s: float
    place_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """A run's figures.

    Attributes:
        frames: output frames asked for.
        rendered: of these, rendered by this command.
        failed: of these, not delivered.
        seconds: command start to exit.
        fps_total: frames rendered by this command over all of its time.
        fps_steady: the same over first dispatch to last file on disk.
        steady_s: first dispatch to last file on disk.
        prepare_s: processor time for what is done once per background, its encoding and the face encoder, summed over
            the loading tasks.
        cold: where the rest went.
    """

    frames: int
    rendered: int
    failed: int
    seconds: float
    steady_s: float
    prepare_s: float
    fps_total: float
    fps_steady: float
    cold: ColdStart


def stage_times(frames: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of every frame by stage: the columns `STAGES` of the timing table."""
    return {stage: numbers(frames, stage) for stage in STAGES}


def stage_stats(spent: Mapping[str, NDArray[np.float64]], workers: int, steady_s: float) -> list[StageStats]:
    """Statistics by stage; the time in which workers had nothing to do is the last row, ``waiting``.

    Args:
        spent: milliseconds of every frame by stage.
        workers: how many workers rendered them.
        steady_s: first dispatch to last file.
    """
    count = len(next(iter(spent.values())))
    if not count:
        return []
    capacity = max(workers * steady_s * 1e3, 1e-9)
    stats = [
        StageStats(
            stage.removesuffix("_ms"),
            float(times.mean()),
            float(np.quantile(times, 0.5)),
            float(np.quantile(times, 0.99)),
            float(times.sum()) / capacity,
        )
        for stage, times in spent.items()
        if times.any()
    ]
    idle = max(0.0, 1.0 - sum(stat.share for stat in stats))
    waiting = idle * capacity / count
    return [*stats, StageStats("waiting", waiting, waiting, waiting, idle)]


def worker_stats(frames: pa.Table) -> list[WorkerStats]:
    """Frames and busy time by worker process, ascending."""
    busy = np.sum(list(stage_times(frames).values()), axis=0)
    names = [frames[name].to_pylist() for name in ("worker", "node", "pid", "device")]
    found: dict[tuple[int, str, int], WorkerStats] = {}
    for worker, node, pid, device, ms in zip(*names, busy.tolist(), strict=True):
        key = (worker, node, pid)
        before = found.get(key, WorkerStats(worker, node, pid, device, 0, 0.0))
        found[key] = replace(before, frames=before.frames + 1, busy_ms=before.busy_ms + ms)
    return [found[key] for key in sorted(found)]


def seam_stats(frames: Sequence[int], seams: NDArray[np.float64], edges: Sequence[str]) -> SeamStats | None:
    """Statistics of the seam; ``None`` where nothing was composited.

    Args:
        frames: numbers of the frames.
        seams: the measure of each, 0 where there is none.
        edges: where each is.
    """
    seen = np.flatnonzero(seams)
    if not len(seen):
        return None
    worst = min(seen.tolist(), key=lambda row: (-seams[row], frames[row]))
    return SeamStats(
        p50=float(np.quantile(seams[seen], 0.5)),
        p99=float(np.quantile(seams[seen], 0.99)),
        worst=float(seams[worst]),
        frame=int(frames[worst]),
        edge=str(edges[worst]),
    )


def as_record(
    totals: Totals, stages: list[StageStats], workers: list[WorkerStats], seam: SeamStats | None
) -> dict[str, Any]:
    """The figures as they stand in run.json."""
    return {
        "totals": asdict(totals),
        "stages": [asdict(stage) for stage in stages],
        "workers": [asdict(worker) for worker in workers],
        "seam": None if seam is None else asdict(seam),
    }
