"""Executors for the steps of a batch: on threads of their own beside a GPU, or inline where every core is taken."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

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


def executor(threads: int) -> Executor:
    """An executor with that many threads, which it ends when it is left; inline for 0."""
    return ThreadPoolExecutor(threads) if threads else InlineExecutor()
