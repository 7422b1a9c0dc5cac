"""Writes ``report.html`` into the run's folder."""

from __future__ import annotations

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import RunFolder
from jobs.report.page import render_page
from jobs.report.run_data import read_run


def write_report(out: str) -> str:
    """Writes the page about the run in a folder, and says where it is.

    Raises:
        InputError: there is no run, it cannot be read, or the page cannot be written.
    """
    page = render_page(read_run(out))
    path = RunFolder.at(out).report
    try:
        storage.write_atomic(path, page.encode())
    except OSError as error:
        raise InputError(
            str(path), f"cannot be written ({error})", "mend it, or copy the run to where it can be"
        ) from error
    return str(path)
