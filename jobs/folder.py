"""The run's folder: whose it is, who holds it, and starting over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors import storage
from actors.core.errors import InputError
from actors.layout import (
    frames_folder,
    record_path,
    report_path,
    segments_folder,
    timings_folder,
    video_path,
)
from jobs.cluster import inside_job
from jobs.own_files import HALF, MARK, folders, is_ours

LOCK = ".lock"

# What a driver or a node leaves in the folder for a moment, and for good when it is killed in that moment.
MARKS = (LOCK, ".driver-", ".node-", ".run.json.")

# Ray unpacks a job's working directory here; whatever is written there is thrown away with the job.
JOB_COPY = "working_dir_files"


def resolve_out(out: str) -> str:
    """The absolute path of ``--out``.

    Raises:
        InputError: inside a submitted job the path would lie in Ray's temporary copy of the working directory.
    """
    path = storage.resolve(out)
    if inside_job() and storage.is_local(path) and (not Path(out).expanduser().is_absolute() or JOB_COPY in path):
        raise InputError(
            f"--out {out}",
            "inside a submitted job this lies in Ray's temporary copy of the working directory",
            "give an absolute path on storage that all nodes share",
        )
    return path


def holds_run(out: str) -> bool:
    """Whether the folder holds a run; false where it is new or empty.

    Raises:
        InputError: there is something that is not a run of ours, or it cannot be read.
    """
    try:
        found = storage.entry(out)
        if found is not None and not found.is_folder:
            raise InputError(f"--out {out}", "is a file", "name a folder")
        if storage.is_file(record_path(out)):
            return True
        foreign = [entry for entry in storage.children(out) if not entry.name.startswith(MARKS)]
    except OSError as error:
        raise InputError(f"--out {out}", f"cannot be read ({error})", "mend it, or name another folder") from error
    if foreign:
        raise InputError(f"--out {out}", "is not empty and holds no run of mouthpiece", "name a new or empty folder")
    return False


def clear_data(out: str) -> None:
    """Removes what a run writes, but for its record, and nothing else."""
    for path in (video_path(out), report_path(out)):
        storage.remove_file(path)
    for folder in folders(out):
        entries = storage.children(folder)
        ours = [entry for entry in entries if is_ours(entry)]
        if len(ours) == len(entries):
            storage.remove_folder(folder)
        for entry in ours if len(ours) < len(entries) else ():
            storage.remove_file(entry.path)


def clear(out: str) -> None:
    """Removes what a run writes; the record goes last, so that a half-cleared folder is still known as a run's."""
    clear_data(out)
    storage.remove_file(record_path(out))


def sweep(out: str, token: str) -> None:
    """Removes what killed processes left half-done; ``token`` is this process's own mark."""
    for folder in (out, *folders(out)):
        for entry in storage.children(folder):
            mark = MARK.fullmatch(entry.name) and entry.name != token
            if not entry.is_folder and (mark or HALF.fullmatch(entry.name)):
                storage.remove_file(entry.path)


@contextmanager
def held(out: str) -> Iterator[str]:
    """Holds the folder for this process, and shows workers that it is the same folder.

    The lock dies with the process, however that ends.

    Yields:
        Name of a file in the folder that every worker must see.

    Raises:
        InputError: another run holds the folder, or it cannot be written.
    """
    token = f".driver-{uuid.uuid4().hex[:12]}"
    lock: int | None = None
    existed = storage.is_folder(out)
    try:
        storage.make_folder(out)
        if storage.is_local(out):
            lock = _lock(storage.join(out, LOCK))
        storage.write_atomic(storage.join(out, token), b"")
    except BlockingIOError as error:
        raise InputError(
            f"--out {out}", "another run is writing there", "wait for it, or name another folder"
        ) from error
    except OSError as error:
        raise InputError(f"--out {out}", f"cannot be written ({error})", "mend it, or name another folder") from error
    try:
        yield token
    finally:
        # Whatever ended the run says more than that its marks cannot be removed either.
        with contextlib.suppress(OSError):
            storage.remove_file(storage.join(out, token))
            if lock is not None:
                storage.remove_file(storage.join(out, LOCK))
            if not existed and not storage.children(out):
                storage.remove_folder(out)
        if lock is not None:
            os.close(lock)


def _lock(path: str) -> int:
    """Takes the lock file; the lock is the returned descriptor's.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file cannot be made.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before may have removed the file between our two calls: then we hold a lock on nothing.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116
                return descriptor
        except FileNotFoundError:
            os.close(descriptor)
            continue
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def make_folders(out: str, *, frames: bool, segments: bool) -> None:
    """Creates the folders that a run writes into."""
    storage.make_folder(timings_folder(out))
    if frames:
        storage.make_folder(frames_folder(out))
    if segments:
        storage.make_folder(segments_folder(out))
