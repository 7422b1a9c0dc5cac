"""Calls of Ray that have not been answered, each with what it stands for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import ray

from actors.core.ranges import ClipBlock, ClipRange

# How long to sleep in Ray when nothing happens; bounds how late a hung range or an interrupt is seen.
POLL_SECONDS = 0.5

# A look costs in proportion to the calls that are outstanding, so answers may gather for as long for each of them: 1 ms
# with two workers and 38 with 64, who have another range in their queues meanwhile.
GATHER_SECONDS = 0.0003
MOST_GATHER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class PendingStart:
    """The worker of a slot gets ready."""

    slot: int


@dataclass(frozen=True, slots=True)
class PendingLoad:
    """A block is loaded, on behalf of a clip that needs it."""

    block: ClipBlock
    clip: str


@dataclass(frozen=True, slots=True)
class PendingRender:
    """The worker of a slot renders a range, with these references to its blocks."""

    slot: int
    range: ClipRange
    blocks: dict[ClipBlock, Any]


@dataclass(frozen=True, slots=True)
class PendingOther:
    """A call that the dispatcher's user has made, who is told of its answer."""

    on_answer: Callable[[Any], None]


PendingCall: TypeAlias = PendingStart | PendingLoad | PendingRender | PendingOther


class PendingCalls:
    """The calls that are outstanding, in the order in which they were made."""

    def __init__(self) -> None:
        self._calls: dict[Any, PendingCall] = {}

    def __iter__(self) -> Iterator[PendingCall]:
        return iter(self._calls.values())

    def add(self, ref: Any, call: PendingCall) -> None:  # noqa: ANN401 - Ray's references are generic
        """Expects an answer by a reference."""
        self._calls[ref] = call

    def take(self, others: PendingCalls) -> None:
        """Expects what others expected, who do so no more."""
        self._calls.update(others._calls)
        others._calls = {}

    def drop(self, given_up: Callable[[PendingCall], bool]) -> None:
        """Forgets calls of which nothing is expected any more."""
        self._calls = {ref: call for ref, call in self._calls.items() if not given_up(call)}

    def answers(self) -> Iterator[tuple[Any, PendingCall]]:
        """Waits for answers, at most about `POLL_SECONDS`; those that are dropped meanwhile are left out.

        Yields:
            The reference of each answer with its call, in the order in which the calls were made.
        """
        if not self._calls:
            time.sleep(POLL_SECONDS)
            return
        calls = list(self._calls)
        ready, _ = ray.wait(calls, num_returns=1, timeout=POLL_SECONDS, fetch_local=False)
        if ready and len(calls) > 1:
            # One more look takes everything that comes by then: one call for many answers.
            gather = min(GATHER_SECONDS * len(calls), MOST_GATHER_SECONDS)
            ready, _ = ray.wait(calls, num_returns=len(calls), timeout=gather, fetch_local=False)
        arrived = set(ready)
        for ref in calls:
            if ref in arrived and (call := self._calls.pop(ref, None)) is not None:
                yield ref, call
