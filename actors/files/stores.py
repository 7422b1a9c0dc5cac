"""Stores that an address names (``s3://...``): one file system for each, and objects seen whole or not at all."""

from __future__ import annotations

import mmap
import threading
from concurrent.futures import Future
from functools import cache
from typing import IO

from pyarrow import fs

# Without it S3 takes three requests for an object, however small.
DELAYED_OPEN = "allow_delayed_open"

# Bytes that are handed over at once: Arrow copies what it sends in the background.
PIECE = 32 << 20


def split(path: str) -> tuple[str, str]:
    """A path, and the query of an address, which names the store (``?region=...``); empty where there is none."""
    if "?" not in path or "://" not in path:
        return path, ""
    address, mark, query = path.partition("?")
    return address, mark + query


def open_store(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system that an address is on, made once for each store, and the path there as it is written.

    Raises:
        ArrowException: no file system is known for it.
        OSError: the store cannot be reached.
    """
    address, query = split(uri)
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    # What has no host is a path of this machine, which costs nothing to open.
    if not host:
        system, inner = fs.FileSystem.from_uri(uri)
        return system, inner
    system, root = _store(scheme, host, query)
    # Not by Arrow: in an address it takes no blanks, and a per cent sign for the beginning of an escape.
    return system, (root.rstrip("/") + slash + path).rstrip("/") or root


@cache
def _store(scheme: str, host: str, query: str) -> tuple[fs.FileSystem, str]:
    if scheme == "s3" and DELAYED_OPEN not in query:
        query = f"{query or '?'}{'&' if query else ''}{DELAYED_OPEN}=true"
    system, root = fs.FileSystem.from_uri(f"{scheme}://{host}{query}")
    return system, root


def publish(system: fs.FileSystem, inner: str, content: bytes | memoryview | IO[bytes]) -> None:
    """Puts an object into a store.

    A stream publishes what it holds however it ends, also by an error or a signal between two of its calls. So the
    content is there before the stream is opened, and a thread of its own sends it, which no signal interrupts.

    Args:
        system: the store.
        inner: the object's name there.
        content: all of it, or a local file, which may be larger than memory.

    Raises:
        OSError: it cannot be written. What stood there before stands there still.
    """
    done: Future[None] = Future()

    def send() -> None:
        try:
            if isinstance(content, bytes | memoryview):
                _send(system, inner, content)
            else:
                _send_file(system, inner, content)
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=send, name="publish").start()
    done.result()


def _send_file(system: fs.FileSystem, inner: str, file: IO[bytes]) -> None:
    size = file.seek(0, 2)
    if not size:
        _send(system, inner, b"")
        return
    # Not closed here: a stream that has failed may hold on to it for a while.
    _send(system, inner, memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)))


def _send(system: fs.FileSystem, inner: str, content: bytes | memoryview) -> None:
    whole = memoryview(content).cast("B") if len(content) else b""
    stream = system.open_output_stream(inner)
    # A piece that fails leaves an upload that cannot be completed.
    for start in range(0, len(whole), PIECE):
        stream.write(whole[start : start + PIECE])
    stream.close()
