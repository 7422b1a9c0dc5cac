"""One slot: the worker that stands there, its network, and what it was given. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from actors.core.ranges import ClipBlock, ClipRange

# More than a poison frame costs (see `jobs.scheduling.open_clip.MAX_RANGE`).
MAX_DEATHS_IN_A_ROW = 16

# A worker that dies before it is ready will not get better; a busy cluster may need a second try.
MAX_START_DEATHS = 3


class Status(Enum):
    """What stands in a slot."""

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
    """A slot.

    Attributes:
        status: what stands there.
        network: key of the network that its worker has; empty where none was started.
        started: when it was started.
        pid: its process while it is ready, so that a death names what died.
        queue: in the order given. The actor begins them in this order, or nearly so where it renders several at once.
        running_since: when the first of them was given out or became the first.
        pace: frames per second over its latest range, by its own clock: answers may lie about until the driver looks.
        deaths_in_a_row: since its workers last rendered a range.
        start_deaths: by network, deaths in a row of workers that were not ready yet.
    """

    status: Status = Status.WANTED
    network: str = ""
    started: float = 0.0
    pid: int | None = None
    queue: list[Given] = field(default_factory=list)
    running_since: float = 0.0
    pace: float = 0.0
    deaths_in_a_row: int = 0
    start_deaths: Counter[str] = field(default_factory=Counter)

    @property
    def manned(self) -> bool:
        """Whether a worker stands there, ready or not."""
        return self.status is Status.READY or self.status is Status.STARTING

    def may_have(self, network: str) -> bool:
        """Whether a worker can be started here, now or later, that has a network."""
        return self.status is not Status.ABANDONED and self.start_deaths[network] < MAX_START_DEATHS

    def start(self, network: str, now: float) -> None:
        """A worker is started."""
        self.status, self.network, self.started = Status.STARTING, network, now
        self.pid, self.pace = None, 0.0

    def ready(self, pid: int) -> None:
        """Its worker can render; ``pid`` is its process, on its own node."""
        self.status, self.pid = Status.READY, pid
        self.start_deaths.pop(self.network, None)

    def died(self) -> bool:
        """Its worker is gone: whether another of the same network may be started."""
        self.deaths_in_a_row += 1
        if self.status is not Status.READY:
            self.start_deaths[self.network] += 1
        self.status = Status.WANTED if self.deaths_in_a_row < MAX_DEATHS_IN_A_ROW else Status.ABANDONED
        self.pid, self.pace = None, 0.0
        return self.may_have(self.network)

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
