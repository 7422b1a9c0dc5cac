"""The run's folder as the driver sees it: whether ``--out`` can be one, whose it is, and starting over."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import DRIVER_MARK, MARK, NODE_MARK, RunFolder, is_data_file
from actors.files.storage import HALF_WRITTEN, StoragePath
from jobs.cluster.connection import inside_job
from jobs.run.folder_lock import LOCK

# What a name ends in that somebody gives to a file.
FILES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"),
        *(".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"),
        *(".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".tif", ".tiff", ".webp"),
        *(".csv", ".gz", ".html", ".json", ".npy", ".npz", ".onnx", ".parquet", ".tar", ".toml", ".txt", ".zip"),
    }
)

# What a driver or a node leaves in the folder for a moment, and for good when it is killed in that moment.
MARKS = (LOCK, DRIVER_MARK, NODE_MARK)

# Ray unpacks a job's working directory here; whatever is written there is thrown away with the job.
JOB_COPY = "working_dir_files"


def check_folder_name(out: str, fix: str) -> None:
    """Asks back before a folder gets a name that only files have; one that there is already was meant.

    Args:
        out: the path as given.
        fix: what to do instead.

    Raises:
        InputError: the path ends like a file's, and no folder stands there.
    """
    suffix = PurePath(out).suffix.lower()
    if suffix in FILES and not storage.is_folder(storage.resolve(out)):
        raise InputError(f"--out {out}", f"would be a folder, and {suffix} is for files", fix)


def find_folder(out: str, inputs: Mapping[str, str]) -> RunFolder:
    """The folder of a run that ``--out`` names.

    Args:
        out: as given.
        inputs: the paths of what the run is made of as given, by their flags, "" for the clip.

    Raises:
        InputError: it ends like a file's.
        InputError: an input is a file of a run there, which would replace or remove it.
        InputError: inside a submitted job the path would lie in Ray's temporary copy of the working directory.
    """
    stem = str(PurePath(out).with_suffix(""))
    check_folder_name(out, f"give --out {shlex.quote(stem)} --video: the video will be {stem}/video.mp4")
    folder = RunFolder.at(lasting(out))
    _check_apart(folder, inputs)
    return folder


def lasting(out: str) -> str:
    """The absolute form of ``--out``.

    Raises:
        InputError: inside a submitted job it would lie in Ray's temporary copy of the working directory.
    """
    path = storage.resolve(out)
    if inside_job() and storage.is_local(path) and (not Path(out).expanduser().is_absolute() or JOB_COPY in path):
        raise InputError(
            f"--out {out}",
            "inside a submitted job this lies in Ray's temporary copy of the working directory",
            "give an absolute path on storage that all nodes share",
        )
    return path


def holds_record(folder: StoragePath, record: str, what: str, others: Collection[str]) -> bool:
    """Whether a folder has the record of what it is for; false where it is new or empty.

    Args:
        folder: the folder that ``--out`` names.
        record: name of the file.
        what: what it is for, in messages.
        others: names of what may stand there before the record does.

    Raises:
        InputError: there is something else, or it cannot be read.
    """
    try:
        found = storage.entry(folder)
        if found is not None and not found.is_folder:
            raise InputError(f"--out {folder}", "is a file", "name a folder")
        if storage.is_file(folder / record):
            return True
        entries = storage.children(folder)
    except OSError as error:
        raise InputError(f"--out {folder}", f"cannot be read ({error})", "mend it, or name another folder") from error
    if any(not entry.name.startswith((*MARKS, f".{record}.")) and entry.name not in others for entry in entries):
        problem = f"is not empty and holds no {what} of mouthpiece"
        raise InputError(f"--out {folder}", problem, "name a new or empty folder")
    return False


def _check_apart(folder: RunFolder, inputs: Mapping[str, str]) -> None:
    """Sees that the run neither removes nor replaces what it is made of."""
    named = (folder.path, *folder.data_folders, folder.video, folder.report, folder.record)
    ours = {_real(str(path)) for path in named}
    inside = tuple(f"{_real(str(path))}/" for path in folder.data_folders)
    for flag, given in inputs.items():
        path = _real(storage.resolve(given))
        if path in ours or path.startswith(inside):
            raise InputError(
                f"{flag} {given}".lstrip(), f"is where a run in {folder} has its own files", "name another --out"
            )


def _real(path: str) -> str:
    return os.path.realpath(path) if storage.is_local(path) else path


def clear_data(folder: RunFolder) -> None:
    """Removes what a run writes, but for its record, and nothing else."""
    for path in (folder.video, folder.report):
        storage.remove_file(path)
    for data in folder.data_folders:
        entries = storage.children(data)
        ours = [entry for entry in entries if is_data_file(entry)]
        if len(ours) == len(entries):
            storage.remove_folder(data)
        for entry in ours if len(ours) < len(entries) else ():
            storage.remove_file(data / entry.name)


def clear(folder: RunFolder) -> None:
    """Removes what a run writes; the record goes last, so that a half-cleared folder is still known as a run's."""
    clear_data(folder)
    storage.remove_file(folder.record)


def sweep(folder: RunFolder, mark: str) -> None:
    """Removes what killed processes left half-done; ``mark`` is this process's own."""
    for path in (folder.path, *folder.data_folders):
        sweep_one(path, mark)


def sweep_one(path: StoragePath, mark: str) -> None:
    """As `sweep`, in one folder alone."""
    for entry in storage.children(path):
        stray = MARK.fullmatch(entry.name) and entry.name != mark
        if not entry.is_folder and (stray or HALF_WRITTEN.fullmatch(entry.name)):
            storage.remove_file(path / entry.name)
