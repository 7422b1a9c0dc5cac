"""What went wrong while a clip was rendered and was mended."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.core.ranges import ClipRange
from jobs.scheduling.deaths import Death


@dataclass(slots=True)
class Incidents:
    """What happened besides rendering, for the run's record.

    Attributes:
        deaths: of workers that had ranges of the clip, or its network and nothing yet, in order.
        retried: ranges given out again, in order.
        split: ranges cut in two after killing twice.
        blocks_lost: how often a block had to be loaded again.
    """

    deaths: list[Death] = field(default_factory=list)
    retried: list[ClipRange] = field(default_factory=list)
    split: list[ClipRange] = field(default_factory=list)
    blocks_lost: int = 0
