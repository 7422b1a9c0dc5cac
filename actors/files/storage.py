"""The one way to files: every path, local or remote, goes through a ``pyarrow.fs`` file system."""

from __future__ import annotations

import errno
import io
import os
import posixpath
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias, cast

from pyarrow import ArrowException, fs

from actors.core.errors import InputError
from actors.files import stores

# Made once: every frame is written through it.
LOCAL = fs.LocalFileSystem()

# Bytes that are fetched at once of an object in a store. A video of 25 MB, demuxed and decoded, took 513 requests
# without it, 61 with 1 MiB, 25 with 4 MiB; on loopback 9.7 s, 1.4 s, 1.4 s.
READ_AHEAD = 1 << 20

# What a process leaves half-written when it is killed; see `_partial`.
HALF_WRITTEN = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.partial")


@dataclass(frozen=True, slots=True)
class StoragePath:
    """A path with the file system that it is on, which is made once and goes along to the paths below it.

    Attributes:
        shown: an absolute path, or a URI.
        system: the file system.
        inner: the path on the file system.
    """

    shown: str
    system: fs.FileSystem = field(compare=False, repr=False)
    inner: str = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.shown

    def __truediv__(self, name: str) -> StoragePath:
        return StoragePath(join(self.shown, name), self.system, join(self.inner, name))

    @property
    def is_local(self) -> bool:
        """Whether it is on the local (or a mounted) file system."""
        return isinstance(self.system, fs.LocalFileSystem)


AnyPath: TypeAlias = str | StoragePath


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder: its full path, whether it is a folder, and its size in bytes."""

    path: str
    is_folder: bool
    size: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return name_of(self.path)


def resolve(path: str) -> str:
    """An absolute form of ``path``; URIs (``s3://...``) are left as they are.

    Raises:
        InputError: nothing can be found by it.
    """
    return _made(path, Path.resolve)


def absolute(path: str) -> str:
    """An absolute form of ``path`` that keeps its links, for a file that others are found beside; URIs as they are.

    Raises:
        InputError: nothing can be found by it.
    """
    return _made(path, Path.absolute)


def _made(path: str, make: Callable[[Path], Path]) -> str:
    try:
        made = path if not is_local(path) else str(make(Path(path).expanduser()))
        made.encode()
        if "\0" in made:
            raise ValueError("it holds a zero byte")  # noqa: TRY301 - as the system would
    except UnicodeEncodeError as error:
        raise InputError(path, "its name is not UTF-8", "rename the file or the folder") from error
    # A loop of links, the home of nobody, a current folder that is gone, a zero byte.
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(path, f"is no path ({error})", "check it") from error
    return made


def is_local(path: str) -> bool:
    """Whether ``path`` is a plain path on the local (or a mounted) file system."""
    return "://" not in path


def join(base: str, *parts: str) -> str:
    """``base/part/part``; works for paths and URIs, whose query stays at the end."""
    base, query = stores.split(base)
    return "/".join([base.rstrip("/"), *parts]) + query


def beside(path: str, name: str) -> str:
    """What a file names that stands with it: ``name`` seen from the folder of ``path``."""
    return join(parent_of(path), name)


def parent_of(path: str) -> str:
    """The folder that a path or a URI stands in."""
    path, query = stores.split(path)
    return posixpath.dirname(path) + query


def name_of(path: str) -> str:
    """The last part of a path or a URI."""
    return posixpath.basename(stores.split(path)[0].rstrip("/"))


def locate(path: str) -> StoragePath:
    """A path with its file system.

    Raises:
        InputError: no file system is known for such a URI, or it cannot be reached.
    """
    try:
        return StoragePath(path, *_open_system(path))
    except OSError as error:
        raise InputError(path, f"cannot be reached ({error})", "check the address and your access to it") from error


def _open_system(path: AnyPath) -> tuple[fs.FileSystem, str]:
    if isinstance(path, StoragePath):
        return path.system, path.inner
    if is_local(path):
        return LOCAL, path
    try:
        return stores.open_store(path)
    except ArrowException as error:
        raise InputError(path, "is no address of a store that can be read", "copy it here and name the file") from error


def entry(path: AnyPath) -> Entry | None:
    """What stands at ``path``, or ``None``."""
    system, inner = _open_system(path)
    info = system.get_file_info(inner)
    if info.type == fs.FileType.NotFound:
        return None
    return Entry(str(path), info.type == fs.FileType.Directory, info.size or 0)


def stamp(path: AnyPath) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds since 1970 (0 where the system does not say).

    Raises:
        FileNotFoundError: nothing stands there.
    """
    system, inner = _open_system(path)
    info = system.get_file_info(inner)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError(str(path))
    return info.size or 0, info.mtime_ns or 0


def is_file(path: AnyPath) -> bool:
    """Whether a file stands at ``path``: no folder, pipe or device."""
    system, inner = _open_system(path)
    return bool(system.get_file_info(inner).type == fs.FileType.File)


def is_folder(path: AnyPath) -> bool:
    """Whether a folder stands at ``path``."""
    found = entry(path)
    return found is not None and found.is_folder


def children(path: AnyPath) -> list[Entry]:
    """The entries of a folder, sorted by name; empty where there is no such folder.

    Raises:
        InputError: a name in it is not UTF-8, which Arrow cannot give.
    """
    system, inner = _open_system(path)
    infos = system.get_file_info(fs.FileSelector(inner, allow_not_found=True))
    try:
        return _entries(path, infos)
    except UnicodeDecodeError as error:
        raise InputError(str(path), "holds a file whose name is not UTF-8", "rename it, or take it out") from error


def _entries(path: AnyPath, infos: list[fs.FileInfo]) -> list[Entry]:
    found = [Entry(join(str(path), i.base_name), i.type == fs.FileType.Directory, i.size or 0) for i in infos]
    return sorted(found, key=lambda e: e.name)


def open_input(path: AnyPath) -> IO[bytes]:
    """A seekable binary file open for reading.

    Raises:
        FileNotFoundError: nothing stands at ``path``.
        OSError: it cannot be read, or it is a pipe, a device or a socket: these have no end, or wait for a writer.
    """
    system, inner = _open_system(path)
    if isinstance(system, fs.LocalFileSystem):
        mode = Path(inner).stat().st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "is a folder" if stat.S_ISDIR(mode) else "is no regular file", str(path))
    file = cast("IO[bytes]", system.open_input_file(inner))
    # Every read of a store's object is a request.
    return file if isinstance(system, fs.LocalFileSystem) else io.BufferedReader(cast("io.RawIOBase", file), READ_AHEAD)


def read_bytes(path: AnyPath) -> bytes:
    """The whole content of a file; raises like `open_input`."""
    with open_input(path) as file:
        return bytes(file.read())


def write_atomic(path: AnyPath, data: bytes | memoryview, *, durable: bool = False) -> None:
    """Writes a file that is seen whole or not at all; a ``durable`` one also after a power loss.

    A local file is written under a temporary name beside its final one and renamed. An object store shows an object
    only once its upload is complete, see `actors.files.stores.publish`.

    Raises:
        OSError: the file cannot be written (full, read-only, no permission); no file stands under ``path`` then
            unless one stood there before.
    """
    system, inner = _open_system(path)
    if not isinstance(system, fs.LocalFileSystem):
        stores.publish(system, inner, data)
        return
    with _replacing(Path(inner)) as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def written_in_parts(path: AnyPath) -> Iterator[IO[bytes]]:
    """A file to write and to read; what it holds at the end of the block stands under ``path``, or nothing new does.

    Raises:
        OSError: it cannot be written.
    """
    system, inner = _open_system(path)
    if isinstance(system, fs.LocalFileSystem):
        with _replacing(Path(inner)) as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        yield file
        file.flush()
        stores.publish(system, inner, file)


@contextmanager
def _replacing(final: Path) -> Iterator[IO[bytes]]:
    """A temporary file that takes the place of another at the end of the block, unless that raises."""
    partial = _partial(final)
    try:
        with partial.open("w+b") as file:
            yield file
        partial.replace(final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _partial(final: Path) -> Path:
    """A temporary name beside a final one; unique, because two workers may be given the same range at once."""
    return final.with_name(f".{final.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.partial")


def make_folder(path: AnyPath) -> None:
    """Creates a folder and its parents; fine when it exists."""
    system, inner = _open_system(path)
    system.create_dir(inner, recursive=True)


def remove_file(path: AnyPath) -> None:
    """Removes a file; fine when it is not there."""
    system, inner = _open_system(path)
    if system.get_file_info(inner).type != fs.FileType.NotFound:
        system.delete_file(inner)


def remove_folder(path: AnyPath) -> None:
    """Removes a folder and what is in it; fine when it is not there."""
    system, inner = _open_system(path)
    if system.get_file_info(inner).type != fs.FileType.NotFound:
        system.delete_dir(inner)


def place_file(source: Path, path: AnyPath) -> None:
    """Puts a finished local file under its final name, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    system, inner = _open_system(path)
    if not isinstance(system, fs.LocalFileSystem):
        with source.open("rb") as file:
            stores.publish(system, inner, file)
        return
    partial = _partial(Path(inner))
    try:
        shutil.copyfile(source, partial)
        partial.replace(inner)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def copy_file(source: AnyPath, path: AnyPath) -> None:
    """Copies a file; the copy is seen whole or not at all.

    Raises:
        OSError: the file cannot be read, or the copy cannot be written.
    """
    from_system, from_inner = _open_system(source)
    system, inner = _open_system(path)
    if not isinstance(system, fs.LocalFileSystem):
        with written_in_parts(path) as file, open_input(source) as content:
            shutil.copyfileobj(content, file, 1 << 20)
        return
    partial = _partial(Path(inner))
    try:
        fs.copy_files(from_inner, str(partial), source_filesystem=from_system, destination_filesystem=system)
        partial.replace(inner)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
