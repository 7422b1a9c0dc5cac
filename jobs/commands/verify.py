"""``verify``: re-reads a finished or unfinished run against its ledger."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from actors.core.errors import ExitCode
from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.clip.files import is_file
from jobs.console import say, terminal
from jobs.faces.prepared_folder import LIKE, PreparedFolder
from jobs.faces.verification import verify_faces
from jobs.run.verification import verify_run


def verify(
    run: Annotated[str, typer.Argument(help="Folder that was given as --out, to `composite` or to `prepare`.")],
) -> int:
    """Re-read every file of a run, or of prepared faces, and name what is missing, damaged or extra.

    Exit code 0: everything is there and unchanged. 1: something is not; the same command makes exactly that again.
    2: there is no run.
    """
    console = terminal()
    where = storage.resolve(run)
    alone = PreparedFolder.at(where)
    if is_file(alone.record_file) and not is_file(RunFolder.at(where).record):
        return int(ExitCode.COMPLETE if _verify_faces(alone, console) else ExitCode.FRAMES_FAILED)
    verdict = verify_run(where)
    for line in verdict.missing:
        say(console, f"missing: frame {line}")
    _say_files(verdict.damaged, verdict.extra, console)
    if not verdict.on_disk:
        say(console, "the run wrote no frames and no video: there is nothing on disk to compare with its timings")
    if verdict.history:
        say(console, verdict.history)
    say(console, f"{verdict.intact} of {verdict.expected} frames are intact")
    faces = RunFolder.at(where).faces
    prepared = [PreparedFolder(path) for path in (faces, faces / LIKE)]
    faults = sum(not _verify_faces(one, console) for one in prepared if is_file(one.record_file))
    return int(ExitCode.COMPLETE if verdict.whole and not faults else ExitCode.FRAMES_FAILED)


def _verify_faces(folder: PreparedFolder, console: Console) -> bool:
    verdict = verify_faces(folder)
    for line in verdict.missing:
        say(console, f"missing: faces of frames {line}")
    _say_files(verdict.damaged, verdict.extra, console)
    say(console, f"{verdict.searched} of {verdict.expected} frames are searched for faces")
    return verdict.whole


def _say_files(damaged: tuple[str, ...], extra: tuple[str, ...], console: Console) -> None:
    for line in damaged:
        say(console, f"damaged: {line}")
    for line in extra:
        say(console, f"extra: {line}")
