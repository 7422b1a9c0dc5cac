"""Executors for the steps of a batch: on threads of their own beside a GPU, or inline where every core is taken."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from queue import PriorityQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class InlineExecutor(Executor):
    """Runs what it is given at once, in the calling thread; a raised exception waits in the future like any other."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs ``fn`` and gives a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(error)
        return future


class OrderedExecutor:
    """One thread. Of what waits for it, that of the lowest order runs first, and of one order what came first."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._waiting: PriorityQueue[tuple[int, int, Callable[[], None]]] = PriorityQueue()
        self._count = itertools.count()

    def submit(self, order: int, task: Callable[[], None]) -> None:
        """Runs ``task``, which raises nothing, when its turn has come."""
        self._waiting.put((order, next(self._count), task))
        self._thread.submit(self._next)

    def _next(self) -> None:
        # As often as something is put: there is always one.
        self._waiting.get_nowait()[2]()


class Share(Executor):
    """One caller's part of an executor that others use as well.

    Leaving it gives up what has not begun and waits for what runs, of this caller alone.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        # What is done is forgotten: a range's pictures would stay until its end.
        self._given: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the executor does."""
        return self.including(self._executor.submit(fn, *args, **kwargs))

    def including(self, future: Future[T]) -> Future[T]:
        """Waits for what runs elsewhere in the same way."""
        if not future.done():
            self._given.add(future)
            future.add_done_callback(self._given.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - as its base has it
        """Gives up what has not begun, and waits for the rest."""
        # What is given up is never waited for: it may stand in the queue behind the work of others.
        wait_for([future for future in list(self._given) if not future.cancel()])


def executor(threads: int) -> Executor:
    """An executor with that many threads, which it ends when it is left; inline for 0."""
    return ThreadPoolExecutor(threads) if threads else InlineExecutor()
