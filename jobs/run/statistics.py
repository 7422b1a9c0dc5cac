"""What a run took by stage and by worker, its faces and its seam; from the timing table alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.core.faces import FaceOrigin
from actors.core.timings import STAGES, numbers
from jobs.run.figures import FaceStats, SeamStats, StageStats, WorkerStats


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
            stage=stage.removesuffix("_ms"),
            mean_ms=float(times.mean()),
            p50_ms=float(np.quantile(times, 0.5)),
            p99_ms=float(np.quantile(times, 0.99)),
            share=float(times.sum()) / capacity,
        )
        for stage, times in spent.items()
        if times.any()
    ]
    idle = max(0.0, 1.0 - sum(stat.share for stat in stats))
    waiting = idle * capacity / count
    return [*stats, StageStats(stage="waiting", mean_ms=waiting, p50_ms=waiting, p99_ms=waiting, share=idle)]


def worker_stats(frames: pa.Table) -> list[WorkerStats]:
    """Frames and busy time by worker process, ascending."""
    busy = np.sum(list(stage_times(frames).values()), axis=0)
    names = [frames[name].to_pylist() for name in ("worker", "node", "pid", "device")]
    spent: defaultdict[tuple[int, str, int, str], list[float]] = defaultdict(list)
    for worker, node, pid, device, ms in zip(*names, busy.tolist(), strict=True):
        spent[worker, node, pid, device].append(ms)
    return [
        WorkerStats(worker=worker, node=node, pid=pid, device=device, frames=len(each), busy_ms=sum(each))
        for (worker, node, pid, device), each in sorted(spent.items())
    ]


def face_stats(faces: Iterable[str]) -> FaceStats | None:
    """How many frames have no face box of their own, by the column ``face``; ``None`` where each has one."""
    count = Counter(faces)
    none, interpolated = count[FaceOrigin.NONE], count[FaceOrigin.INTERPOLATED]
    return FaceStats(none=none, interpolated=interpolated) if none or interpolated else None


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
