"""A worker as the scheduler sees it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from actors.core.ranges import ClipBlock, ClipRange


class Status(Enum):
    """What there is in a slot: nothing yet, a worker that begins or one that can render, or nothing ever again."""

    WANTED = auto()
    STARTING = auto()
    READY = auto()
    ABANDONED = auto()


@dataclass(frozen=True, slots=True)
class Given:
    """A range that a worker has, and its blocks."""

    range: ClipRange
    blocks: tuple[ClipBlock, ...]


@dataclass(slots=True)
class WorkerState:
    """What is known of the worker of a slot."""

    status: Status = Status.WANTED
    # What it holds, or is being started with.
    network: str | None = None
    # The process while it is ready, so that a death names what died.
    pid: int | None = None
    # In the order given. The actor begins them in this order, or nearly so where it renders several at once.
    queue: list[Given] = field(default_factory=list)
    # When the first of them was given out or became the first.
    running_since: float = 0.0
    # Frames per second over its latest range, by its own clock: answers may lie about until the driver looks.
    pace: float = 0.0
    deaths_in_a_row: int = 0
    start_deaths: int = 0

    def take_back(self, answered: ClipRange, now: float) -> float:
        """Takes a range out of the queue, and gives the seconds for which it was the first there.

        Later ones may be answered before the first: that says nothing of whether the first one hangs.
        """
        place = next(place for place, given in enumerate(self.queue) if given.range == answered)
        del self.queue[place]
        if place:
            return 0.0
        since, self.running_since = self.running_since, now
        return now - since
