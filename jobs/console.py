"""Everything for the person at the terminal: never wrapped, never coloured by accident, never read as markup.

The person may go away, and then nobody is told; what the program does and its exit code stay the same.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.table import Table

from actors.core.errors import printable


def terminal(*, stderr: bool = False, width: int | None = None) -> Console:
    """Where the person is told things: standard output or error, in which no text means anything but itself.

    Args:
        stderr: whether it is for errors.
        width: columns; as many as the terminal has where ``None``.
    """
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def silent() -> Console:
    """Where nobody is told anything."""
    return Console(quiet=True)


def say(console: Console, line: str, style: str | None = None) -> None:
    """Prints one line as it is; of names and words from outside nothing takes effect."""
    console.print(printable(line), style=style, soft_wrap=True, highlight=False, markup=False, emoji=False)


def show(console: Console, table: Table) -> None:
    """Prints a table."""
    console.print(table)


def outlive_listeners() -> None:
    """Makes standard output and error take everything, whatever becomes of who listens. For a program's start.

    A reader that is gone, a full disk and a closed descriptor are no errors: what cannot be said is not said. What
    cannot be encoded is written in escapes.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free is this one; a file of the run's would get it otherwise, and what is said.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _steady(sys.stdout, 1), _steady(sys.stderr, 2)


def _steady(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:
        return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    return _Steady(
        stream.buffer,
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty() or descriptor == 2,
        write_through=os.environ.get("PYTHONUNBUFFERED", "") != "",
    )


class _Steady(io.TextIOWrapper):
    """A standard stream that fails nobody who writes to it."""

    def write(self, text: str, /) -> int:
        with self._unheard():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._unheard():
            super().flush()

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            pass  # its reader is slow, and a descriptor that does not wait was chosen by others
        except OSError:
            # What is still in buffers must go somewhere, or every later write and the end of the program would fail.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
