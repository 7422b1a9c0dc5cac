"""A row of a batch on its way from being read to its end."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from jobs.batch.clip_steps import Start, Verdict
from jobs.batch.manifest import Row
from jobs.inputs.options import CompositeOptions
from jobs.run.opening import Opening
from jobs.scheduling.open_clip import OpenClip


@dataclass(slots=True)
class BatchClip:
    """What this process keeps of a clip; references are Ray's.

    Attributes:
        number: place of its row among those that are rendered.
        row: of the manifest.
        digest: of its options.
        options: its own and the command's.
        read: reference of the clip that was read.
        verdict: what is known of it since.
        lock: gives its folder back.
        start: what was decided when its turn came.
        turn: when that was, on `time.perf_counter`.
        opening: what is needed of it while it is rendered.
        config: reference of what workers are told.
        chunks: references of what loaders are told, once one has been asked for a block on its behalf.
        open: its state while it is rendered.
    """

    number: int
    row: Row
    digest: str
    options: CompositeOptions
    read: Any = None
    verdict: Verdict | None = None
    lock: ExitStack = field(default_factory=ExitStack)
    start: Start | None = None
    turn: float = 0.0
    opening: Opening | None = None
    config: Any = None
    chunks: list[Any] | None = None
    open: OpenClip | None = None
