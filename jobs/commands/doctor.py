"""``doctor``: what this machine, or each node of a cluster, has and lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.core.errors import ExitCode
from actors.files import storage
from jobs.cluster.address import read_target
from jobs.console import terminal
from jobs.doctor.examination import examine, has_errors, print_findings, print_json
from jobs.inputs.options import DeviceChoice


def doctor(
    device: Annotated[
        DeviceChoice,
        typer.Option(help="What networks are to run on; with cuda a node without a usable GPU has an error."),
    ] = DeviceChoice.AUTO,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster whose nodes are looked at. \\[default: this machine alone]")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder that a run would write to. \\[default: the current folder]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each finding.")] = False,
) -> int:
    """Say what this machine, or each node of a cluster, has and lacks, with the fix of each.

    Exit code 0: no error. 1: errors. 2: bad options.
    """
    console = terminal()
    if address is not None:
        read_target(address)
    folder = storage.resolve(out or str(Path.cwd()))
    findings = examine(address, folder, device, console=terminal(stderr=True))
    (print_json if as_json else print_findings)(findings, console)
    return int(ExitCode.FRAMES_FAILED if has_errors(findings) else ExitCode.COMPLETE)
