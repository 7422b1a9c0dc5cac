"""``report``: a run, or a batch and each of its runs, as pages."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from actors.core.errors import ExitCode, InputError
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.files.storage import StoragePath
from jobs.clip.files import is_file
from jobs.console import say, terminal
from jobs.faces.prepared_folder import PreparedFolder
from jobs.report.batch_page import write_batch_report
from jobs.report.write import remake_faces_page, write_report
from jobs.run.clip_table import ClipTable


def report(
    run: Annotated[
        str, typer.Argument(help="Folder that was given as --out, to `composite`, to `batch` or to `prepare`.")
    ],
) -> int:
    """Write report.html into a run's folder: who worked when, what limits, and what the frames look like.

    Where faces were found, faces.html beside them: who is there when, which face is dubbed, and where it is missing.
    Of a batch, the pages of each clip's run, and one about all of them: the table of clips, pictures, who worked when.
    Each is one file that needs nothing else; it can be sent to others. Exit code 0: it was written. 2: there is no run.
    """
    console = terminal()
    where = storage.resolve(run)
    prepared = PreparedFolder.at(where)
    if is_file(RunFolder.at(where).record):
        _report_run(console, where)
    elif is_file(prepared.record_file):
        say(console, f"faces: {remake_faces_page(prepared)}")
    elif ClipTable.stands_in(prepared.path):
        _report_batch(console, prepared.path)
    else:
        _report_run(console, where)
    return int(ExitCode.COMPLETE)


def _report_run(console: Console, where: str) -> None:
    of_run = PreparedFolder(RunFolder.at(where).faces)
    if is_file(of_run.record_file):
        try:
            say(console, f"faces: {remake_faces_page(of_run)}")
        except InputError as error:
            # A run that ended before its faces were found has a report too.
            say(console, f"warning: no page about its faces: {error}", style="yellow")
    say(console, f"report: {write_report(where)}")


def _report_batch(console: Console, folder: StoragePath) -> None:
    for clip in ClipTable.read(folder):
        own = folder / clip.id
        if is_file(RunFolder(own).record):
            try:
                _report_run(console, str(own))
            except InputError as error:
                # What is wrong with one clip does not keep the others from their pages.
                say(console, f"warning: no page about {clip.id}: {error}", style="yellow")
    say(console, f"report: {write_batch_report(str(folder))}")
