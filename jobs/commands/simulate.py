"""``simulate``: what scheduling costs, with workers that only sleep."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.core.errors import ExitCode
from jobs.console import say, terminal
from jobs.diagnostics.simulation import simulate as run


def simulate(
    workers: Annotated[int, typer.Option(help="Workers that sleep instead of rendering.", min=1)] = 64,
    latency: Annotated[float, typer.Option(help="Milliseconds per frame.", min=0.1)] = 20.0,
    seconds: Annotated[float, typer.Option(help="About how long, not counting the start.", min=1)] = 30.0,
    address: Annotated[str | None, typer.Option(help="Ray cluster. \\[default: $RAY_ADDRESS, else local]")] = None,
) -> int:
    """Measure what scheduling costs: the real scheduler and dispatch loop, and workers that only sleep."""
    console = terminal()
    found = run(workers, latency / 1e3, seconds, address, console)
    say(console, f"{found.workers} workers, {found.frames} frames in {found.ranges} ranges, {found.seconds:.1f} s")
    say(console, f"{found.efficiency:.1%} of linear")
    say(
        console,
        f"driver: {found.schedule_ms:.2f} ms of CPU per range for scheduling, {found.ledger_ms:.2f} ms for the ledger;"
        f" Ray's own threads in it {found.ray_ms:.2f} ms",
    )
    return int(ExitCode.COMPLETE)
