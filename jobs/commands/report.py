"""``report``: a run as one page."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.core.errors import ExitCode, InputError
from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.clip.files import is_file
from jobs.console import say, terminal
from jobs.faces.prepared_folder import PreparedFolder
from jobs.report.write import remake_faces_page, write_report


def report(
    run: Annotated[str, typer.Argument(help="Folder that was given as --out, to `composite` or to `prepare`.")],
) -> int:
    """Write report.html into a run's folder: who worked when, what limits, and what the frames look like.

    Where faces were found, faces.html beside them: who is there when, which face is dubbed, and where it is missing.
    Each is one file that needs nothing else; it can be sent to others. Exit code 0: it was written. 2: there is no run.
    """
    console = terminal()
    where = storage.resolve(run)
    prepared = PreparedFolder.at(where)
    if is_file(prepared.record_file) and not is_file(RunFolder.at(where).record):
        say(console, f"faces: {remake_faces_page(prepared)}")
        return int(ExitCode.COMPLETE)
    of_run = PreparedFolder(RunFolder.at(where).faces)
    if is_file(of_run.record_file):
        try:
            say(console, f"faces: {remake_faces_page(of_run)}")
        except InputError as error:
            # A run that ended before its faces were found has a report too.
            say(console, f"warning: no page about its faces: {error}", style="yellow")
    say(console, f"report: {write_report(where)}")
    return int(ExitCode.COMPLETE)
