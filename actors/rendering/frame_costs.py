"""What the batches and frames of one range cost, stage by stage, on their way to rows of the timing table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.seam import Seam, seams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.core.faces import FaceOrigin
    from actors.core.pixels import Image
    from actors.core.seam import SeamLines


@dataclass(slots=True)
class Batch:
    """What a batch costs before its frames go their own ways.

    Attributes:
        number: its place within the range.
        size: frames of the range in it.
        started_at: Unix time in seconds.
        gather_ms: making network input.
        inference_ms: the network.
    """

    number: int
    size: int
    started_at: float
    gather_ms: float
    inference_ms: float = 0.0


@dataclass(slots=True)
class FinishedFrame:
    """One finished frame: milliseconds by stage, what was written, its edges, and the picture as the video wants it."""

    frame: int
    background: int
    face: FaceOrigin
    batch: Batch
    composite_ms: float = 0.0
    encode_ms: float = 0.0
    write_ms: float = 0.0
    video_ms: float = 0.0
    edges: tuple[SeamLines, Image] | None = None
    bytes: int = 0
    checksum: str = ""
    yuv: Image | None = None


def charge(batches: Sequence[Batch]) -> None:
    """Adds what batches of neighbours alone have cost to the nearest batch of frames that needed them."""
    own = [batch for batch in batches if batch.size and batch.inference_ms]
    for other in (batch for batch in batches if not batch.size):
        nearest = min(own, key=lambda batch: abs(batch.number - other.number))
        nearest.gather_ms += other.gather_ms
        nearest.inference_ms += other.inference_ms


def measured(frames: Sequence[FinishedFrame]) -> list[Seam]:
    """The seam of each frame of a range, which is part of its compositing; 0 where nothing is composited."""
    clock = time.perf_counter()
    composited = [(frame, frame.edges) for frame in frames if frame.edges is not None]
    found = dict(zip((frame.frame for frame, _ in composited), seams([edges for _, edges in composited]), strict=True))
    each = milliseconds(clock) / max(1, len(composited))
    for frame, _ in composited:
        frame.composite_ms += each
    return [found.get(frame.frame, Seam(0.0, "")) for frame in frames]


def milliseconds(since: float) -> float:
    """Milliseconds since a moment on `time.perf_counter`."""
    return (time.perf_counter() - since) * 1e3
