"""Ctrl-C, SIGTERM and SIGHUP: answered by a line at once; the process ends within seconds, whatever it is doing.

Python runs a signal's handler only when its main thread comes back from whatever library it is in, which may be never.
So a thread of its own receives signals, says so, and ends the process when the main thread has not done it in time.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

from actors.core.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# What the main thread has for ending workers, leaving Ray and writing the record.
END_SECONDS = 8.0

# A second Ctrl-C ends at once. Programs that pass signals on deliver one of them twice, within milliseconds.
TWICE_SECONDS = 0.3

# The thread that holds Ray.
RAY_THREAD = "ray"

EARLY = b"interrupted; nothing had begun\n"
INTERRUPTED = b"interrupted: ending within seconds; a second Ctrl-C ends at once\n"
FORCED = b"interrupted: ended without leaving Ray; the same command goes on from here\n"


@contextmanager
def handle_signals() -> Iterator[Answers]:
    """Answers signals while the block runs, and until the process ends.

    To be entered in the main thread. What is ignored already stays ignored: that is how `nohup` and shells say that a
    command is not to be ended that way.
    """
    signals = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    answers = Answers()
    for number in signals:
        signal.signal(number, answers.interrupt)
    threading.Thread(target=_watch, args=(reading, frozenset(signals), answers), name="signals", daemon=True).start()
    try:
        yield answers
    finally:
        # What is left of the process is its end; a signal now changes nothing but the time it may take.
        answers.seen = True


class Answers:
    """What a signal does now.

    Attributes:
        begun: whether the command has begun. Before, modules are being loaded, which an exception would only break, and
            there is nothing to clean up.
        seen: whether it needs no interrupt any more; a second would only disturb what the first one began.
    """

    def __init__(self) -> None:
        self.begun = False
        self.seen = False

    def begin(self) -> None:
        """From now on the first signal raises `KeyboardInterrupt` in the main thread."""
        self.begun = True

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """The handler on Python's own side."""
        if self.begun and not self.seen:
            self.seen = True
            raise KeyboardInterrupt


def _watch(reading: int, signals: frozenset[int], answers: Answers) -> None:
    while os.read(reading, 1)[0] not in signals:
        pass
    if not answers.begun:
        end_now(ExitCode.INTERRUPTED, EARLY)
    _print(INTERRUPTED)
    began = time.monotonic()
    while (left := began + END_SECONDS - time.monotonic()) > 0:
        ready, _, _ = select.select([reading], [], [], left)
        again = bool(ready) and os.read(reading, 1)[0] == signal.SIGINT
        if again and time.monotonic() - began > TWICE_SECONDS:
            break
    end_now(ExitCode.INTERRUPTED, FORCED)


def ray_hangs() -> bool:
    """Whether Ray has not come back from being started, joined or left; such a process can only be ended hard."""
    return any(thread.name == RAY_THREAD for thread in threading.enumerate())


def end_now(code: int, line: bytes) -> None:
    """Ends this process and all that it has started, without any clean-up, after saying one line."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    _print(line)
    os._exit(code)


def _print(line: bytes) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(2, line)
