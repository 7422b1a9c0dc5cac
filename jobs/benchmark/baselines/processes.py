"""Processes for the baselines of several: they begin together and end together, and share what was loaded before."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared


class Counter:
    """Gives out 0, 1, 2 ... to forked processes, each number once."""

    def __init__(self) -> None:
        self._next = multiprocessing.get_context("fork").Value("q", 0)

    def take(self) -> int:
        """The next number."""
        with self._next:
            number = int(self._next.value)
            self._next.value = number + 1
        return number


def run_processes(number: int, prepare: Callable[[int], Callable[[], shared.Count]]) -> list[shared.Done]:
    """Runs processes that begin together.

    They are forked, so whatever the caller has loaded is shared by all of them. Needs a system with ``fork``.

    Args:
        number: how many.
        prepare: called in each process with its index; opens the session and returns the work for the clock.

    Returns:
        What each has done, in no order.

    Raises:
        RuntimeError: a process failed; the others have been ended.
    """
    cv2.setNumThreads(1)
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(number)
    answers = context.SimpleQueue()

    def body(index: int) -> None:
        work = prepare(index)
        ready.wait()
        answers.put(shared.timed(work))

    running = [context.Process(target=body, args=(index,), daemon=True) for index in range(number)]
    for process in running:
        process.start()
    while running:
        multiprocessing.connection.wait([process.sentinel for process in running])
        # Asked once: a process that ends between two questions would be neither running nor failed.
        codes = [process.exitcode for process in running]
        failed = [code for code in codes if code]
        running = [process for process, code in zip(running, codes, strict=True) if code is None]
        if failed:
            for process in running:
                process.terminate()
            raise RuntimeError(f"a process ended with {failed[0]}; its traceback stands above")
    return [answers.get() for _ in range(number)]
