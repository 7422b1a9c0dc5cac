"""The thread that holds Ray, so that signals are answered while Ray hangs; and the watch over Ray's servers."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
import ray

from actors.core.errors import StoppedError
from jobs.process.interrupts import RAY_THREAD

# What is wrong with Ray's servers, if anything.
Problem = Callable[[], StoppedError | None]

# How often that is asked.
WATCH_SECONDS = 1.0

# How long the last look may take once nobody wants it any more.
LAST_LOOK_SECONDS = 2.0

# And while Ray is started: a server that dies then is soon listed no more.
START_SECONDS = 0.1

# How long Ray may take to be left: in peace, and when there is nothing to wait for.
LEAVE_SECONDS, FLEE_SECONDS = 30.0, 2.5

# Tells the main thread that its cluster is lost: the only thing that calls into Ray come back for is a signal.
POKE = signal.SIGUSR2


class RayConnection:
    """A Ray that this process is connected to.

    Attributes:
        lost: why it is no more, or ``None``.
        hurry: somebody waits for the end, so Ray is given little time to be left.
    """

    def __init__(self) -> None:
        self.lost: StoppedError | None = None
        self.hurry = False


@contextmanager
def connected(
    start: Callable[[], None], starting: Callable[[], Exception | None], running: Problem, folder: Path | None
) -> Iterator[RayConnection]:
    """Starts or joins Ray, and leaves it in the end.

    Args:
        start: connects this process.
        starting: asked meanwhile.
        running: asked from then on; a problem interrupts the main thread.
        folder: where the processes that Ray starts here for us alone have their files, by which they are known.

    Raises:
        Exception: what `start` raises, or a problem.
    """
    thread = _RayThread(start)
    thread.start()
    connection = RayConnection()
    calm = False
    try:
        thread.wait(starting)
        with watched(connection, running):
            yield connection
        calm = connection.lost is None and not connection.hurry
    except Exception:
        calm = connection.lost is None and thread.failure is None and thread.started.is_set()
        raise
    finally:
        thread.leave(LEAVE_SECONDS if calm else FLEE_SECONDS, folder)


class _RayThread(threading.Thread):
    """The thread; it lives for as long as Ray does, because Ray's processes end with the thread that started them."""

    def __init__(self, start: Callable[[], None]) -> None:
        super().__init__(name=RAY_THREAD, daemon=True)
        self._start_ray = start
        self._unwanted = threading.Event()
        self.started = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._start_ray()
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
            self.failure = error
        self.started.set()
        self._unwanted.wait()
        ray.shutdown()

    def wait(self, problem: Callable[[], Exception | None]) -> None:
        """Returns once Ray is there.

        Raises:
            Exception: why it is not.
        """
        while not self.started.wait(START_SECONDS):
            found = problem()
            if found is not None:
                raise found
        if self.failure is not None:
            raise self.failure

    def leave(self, seconds: float, folder: Path | None) -> None:
        """Disconnects; of the processes that are ours alone none is left, however long Ray takes over it."""
        ours = [] if folder is None else _processes(folder)
        self._unwanted.set()
        self.join(seconds)
        for process in ours:
            with suppress(psutil.Error):
                process.kill()
        if self.is_alive():
            self.join(1.0)


def _processes(folder: Path) -> list[psutil.Process]:
    """Ray's processes with files in a folder, and what these have started."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(str(folder) in word for word in child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found


@contextmanager
def watched(connection: RayConnection, problem: Problem) -> Iterator[None]:
    """Looks after Ray while the block runs.

    Raises:
        Exception: the problem, if there was one.
    """
    done = threading.Event()
    main = threading.current_thread() is threading.main_thread()

    def watch() -> None:
        while not done.wait(WATCH_SECONDS):
            found = problem()
            if found is None:
                continue
            connection.lost = connection.lost or found
            if main and not done.is_set():
                _thread.interrupt_main(POKE)
            return

    before = signal.signal(POKE, _interrupt) if main else None
    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    try:
        yield
    except KeyboardInterrupt as error:
        if connection.lost is not None:
            raise connection.lost from error
        raise
    finally:
        done.set()
        # A question on its way when the process ends would crash it.
        watcher.join(LAST_LOOK_SECONDS)
        if main:
            signal.signal(POKE, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
