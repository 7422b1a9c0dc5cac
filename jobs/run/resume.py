"""Going on with an earlier run: what of it stands, told to the user. Nothing is started or written for that."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.console import say
from jobs.run.ledger import Audit, Ledger, missing

# A lost segment takes all of its frames with it; a few lines tell as much as hundreds.
FAULTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of a run to be rendered.

    Attributes:
        frames: the output frames, ascending.
        audit: what the files of an earlier run say; ``None`` where there is none.
    """

    frames: list[int]
    audit: Audit | None = None


def audit_run(ledger: Ledger, wanted: FrameRange, folder: RunFolder, console: Console) -> Remaining:
    """Compares an earlier run's files with its ledger.

    Args:
        ledger: the run's.
        wanted: the output frames that are asked for now.
        folder: the run's.
        console: what was lost is printed there, and how much is left to do.

    Raises:
        InputError: something in the folder cannot be read, which says nothing of what it holds.
    """
    try:
        # A folder that cannot be looked into now would be taken for lost frames, each of them.
        for path in folder.data_folders:
            storage.children(path)
        audit = ledger.audit()
    except OSError as error:
        raise InputError(f"--out {folder}", f"cannot be read ({error})", "mend that, or name another folder") from error
    faults = [f"frame {fault.frame}: {fault.reason}" for fault in audit.faults if fault.frame in wanted]
    faults += [f"{path}: no fragment of that range's timings; its frames are rendered again" for path in audit.broken]
    for line in faults[:FAULTS_SHOWN]:
        say(console, line)
    if len(faults) > FAULTS_SHOWN:
        say(console, f"and {len(faults) - FAULTS_SHOWN} more of these")
    todo = missing(wanted, audit)
    doing = f"rendering {len(todo)}" if todo else "nothing is left to render"
    say(console, f"{len(wanted) - len(todo)} of {len(wanted)} done, {doing}")
    return Remaining(todo, audit)
