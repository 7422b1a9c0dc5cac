"""What a run took: totals, stages, workers, and the stage that limits; from the timing table alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from actors.core.timings import STAGES, numbers
from jobs.console import say, show

# Stages that a worker's finishing threads share, where it has any; every other stage has a thread of its own.
FINISHING = ("composite", "encode", "write")

# Seconds until a worker has its place, above which they are not what starting a process takes on a busy machine.
LONG_PLACE = 10.0

# What the places in `actors.core.seam.EDGES` are called.
EDGES = {"square": "the square's edge", "inner": "the network's edge", "mask": "the mask's edge"}


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


@dataclass(frozen=True, slots=True)
class NotRendering:
    """What most of a command's time went into instead of rendering.

    Attributes:
        stage: ``placement`` or ``start-up``.
        seconds: how long that took.
        whole: seconds of the whole command.
    """

    stage: str
    seconds: float
    whole: float


def not_rendering(seconds: float, steady_s: float, cold: Mapping[str, float]) -> NotRendering | None:
    """What limits a whole command more than any stage does: waiting for a place on the cluster, or starting up.

    Args:
        seconds: command start to exit.
        steady_s: first dispatch to last file.
        cold: the parts of `ColdStart` by name.
    """
    place = cold.get("place_s", 0.0)
    if place >= LONG_PLACE and place >= seconds / 4:
        return NotRendering("placement", place, seconds)
    return NotRendering("start-up", seconds - steady_s, seconds) if steady_s < seconds / 2 else None


def limiting_stage(stats: Sequence[StageStats], finishers: int) -> tuple[str, float]:
    """The stage that limits, or ``waiting``, and the part of the time that tells it.

    One stage after the other, that is the one with the largest share of the workers' time. Where stages run beside each
    other it is the one whose threads were busy for the largest part of the run: of the stages that share threads, the
    longest stands for all of them. ``waiting`` limits if all threads were idle for more than half of the run.

    Args:
        stats: `stage_stats` of the run, not empty.
        finishers: threads of each worker that finish frames beside its network; 0: one stage after the other.
    """
    if not finishers:
        top = max(stats, key=lambda stat: stat.share)
        return top.stage, top.share
    shares = {stat.stage: stat.share for stat in stats if stat.stage != "waiting"}
    finishing = {stage: share for stage, share in shares.items() if stage in FINISHING}
    busy = {stage: share for stage, share in shares.items() if stage not in FINISHING}
    if finishing:
        busy[max(finishing, key=lambda stage: finishing[stage])] = sum(finishing.values()) / finishers
    stage = max(busy, key=lambda stage: busy[stage], default="waiting")
    part = busy.get(stage, 0.0)
    return (stage, part) if part >= 0.5 else ("waiting", 1 - part)


def limiting(stats: Sequence[StageStats], finishers: int, besides: NotRendering | None = None) -> str:
    """One sentence that names what limits, and what helps: `not_rendering` before the stage of `limiting_stage`."""
    if not stats:
        return "nothing was rendered"
    stage, part = limiting_stage(stats, finishers)
    advice = {
        "gather": "making network input",
        "inference": "the network itself: only faster or more devices help",
        "composite": "resizing and pasting: more workers help",
        "encode": "encoding images: --format jpg is several times cheaper than png, or more workers",
        "write": "the storage under --out: a faster disk or --format jpg helps",
        "video": "encoding the video: more workers help",
        "waiting": "workers wait for backgrounds or have nothing left to do: fewer workers would do as well",
    }
    beside = finishers and stage != "waiting"
    share = f"its threads busy for {part:.0%} of the time" if beside else f"with {part:.0%} of the workers' time"
    said = f"{stage} limits, {share}: {advice[stage]}"
    if besides is None:
        return said
    seconds = f"{besides.seconds:.1f} of {besides.whole:.1f} s"
    if besides.stage == "placement":
        first = f"placement limits: the first worker waited for {seconds} for room on the cluster: free CPUs or GPUs"
    else:
        first = f"start-up limits: {seconds} were not rendering: longer runs come closer to fps_steady"
    # Workers of a short run have nothing to do at its ends, whatever their number.
    return first if stage == "waiting" else f"{first}; while rendering {said}"


def as_record(
    totals: Totals, stages: list[StageStats], workers: list[WorkerStats], seam: SeamStats | None, limits: str
) -> dict[str, Any]:
    """The figures as they stand in run.json; ``limits`` is `limiting`'s sentence."""
    return {
        "totals": asdict(totals),
        "stages": [asdict(stage) for stage in stages],
        "workers": [asdict(worker) for worker in workers],
        "seam": None if seam is None else asdict(seam),
        "limiting": limits,
    }


def print_summary(
    console: Console,
    totals: Totals,
    stages: list[StageStats],
    workers: list[WorkerStats],
    seam: SeamStats | None,
    limits: str,
) -> None:
    """The tables at the end of a run, and `limiting`'s sentence."""
    cold = totals.cold
    head = Table(title="run", title_justify="left", show_header=False, box=None, pad_edge=False)
    head.add_row("frames", f"{totals.frames} ({totals.rendered} rendered now, {totals.failed} failed)")
    head.add_row("fps_total", f"{totals.fps_total:.2f}   command start to exit, {totals.seconds:.1f} s")
    head.add_row("fps_steady", f"{totals.fps_steady:.2f}   first dispatch to last file, {totals.steady_s:.1f} s")
    head.add_row("cache load", f"{cold.cache_s:.2f} s   of loading tasks")
    head.add_row("warm-up", f"{cold.warm_s:.2f} s   (session {cold.session_s:.2f} s, Ray {cold.ray_s:.2f} s)")
    if seam is not None:
        head.add_row("seam", f"{seam.p50:.2f}   median, 1.0 is invisible; at most {seam.worst:.2f}, frame {seam.frame}")
    show(console, head)
    table = Table(title="ms per frame", title_justify="left")
    table.add_column("stage")
    for column in ("mean", "p50", "p99", "share"):
        table.add_column(column, justify="right")
    for stage in stages:
        tail = ("", "") if stage.stage == "waiting" else (f"{stage.p50_ms:.2f}", f"{stage.p99_ms:.2f}")
        table.add_row(stage.stage, f"{stage.mean_ms:.2f}", *tail, f"{stage.share:.0%}")
    show(console, table)
    table = Table(title="workers", title_justify="left")
    for column in ("worker", "node", "pid", "device", "frames", "busy s"):
        table.add_column(column, justify="right" if column in {"frames", "busy s", "pid"} else "left")
    for worker in workers:
        row = (str(worker.worker), worker.node[:8], str(worker.pid), worker.device, str(worker.frames))
        table.add_row(*row, f"{worker.busy_ms / 1e3:.1f}")
    show(console, table)
    say(console, limits)
