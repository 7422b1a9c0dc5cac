"""Temporary folders of this process, and the removal of those that killed processes left."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from actors.core.errors import InputError

PREFIX = "mouthpiece-"

# Locked by the process whose folder it lies in, for as long as that lives, in whatever container it does.
MARK = ".mouthpiece"

# A worker locks the file by which it loads its network right after making it, see `actors.network.runtime`.
OLD_SECONDS = 60.0
SHELL = re.compile(r"mouthpiece-[a-z0-9_]{8}")
NETWORK = re.compile(r"mouthpiece-loading-[a-z0-9_]{8}\.onnx")

# What a folder must have room for, or the first log would fill it.
ROOM = 1 << 20


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder that only this user can read, removed when it is left; first removes those of killed processes.

    Args:
        parent: where it lies; ``None`` takes the system's temporary folder.

    Raises:
        OSError: it cannot be made.
    """
    base = parent or Path(tempfile.gettempdir())
    dead = remove_leftovers(base)
    folder, lock = _make(base)
    try:
        yield folder
    finally:
        # What of a killed run took some seconds to end may have made its folder anew.
        for path in (folder, *dead):
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@contextmanager
def ray_folder(longest: int) -> Iterator[Path]:
    """A `scratch_folder` for Ray's session, whose sockets need a short path.

    In the folder that ``RAY_TMPDIR`` names, else ``TMPDIR``, else one of the system's, whichever can be used first.

    Args:
        longest: bytes that its path may have.

    Raises:
        InputError: none can be used.
    """
    given = os.environ.get("RAY_TMPDIR")
    bases = [given] if given else [os.environ.get("TMPDIR"), "/tmp", "/var/tmp"]  # noqa: S108 - of ours alone within
    most = longest - len(f"/{PREFIX}12345678")
    refusals = []
    with ExitStack() as held:
        for base in dict.fromkeys(Path(base).absolute() for base in bases if base):
            if len(os.fsencode(base)) > most:
                refusals.append(f"{base} is longer than {most} bytes")
                continue
            try:
                if given:
                    base.mkdir(parents=True, exist_ok=True)
                folder = held.enter_context(scratch_folder(base))
                room = folder / "room"
                room.write_bytes(bytes(ROOM))
                room.unlink()
            except OSError as error:
                held.close()
                refusals.append(f"{base}: {error.strerror}")
                continue
            yield folder
            return
    raise InputError(
        f"RAY_TMPDIR={given}" if given else "temporary folder",
        f"there is no place for Ray's files ({'; '.join(refusals)})",
        f"set RAY_TMPDIR to a folder with room, in a path of at most {most} bytes",
    )


def remove_leftovers(base: Path) -> list[Path]:
    """Removes the folders and files of this user's killed processes; whatever is alive or somebody's stays.

    Returns:
        What was removed.
    """
    with suppress(OSError):
        return [path for path in base.glob(f"{PREFIX}*") if _remove_if_dead(path)]
    return []


def _remove_if_dead(path: Path) -> bool:
    with suppress(OSError):  # gone meanwhile, somebody's, or alive (its lock is held)
        found = path.lstat()
        ours = stat.S_ISREG(found.st_mode) and NETWORK.fullmatch(path.name) is not None
        network = ours and time.time() - found.st_mtime > OLD_SECONDS
        if found.st_uid != os.geteuid() or not (network or stat.S_ISDIR(found.st_mode)):
            return False
        if SHELL.fullmatch(path.name) and not (path / MARK).exists() and time.time() - found.st_mtime > OLD_SECONDS:
            return _remove_shell(path)
        lock = os.open(path if network else path / MARK, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if network:
                path.unlink()
            else:
                shutil.rmtree(path, ignore_errors=True)
            return True
        finally:
            os.close(lock)
    return False


def _remove_shell(path: Path) -> bool:
    """Removes a folder that holds nothing but empty folders, as a killed run's last processes make it anew."""
    for folder, _, _ in os.walk(path, topdown=False):
        Path(folder).rmdir()  # fails where something is in it
    return True


def _make(base: Path) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock; nobody sees it under its name before it is locked."""
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=base))
    try:
        lock = os.open(made / MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with suppress(OSError):  # a file system without locks: what is killed there leaves its folder behind
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return made.rename(base / made.name.removeprefix(".")), lock
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        raise
