"""``doctor``: what this machine, or each node of a cluster, has and lacks, and what a GPU gives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from actors.core.errors import ExitCode, InputError
from actors.files import storage
from jobs.cluster.address import read_target
from jobs.console import terminal
from jobs.doctor.examination import examine, has_errors, print_findings, print_json
from jobs.inputs.options import DeviceChoice


def doctor(
    device: Annotated[
        DeviceChoice,
        typer.Option(help="What networks are to run on. With cuda the GPU of this machine is measured."),
    ] = DeviceChoice.AUTO,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster whose nodes are looked at. \\[default: this machine alone]")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder that a run would write to; what is measured goes there. \\[default: .]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each finding.")] = False,
    clip: Annotated[str | None, typer.Option(help="Clip to measure with. \\[default: the demo's]")] = None,
    model: Annotated[
        str | None, typer.Option(help="ONNX network to measure. \\[default: one with random weights]")
    ] = None,
    step: Annotated[
        list[int] | None, typer.Option(min=0, max=9, help="Only these; may be repeated. \\[default: all]")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of the shortest measurements.")] = 1.0,
) -> int:
    """Say what this machine, or each node of a cluster, has and lacks, with the fix of each.

    With --device cuda, and without --address, ten steps then measure the GPU in less than ten minutes: a JSON line for
    each on the terminal and in doctor.jsonl, and a table. Exit code 0: no error. 1: errors. 2: bad options.
    """
    console, errors = terminal(), terminal(stderr=True)
    if address is not None:
        read_target(address)
    folder = storage.resolve(out or str(Path.cwd()))
    findings = examine(address, folder, device, errors)
    (print_json if as_json else print_findings)(findings, console)
    failed = has_errors(findings)
    if device is DeviceChoice.CUDA and address is None:
        failed |= _measure(Path(folder), clip, model, seconds, step, console)
    return int(ExitCode.FRAMES_FAILED if failed else ExitCode.COMPLETE)


def _measure(
    out: Path, clip: str | None, model: str | None, seconds: float, step: list[int] | None, console: Console
) -> bool:
    """Measures the GPU; whether anything failed."""
    # Imported here: whoever asks for the plain part does not wait for it.
    from jobs.doctor.gpu_steps import StepsPlan, fails, print_outcomes, run_steps  # noqa: PLC0415

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}", f"cannot be made ({error})", "name a folder that can be written") from error
    # Steps run in folders of their own, where a relative path means something else.
    own_clip, own_model = (None if path is None else storage.absolute(path) for path in (clip, model))
    steps = tuple(range(10)) if step is None else tuple(step)
    outcomes = run_steps(StepsPlan(out, own_clip, own_model, seconds, steps), console)
    print_outcomes(outcomes, console)
    return fails(outcomes)
