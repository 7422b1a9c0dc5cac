"""Writes ``report.html`` into the run's folder, and ``faces.html`` into a folder of prepared faces."""

from __future__ import annotations

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.files.storage import StoragePath
from jobs.faces.dubbing import DubbedFace, follow_faces
from jobs.faces.faces_table import read_times
from jobs.faces.found_so_far import read_faces
from jobs.faces.prepared_folder import PreparedFolder
from jobs.report.faces_page import render_faces_page
from jobs.report.page import render_page
from jobs.report.run_data import read_run


def write_report(out: str) -> str:
    """Writes the page about the run in a folder, and says where it is.

    Raises:
        InputError: there is no run, it cannot be read, or the page cannot be written.
    """
    return write_page(RunFolder.at(out).report, render_page(read_run(out)))


def write_page(path: StoragePath, page: str) -> str:
    """Writes a page beside what it is about, and says where it is.

    Raises:
        InputError: it cannot be written.
    """
    try:
        storage.write_atomic(path, page.encode())
    except OSError as error:
        raise InputError(
            str(path), f"cannot be written ({error})", "mend it, or copy the run to where it can be"
        ) from error
    return str(path)


def write_faces_page(folder: PreparedFolder, dubbed: DubbedFace) -> str:
    """Writes the page about the faces of a folder that has its other files, and says where it is.

    Raises:
        InputError: the page cannot be written.
    """
    record = folder.searched()
    try:
        sheet = storage.read_bytes(folder.sheet) if folder.holds(record, folder.sheet) else None
        page = render_faces_page(record, dubbed, sheet)
        folder.conclude(record, {folder.page: page.encode()})
    except OSError as error:
        raise InputError(str(folder.page), f"cannot be written ({error})", "mend it") from error
    return str(folder.page)


def remake_faces_page(folder: PreparedFolder) -> str:
    """Writes the page anew out of the folder alone, and says where it is.

    Raises:
        InputError: not all frames have been searched, files are damaged, or the page cannot be written.
    """
    record = folder.searched()
    again = "run the command that made it again: it goes on from here"
    if record.rules is None:
        raise InputError(str(folder), "does not say yet which face is dubbed", again)
    found = read_faces(folder)
    times = None
    if folder.holds(record, folder.table):
        with storage.open_input(folder.table) as table:
            times = read_times(table)
    if times is None or len(times) != record.footage.frames:
        raise InputError(str(folder.table), "is missing or damaged", again)
    footage = record.footage
    size = footage.width, footage.height
    return write_faces_page(folder, follow_faces(found, times, size, record.rules.rules, footage.name))
