"""``benchmark``: this renderer beside the bare network and the programs that users have today."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from actors.core.choices import Device
from actors.core.errors import ExitCode, InputError
from actors.files import storage
from jobs.benchmark.matrix import Output, Regime, System, cells
from jobs.console import say, terminal
from jobs.run.folder import check_folder_name

# Repeats, and seconds of rendering in the shortest trials.
BRIEF = (3, 2.0)
FULL = (5, 5.0)
# Clips of one command.
ROWS = 40
# Values of these are places on the user's machine, which are nobody's business.
PATHS = frozenset({"out", "clip", "model", "rects"})


class Written(StrEnum):
    """Formats that can be asked for."""

    JPG = "jpg"
    PNG = "png"
    VIDEO = "video"


# No baseline makes video, and the default has ten minutes.
STILLS = (Written.JPG, Written.PNG)


def benchmark(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the results, and for all files while it runs.")],
    clip: Annotated[str | None, typer.Option(help="Clip folder or video file. \\[default: the demo's]")] = None,
    model: Annotated[str | None, typer.Option(help="ONNX network. \\[default: one with random weights]")] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Kind of the networks. \\[default: the model's, else the demo's]"),
    ] = None,
    rects: Annotated[str | None, typer.Option(help="Face boxes, either JSON form. \\[default: the clip's]")] = None,
    rect: Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="One face box for all frames.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.CPU,
    full: Annotated[bool, typer.Option("--full", help="Everything: all formats, sweeps, long runs.")] = False,
    system: Annotated[list[System] | None, typer.Option(help="Only these; may be repeated. \\[default: all]")] = None,
    regime: Annotated[list[Regime] | None, typer.Option(help="Only these networks. \\[default: both]")] = None,
    format_: Annotated[
        list[Written] | None, typer.Option("--format", help="Only these. \\[default: jpg and png, with --full all]")
    ] = None,
    many_clips: Annotated[
        bool, typer.Option("--many-clips", help="Many clips in one command, and nothing else; --full measures it too.")
    ] = False,
    rows: Annotated[int | None, typer.Option(min=1, help="Clips of that command, 2 s each. \\[default: 40]")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Of each trial. \\[default: 3, with --full 5]")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Of rendering in the shortest trials. \\[default: 2, with --full 5]"),
    ] = None,
) -> int:
    """Measure this renderer, the bare network and eight other programs, interleaved, every frame compared.

    Writes benchmark.json and benchmark.md. Exit code 0: everything was measured. 1: a system failed or rendered wrong
    frames, and has no figure. Goals that are missed are shown; they change no exit code.
    """
    # Imported here: the other commands must not wait for what only this one needs.
    from jobs.benchmark.benchmark_file import Report  # noqa: PLC0415
    from jobs.benchmark.benchmark_run import BenchmarkPlan, run_benchmark  # noqa: PLC0415
    from jobs.benchmark.machine import this_machine  # noqa: PLC0415
    from jobs.benchmark.tables import print_report  # noqa: PLC0415

    console = terminal()
    default_repeats, default_seconds = FULL if full else BRIEF
    plan = BenchmarkPlan(
        clip=clip,
        boxes=rects,
        box=rect,
        model=model,
        kind=kind,
        device=device,
        regimes=[one for one in Regime if one in (regime or Regime)],
        outputs=[Output(one) for one in format_ or (Written if full else STILLS)],
        systems=system or tuple(System),
        repeats=repeats or default_repeats,
        seconds=seconds or default_seconds,
        full=full,
        many_clips=many_clips,
        rows=rows or ROWS,
    )
    machine = this_machine()
    if device is Device.CUDA and machine.gpu is None:
        raise InputError("--device cuda", "NVIDIA's driver finds no GPU here", "leave it out, or use a GPU machine")
    if not many_clips and not any(cells(one, plan.outputs, plan.systems, full=full) for one in plan.regimes):
        raise InputError("--system", "none of these writes such a --format", "name others, or leave one of the two out")
    check_folder_name(str(out), f"give --out {out.with_suffix('')}")
    out = Path(storage.resolve(str(out)))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}", f"cannot be made ({error})", "name a folder that can be written") from error
    report = Report(time.strftime("%Y-%m-%d", time.gmtime()), command_line(context), machine, device, plan.seconds)
    run_benchmark(plan, out, report, console)
    print_report(report, console)
    for name in ("benchmark.json", "benchmark.md"):
        say(console, f"{out / name}")
    return int(ExitCode.FRAMES_FAILED if report.faults else ExitCode.COMPLETE)


def command_line(context: typer.Context) -> str:
    """The command as it was given, with placeholders for paths."""
    words = ["python -m jobs benchmark"]
    for name, value in context.params.items():
        flag = f"--{name.removesuffix('_').replace('_', '-')}"
        if value is None or value is False or value == Device.CPU:
            continue
        if name in PATHS:
            words.append(f"{flag} {name.upper()}")
        elif value is True:
            words.append(flag)
        elif isinstance(value, list | tuple):
            words += [f"{flag} {one}" for one in value]
        else:
            words.append(f"{flag} {value}")
    return " ".join(words)
