"""What the scheduler says is to be done next, and the dispatch loop does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from actors.core.ranges import ClipBlock, ClipRange


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Create the actor of a slot, with a network."""

    slot: int
    network: str


@dataclass(frozen=True, slots=True)
class EndWorker:
    """End the idle actor of a slot, whose place one with another network takes."""

    slot: int


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End the actor of a slot; its death has already been taken into account."""

    slot: int
    reason: str


@dataclass(frozen=True, slots=True)
class LoadBlock:
    """Load a block into the object store."""

    block: ClipBlock


@dataclass(frozen=True, slots=True)
class CancelLoad:
    """Give up loading a block; the loss has already been taken into account."""

    block: ClipBlock


@dataclass(frozen=True, slots=True)
class DropBlock:
    """Forget a block."""

    block: ClipBlock


@dataclass(frozen=True, slots=True)
class Render:
    """Give a range to the worker of a slot."""

    slot: int
    range: ClipRange
    blocks: tuple[ClipBlock, ...]


Action: TypeAlias = StartWorker | EndWorker | KillWorker | LoadBlock | CancelLoad | DropBlock | Render
