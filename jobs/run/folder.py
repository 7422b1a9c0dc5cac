"""The run's folder: whose it is, who holds it, and starting over."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shlex
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

import psutil

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_layout import (
    frames_folder,
    record_path,
    report_path,
    segments_folder,
    timings_folder,
    video_path,
)
from jobs.cluster.connection import inside_job
from jobs.run.file_names import HALF, MARK, folders, is_ours

# What a name ends in that somebody gives to a file.
FILES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"),
        *(".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"),
        *(".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".tif", ".tiff", ".webp"),
        *(".csv", ".gz", ".html", ".json", ".npy", ".npz", ".onnx", ".parquet", ".tar", ".toml", ".txt", ".zip"),
    }
)

LOCK = ".lock"

# Bytes of a driver's mark: the names of a machine and of a process.
LONGEST_MARK = 300

# How a file system says that it has no locks.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

# What a driver or a node leaves in the folder for a moment, and for good when it is killed in that moment.
MARKS = (LOCK, ".driver-", ".node-", ".run.json.")

# Ray unpacks a job's working directory here; whatever is written there is thrown away with the job.
JOB_COPY = "working_dir_files"


@dataclass(frozen=True, slots=True)
class FolderHold:
    """A folder that this process holds.

    Attributes:
        token: name of a file in the folder that every worker must see.
        locked: whether a lock keeps others out; otherwise their marks are all there is to see of them.
    """

    token: str
    locked: bool


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


def resolve_out(out: str, inputs: Mapping[str, str]) -> str:
    """The absolute path of ``--out``.

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
    path = storage.resolve(out)
    if inside_job() and storage.is_local(path) and (not Path(out).expanduser().is_absolute() or JOB_COPY in path):
        raise InputError(
            f"--out {out}",
            "inside a submitted job this lies in Ray's temporary copy of the working directory",
            "give an absolute path on storage that all nodes share",
        )
    _check_apart(path, inputs)
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


def _check_apart(out: str, inputs: Mapping[str, str]) -> None:
    """Sees that the run neither removes nor replaces what it is made of."""
    ours = {_real(path) for path in (out, *folders(out), video_path(out), report_path(out), record_path(out))}
    inside = tuple(f"{_real(path)}/" for path in folders(out))
    for flag, given in inputs.items():
        path = _real(storage.resolve(given))
        if path in ours or path.startswith(inside):
            raise InputError(
                f"{flag} {given}".lstrip(), f"is where a run in {out} has its own files", "name another --out"
            )


def _real(path: str) -> str:
    return os.path.realpath(path) if storage.is_local(path) else path


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
def held(out: str) -> Iterator[FolderHold]:
    """Holds the folder for this process, and shows workers that it is the same folder.

    The lock dies with the process, however that ends. Where the file system has no locks, the marks of drivers stand
    for them: one that is not this process's own is another run's, unless its process ran on this machine and is gone.

    Yields:
        How it is held.

    Raises:
        InputError: another run holds the folder, or it cannot be written. Nothing of this process is left there then.
    """
    token = f".driver-{uuid.uuid4().hex[:12]}"
    mark = storage.join(out, token)
    lock: int | None = None
    made = False
    try:
        try:
            made = not storage.is_folder(out)
            storage.make_folder(out)
            lock = _lock(storage.join(out, LOCK)) if storage.is_local(out) else None
            storage.write_atomic(mark, f"{socket.gethostname()} {os.getpid()}".encode())
            if lock is None:
                _check_alone(out, token)
        except BlockingIOError as error:
            raise InputError(
                f"--out {out}", "another run is writing there", "wait for it, or name another folder"
            ) from error
        except OSError as error:
            raise InputError(
                f"--out {out}", f"cannot be written ({error})", "mend it, or name another folder"
            ) from error
        yield FolderHold(token, locked=lock is not None)
    finally:
        # Whatever ended the run says more than that its marks cannot be removed either.
        with contextlib.suppress(OSError, InputError):
            storage.remove_file(mark)
            if lock is not None:
                storage.remove_file(storage.join(out, LOCK))
            if made and not storage.children(out):
                storage.remove_folder(out)
        if lock is not None:
            os.close(lock)


def _lock(path: str) -> int | None:
    """Takes the lock file; the lock is the returned descriptor's. ``None`` where the file system has no locks.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file cannot be made or locked.
    """
    while True:
        made = not os.path.lexists(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before may have removed the file between our two calls: then we hold a lock on nothing.
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116
                return descriptor
        except FileNotFoundError:
            os.close(descriptor)
            continue
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError as error:
            os.close(descriptor)
            if made:
                storage.remove_file(path)
            if error.errno in NO_LOCKS:
                return None
            raise
        os.close(descriptor)


def _check_alone(out: str, token: str) -> None:
    """Makes sure that no other driver shows its mark. Two that begin at once both see the other's, and both go.

    Raises:
        InputError: there is another's mark.
        OSError: it cannot be looked at.
    """
    for entry in storage.children(out):
        if MARK.fullmatch(entry.name) and entry.name.startswith(".driver-") and entry.name != token:
            said = storage.read_bytes(entry.path) if entry.size <= LONGEST_MARK else b""
            host, _, pid = said.decode(errors="replace").partition(" ")
            if host != socket.gethostname() or not re.fullmatch(r"[0-9]{1,9}", pid) or psutil.pid_exists(int(pid)):
                raise InputError(
                    f"--out {out}",
                    f"its file system has no locks, and {entry.name} is the mark of another run there",
                    f"wait for that run; if it was killed, remove {entry.path}",
                )


def make_folders(out: str, *, frames: bool, segments: bool) -> None:
    """Creates the folders that a run writes into."""
    storage.make_folder(timings_folder(out))
    if frames:
        storage.make_folder(frames_folder(out))
    if segments:
        storage.make_folder(segments_folder(out))
