"""Workers that died: what is recorded of it, and what is said at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.core.errors import error_text

# Ray's account of a death has some 1,500 characters; what it says of the cause stands towards the end.
LONGEST_RECORDED, LONGEST_SAID = 8000, 240

SHORT_OF_MEMORY = re.compile(r"OutOfMemoryError|running low on memory")
LOST_CONNECTION = "connection error code 2"
DETAIL = re.compile(r"Worker exit detail: (.+?)(?: Some common causes|$)")


@dataclass(frozen=True, slots=True)
class Death:
    """One of them.

    Attributes:
        worker: its slot.
        pid: its process, ``None`` if it had not become ready.
        reason: all that is known.
        ranges: how many it had, which are given out again or failed.
        replaced: whether another is started in its place.
    """

    worker: int
    pid: int | None
    reason: str
    ranges: int
    replaced: bool

    @property
    def _who(self) -> str:
        return f"worker {self.worker}" + ("" if self.pid is None else f" (pid {self.pid})")

    @property
    def line(self) -> str:
        """What users are told: who, why, and what happens next."""
        back = {0: "", 1: "its range goes back, "}.get(self.ranges, f"its {self.ranges} ranges go back, ")
        rest = "another is started in its place" if self.replaced else "none is started in its place any more"
        return f"died: {self._who}: {brief_reason(self.reason)}; {back}{rest}"


def brief_reason(reason: str) -> str:
    """What killed a worker, in few words."""
    if SHORT_OF_MEMORY.search(reason):
        return "Ray killed it (OutOfMemoryError): its machine ran short of memory; fewer --workers take less"
    if LOST_CONNECTION in reason:
        return "its process ended without a word, killed from outside or crashed (`dmesg` names kills for memory)"
    detail = DETAIL.search(reason)
    said = detail[1] if detail else reason
    return said if len(said) <= LONGEST_SAID else f"{said[:LONGEST_SAID]}..."


def recorded_text(error: Exception) -> str:
    """All that an error of Ray's says, on one line."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {error_text(cause, LONGEST_RECORDED)}"
