"""The network of a worker: batches go in as calls make them, and come out as predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

from numpy.typing import NDArray

from actors.core.pixels import Planes
from actors.rendering.executors import InlineExecutor, OrderedExecutor
from actors.rendering.frame_costs import Batch, milliseconds

if TYPE_CHECKING:
    from actors.network.binding import Binding
    from actors.network.prediction import Prediction
    from actors.network.session import Session

P = ParamSpec("P")
T = TypeVar("T")

# Of one batch: the network's view of the backgrounds, the audio tensors, and what the face encoder made before.
NetworkInput: TypeAlias = "tuple[NDArray[Any], Planes, tuple[Planes, ...]]"

# A batch with the network's input, and with its answer; ``None`` where it need not run.
Gathered: TypeAlias = "tuple[Batch, NetworkInput | None]"
Answered: TypeAlias = "tuple[Batch, Prediction | None]"


class InlineNetwork:
    """Runs batches where it is asked to."""

    # Batches that may be asked for before the first of them is answered.
    ahead = 0

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Does something where the network runs."""
        return fn(*args, **kwargs)

    def open(self, session: Session) -> None:
        """Runs batches of ``session`` from now on."""
        self._session = session

    def submit(self, order: int, gather: Callable[[], Gathered]) -> Future[Answered]:  # noqa: ARG002 - one call at once
        """Gathers a batch and runs it, as `NetworkThreads.submit` does."""
        return InlineExecutor().submit(self._answer, gather)

    def _answer(self, gather: Callable[[], Gathered]) -> Answered:
        batch, given = gather()
        if given is None:
            return batch, None
        clock = time.perf_counter()
        prediction = self._session.run(*given)
        batch.inference_ms = milliseconds(clock)
        return batch, prediction


class NetworkThreads:
    """Three threads: one gathers batches and loads them into free buffers, one runs the network, one fetches answers.

    Calls may submit at the same time. Whenever the feeding thread is free, it takes a batch of the earliest call that
    has one: the network goes from one call to the next without a gap, and it works for the next call while the earlier
    one waits for its files.
    """

    # One that the network runs and one that is loaded, besides the one whose answer is waited for.
    ahead = 2

    def __init__(self) -> None:
        self._feeding = OrderedExecutor()
        self._running = ThreadPoolExecutor(1)
        self._fetching = ThreadPoolExecutor(1)
        self._free: SimpleQueue[Binding] = SimpleQueue()

    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Does something where the network runs: CUDA's provider makes ready what it needs for each thread anew."""
        return self._running.submit(fn, *args, **kwargs).result()

    def open(self, session: Session) -> None:
        """Runs batches of ``session`` from now on."""
        for binding in session.bindings:
            self._free.put(binding)

    def submit(self, order: int, gather: Callable[[], Gathered]) -> Future[Answered]:
        """Gathers a batch and runs it.

        Args:
            order: of its call.
            gather: makes it.

        Returns:
            The batch, and what the network says of it. It can be cancelled until it is gathered.
        """
        answer: Future[Answered] = Future()
        self._feeding.submit(order, partial(self._gather, gather, answer))
        return answer

    def _gather(self, gather: Callable[[], Gathered], answer: Future[Answered]) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        with _failing(answer):
            batch, given = gather()
            if given is None:
                answer.set_result((batch, None))
            else:
                self._load(batch, given, self._free.get(), answer)

    def _load(self, batch: Batch, given: NetworkInput, binding: Binding, answer: Future[Answered]) -> None:
        with _failing(answer, lambda: self._free.put(binding)):
            clock = time.perf_counter()
            binding.load(*given)
            batch.gather_ms += milliseconds(clock)
            self._running.submit(self._run, batch, binding, answer)

    def _run(self, batch: Batch, binding: Binding, answer: Future[Answered]) -> None:
        with _failing(answer, lambda: self._free.put(binding)):
            clock = time.perf_counter()
            binding.run()
            batch.inference_ms = milliseconds(clock)
            self._fetching.submit(self._fetch, batch, binding, answer)

    def _fetch(self, batch: Batch, binding: Binding, answer: Future[Answered]) -> None:
        with _failing(answer, lambda: self._free.put(binding)):
            prediction = binding.fetch()
            self._free.put(binding)
            answer.set_result((batch, prediction))


@contextmanager
def _failing(answer: Future[Answered], release: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Whoever asks for the answer gets what is raised here."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it is raised there
        release()
        answer.set_exception(error)
