"""``soak``: renders again and again while workers and drivers are killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.core.errors import ExitCode
from jobs.console import say, terminal
from jobs.demo.demo_clip import demo_folder, write_demo_clip, write_demo_model
from jobs.diagnostics.endurance import soak as run_soak


def soak(
    minutes: Annotated[
        float,
        typer.Option(
            min=0.01, help="How long to go on starting renders, and until both a worker and a driver were killed."
        ),
    ] = 10.0,
    kill_every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between kills, on average; a range at least.")
    ] = 5.0,
    out: Annotated[Path, typer.Option(help="Folder for the clip, the model and the runs.")] = Path("soak-run"),
    seed: Annotated[int, typer.Option(help="Of the choice of victims, moments and layouts.")] = 0,
) -> int:
    """Render the demo clip again and again while workers and drivers are killed; compare every frame each time.

    Exit code 0: no frame was lost. 1: frames were.
    """
    console = terminal()
    folder = demo_folder(out, ("clip", "mouth.onnx", "undisturbed", "run"))
    clip, model = folder / "clip", folder / "mouth.onnx"
    write_demo_model(model)
    write_demo_clip(clip)
    tally = run_soak(clip, model, folder, minutes, kill_every, seed, console)
    say(console, f"renders: {tally.renders}")
    say(console, f"kills survived: {tally.workers_killed} workers, {tally.drivers_killed} drivers")
    say(console, f"runs that stopped by themselves and were started again: {tally.stops}")
    if tally.last_stop:
        say(console, f"the last of them said: {tally.last_stop}")
    say(console, f"frames checked: {tally.frames_checked}")
    say(console, f"frames lost: {tally.frames_lost}")
    say(
        console,
        f"memory of the cluster's own processes: {tally.memory_start / 2**20:.0f} MiB at the start,"
        f" {tally.memory_end / 2**20:.0f} MiB at the end",
    )
    return int(ExitCode.FRAMES_FAILED if tally.frames_lost else ExitCode.COMPLETE)
