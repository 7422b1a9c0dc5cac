"""``report``: a run as one page."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.core.errors import ExitCode
from actors.files import storage
from jobs.console import say, terminal
from jobs.report.write import write_report


def report(run: Annotated[str, typer.Argument(help="Folder that was given as --out.")]) -> int:
    """Write report.html into a run's folder: who worked when, what limits, and what the frames look like.

    One file that needs nothing else; it can be sent to others. Exit code 0: it was written. 2: there is no run.
    """
    console = terminal()
    say(console, f"report: {write_report(storage.resolve(run))}")
    return int(ExitCode.COMPLETE)
