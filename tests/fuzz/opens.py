"""Which files of a folder are opened, whoever opens them: Python, Arrow, FFmpeg or ONNX Runtime (inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Self

_IN_OPEN, _IN_ISDIR = 0x20, 0x40000000
_EVENT = struct.Struct("iIII")


class Watch:
    """Watches every file below a folder from entry to exit.

    Attributes:
        opened: names of the files that were opened, once each; complete after the exit.
    """

    def __init__(self, folder: Path) -> None:
        self.opened: list[str] = []
        self._folder = folder
        self._inotify = -1
        self._names: dict[int, str] = {}

    def __enter__(self) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                watch = libc.inotify_add_watch(self._inotify, os.fsencode(path), _IN_OPEN)
                if watch < 0:
                    raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))
                self._names[watch] = path.name
        return self

    def __exit__(self, *_: object) -> None:
        found = set()
        while True:
            try:
                events = os.read(self._inotify, 1 << 16)
            except BlockingIOError:
                break
            offset = 0
            while offset < len(events):
                watch, mask, _cookie, length = _EVENT.unpack_from(events, offset)
                offset += _EVENT.size + length
                if not mask & _IN_ISDIR:
                    found.add(self._names[watch])
        os.close(self._inotify)
        self.opened = sorted(found)
