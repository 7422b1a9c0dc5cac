"""What went wrong in a run and was mended."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.core.ranges import ClipRange
from jobs.scheduling.deaths import Death


@dataclass(slots=True)
class Incidents:
    """What happened besides rendering, for the run's record.

    Attributes:
        deaths: workers that died, in order.
        retried: ranges given out again, in order.
        split: ranges cut in two after killing twice.
        abandoned: slots that are not started again.
        blocks_lost: how often a block had to be loaded again.
    """

    deaths: list[Death] = field(default_factory=list)
    retried: list[ClipRange] = field(default_factory=list)
    split: list[ClipRange] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)
    blocks_lost: int = 0
