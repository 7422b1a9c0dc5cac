"""``simulate``: what scheduling costs, with workers that only sleep."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from actors.core.errors import ExitCode
from jobs.console import say, terminal
from jobs.diagnostics.driver_use import SETTLED
from jobs.diagnostics.simulation import simulate as run

MIB = 1 << 20


def simulate(
    workers: Annotated[int, typer.Option(help="Workers that sleep instead of rendering.", min=1)] = 64,
    latency: Annotated[float, typer.Option(help="Milliseconds per frame.", min=0.1)] = 20.0,
    seconds: Annotated[float, typer.Option(help="About how long, not counting the start.", min=1)] = 30.0,
    clips: Annotated[
        int | None, typer.Option(help="Instead a batch of so many clips of a few frames each.", min=1)
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster. \\[default: $RAY_ADDRESS, else local]")] = None,
) -> int:
    """Measure what scheduling costs: the real scheduler and dispatch loop, and workers that only sleep."""
    console = terminal()
    if clips is not None:
        _simulate_batch(clips, workers, latency / 1e3, address, console)
        return int(ExitCode.COMPLETE)
    found = run(workers, latency / 1e3, seconds, address, console)
    say(console, f"{found.workers} workers, {found.frames} frames in {found.ranges} ranges, {found.seconds:.1f} s")
    say(console, f"{found.efficiency:.1%} of linear")
    say(
        console,
        f"driver: {found.schedule_ms:.2f} ms of CPU per range for scheduling, {found.ledger_ms:.2f} ms for the ledger;"
        f" Ray's own threads in it {found.ray_ms:.2f} ms",
    )
    return int(ExitCode.COMPLETE)


def _simulate_batch(clips: int, workers: int, latency: float, address: str | None, console: Console) -> None:
    # Imported here: other simulations must not wait for what only this one needs.
    from jobs.diagnostics.batch_simulation import simulate_batch  # noqa: PLC0415

    found = simulate_batch(clips, workers, latency, address, console)
    use = found.use
    say(console, f"{found.clips} clips of {found.frames} frames, {workers} workers, {use.seconds:.1f} s")
    say(
        console,
        f"driver: {use.clip_ms:.2f} ms of CPU per clip, its ranges included; Ray's own threads in it"
        f" {use.others_ms:.2f} ms",
    )
    held = f"{use.settled / MIB:.0f} MiB when {SETTLED} clips were done, at most {use.grown / MIB:.1f} MiB more since"
    say(console, f"driver: {held}" if use.settled else f"driver: {use.most / MIB:.0f} MiB")
