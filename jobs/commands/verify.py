"""``verify``: re-reads a finished or unfinished run against its ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.core.errors import ExitCode
from actors.files import storage
from jobs.console import say, terminal
from jobs.run.verification import verify_run


def verify(run: Annotated[str, typer.Argument(help="Folder that was given as --out.")]) -> int:
    """Re-read every file of a run and name what is missing, damaged or extra.

    Exit code 0: everything is there and unchanged. 1: something is not; the same composite command renders exactly
    that again. 2: there is no run.
    """
    console = terminal()
    verdict = verify_run(storage.resolve(run))
    for line in verdict.missing:
        say(console, f"missing: frame {line}")
    for line in verdict.damaged:
        say(console, f"damaged: {line}")
    for line in verdict.extra:
        say(console, f"extra: {line}")
    if not verdict.on_disk:
        say(console, "the run wrote no frames and no video: there is nothing on disk to compare with its timings")
    if verdict.history:
        say(console, verdict.history)
    say(console, f"{verdict.intact} of {verdict.expected} frames are intact")
    return int(ExitCode.COMPLETE if verdict.whole else ExitCode.FRAMES_FAILED)
