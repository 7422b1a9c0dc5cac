"""The lock on a run's folder: while one driver works there, every other is kept out."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from actors.core.errors import InputError
from actors.files import storage
from actors.files.run_folder import DRIVER_MARK, MARK, new_driver_mark
from actors.files.storage import StoragePath

LOCK = ".lock"

# Bytes of a driver's mark: the names of a machine and of a process.
LONGEST_MARK = 300

# How a file system says that it has no locks.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


@dataclass(frozen=True, slots=True)
class FolderLock:
    """What keeps other drivers out of a folder while this process works there.

    Attributes:
        mark: name of a file in the folder that every worker must see.
        by_file_system: whether the file system locks; otherwise marks are all that drivers see of each other.
    """

    mark: str
    by_file_system: bool


@contextmanager
def lock_folder(folder: StoragePath) -> Iterator[FolderLock]:
    """Locks the folder for this process, and shows workers that it is the same folder.

    The lock dies with the process, however that ends. Where the file system has no locks, the marks of drivers stand
    for them: one that is not this process's own is another run's, unless its process ran on this machine and is gone.

    Yields:
        How it is locked.

    Raises:
        InputError: another run has the lock, or the folder cannot be written. Then nothing of this process
            is left there.
    """
    name = new_driver_mark()
    mark, lock_file = folder / name, folder / LOCK
    lock: int | None = None
    made = False
    try:
        try:
            made = not storage.is_folder(folder)
            storage.make_folder(folder)
            lock = _lock(lock_file) if folder.is_local else None
            storage.write_atomic(mark, f"{socket.gethostname()} {os.getpid()}".encode())
            if lock is None:
                _check_alone(folder, name)
        except BlockingIOError as error:
            raise InputError(
                f"--out {folder}", "another run is writing there", "wait for it, or name another folder"
            ) from error
        except OSError as error:
            raise InputError(
                f"--out {folder}", f"cannot be written ({error})", "mend it, or name another folder"
            ) from error
        yield FolderLock(name, by_file_system=lock is not None)
    finally:
        # Whatever ended the run says more than that its marks cannot be removed either.
        with contextlib.suppress(OSError, InputError):
            storage.remove_file(mark)
            if lock is not None:
                storage.remove_file(lock_file)
            if made and not storage.children(folder):
                storage.remove_folder(folder)
        if lock is not None:
            os.close(lock)


def _lock(file: StoragePath) -> int | None:
    """Takes the lock file; the lock is the returned descriptor's. ``None`` where the file system has no locks.

    Raises:
        BlockingIOError: another process has it.
        OSError: the file cannot be made or locked.
    """
    path = file.inner
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
                storage.remove_file(file)
            if error.errno in NO_LOCKS:
                return None
            raise
        os.close(descriptor)


def _check_alone(folder: StoragePath, own: str) -> None:
    """Makes sure that no other driver shows its mark. Two that begin at once both see the other's, and both go.

    Raises:
        InputError: there is another's mark.
        OSError: it cannot be looked at.
    """
    for entry in storage.children(folder):
        if MARK.fullmatch(entry.name) and entry.name.startswith(DRIVER_MARK) and entry.name != own:
            path = folder / entry.name
            content = storage.read_bytes(path) if entry.size <= LONGEST_MARK else b""
            host, _, pid = content.decode(errors="replace").partition(" ")
            if host != socket.gethostname() or not re.fullmatch(r"[0-9]{1,9}", pid) or psutil.pid_exists(int(pid)):
                raise InputError(
                    f"--out {folder}",
                    f"its file system has no locks, and {entry.name} is the mark of another run there",
                    f"wait for that run; if it was killed, remove {path}",
                )
