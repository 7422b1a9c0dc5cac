"""A file composed of parts of another file and of bytes in memory, to read past a damaged header or a tag."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import accumulate
from typing import IO, TypeAlias

# Bytes of one's own, or those of the file from the first number up to the second.
Part: TypeAlias = bytes | tuple[int, int]


class Spliced(io.RawIOBase):
    """A seekable, readable file.

    Args:
        file: what it is made of; its position is lost, closing it is the caller's.
        parts: in order, none of them empty.
    """

    def __init__(self, file: IO[bytes], parts: Sequence[Part]) -> None:
        self._file = file
        self._parts = parts
        self._ends = [*accumulate(len(part) if isinstance(part, bytes) else part[1] - part[0] for part in parts)]
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As of any file; before the begin is the begin."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; fewer bytes only at its end."""
        stop = self._ends[-1] if size is None or size < 0 else min(self._position + size, self._ends[-1])
        found, start = bytearray(), 0
        for part, end in zip(self._parts, self._ends, strict=True):
            first, last = max(self._position, start), min(stop, end)
            if first < last:
                found += self._piece(part, first - start, last - start)
            start = end
        self._position += len(found)
        return bytes(found)

    def _piece(self, part: Part, first: int, last: int) -> bytes:
        if isinstance(part, bytes):
            return part[first:last]
        self._file.seek(part[0] + first)
        return self._file.read(last - first)
