"""The summary at the end of a run, on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from jobs.console import say, show
from jobs.run.figures import FaceStats, SeamStats, StageStats, Totals, WorkerStats


def print_summary(
    console: Console,
    totals: Totals,
    stages: list[StageStats],
    workers: list[WorkerStats],
    faces: FaceStats | None,
    seam: SeamStats | None,
    limits: str,
) -> None:
    """Prints the figures as tables, and what limits in a line."""
    cold = totals.cold
    head = Table(title="run", title_justify="left", show_header=False, box=None, pad_edge=False)
    head.add_row("frames", f"{totals.frames} ({totals.rendered} rendered now, {totals.failed} failed)")
    head.add_row("fps_total", f"{totals.fps_total:.2f}   command start to exit, {totals.seconds:.1f} s")
    head.add_row("fps_steady", f"{totals.fps_steady:.2f}   first dispatch to last file, {totals.steady_s:.1f} s")
    head.add_row("cache load", f"{cold.cache_s:.2f} s   of loading tasks")
    head.add_row("warm-up", f"{cold.warm_s:.2f} s   (session {cold.session_s:.2f} s, Ray {cold.ray_s:.2f} s)")
    if faces is not None:
        head.add_row("faces", faces.sentence)
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
