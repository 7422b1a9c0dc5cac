"""The frames of one range on their way: what each costs and becomes, and the video segment that they make."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from actors.core.seam import Seam, seams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor, Future

    from actors.core.pixels import Image
    from actors.core.seam import SeamLines
    from actors.rendering.video_segments import SegmentEncoder


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
    batch: Batch
    composite_ms: float = 0.0
    encode_ms: float = 0.0
    write_ms: float = 0.0
    video_ms: float = 0.0
    edges: tuple[SeamLines, Image] | None = None
    bytes: int = 0
    checksum: str = ""
    yuv: Image | None = None


class SegmentWriter:
    """The segment of one range: frames are added in order and encoded by a thread of their own, a few behind."""

    def __init__(self, encoding: Executor, fps: int, aspect: Fraction, longest: int) -> None:
        self._encoding = encoding
        self._fps = Fraction(fps)
        self._aspect = aspect
        self._longest = longest
        self._waiting: deque[Future[None]] = deque()
        self._frames: list[FinishedFrame] = []
        self._encoder: SegmentEncoder | None = None

    def add(self, frame: FinishedFrame) -> None:
        """Appends a frame; waits where too many are not encoded yet."""
        self._frames.append(frame)
        self._waiting.append(self._encoding.submit(self._encode, frame))
        if len(self._waiting) > self._longest:
            self._waiting.popleft().result()

    def finish(self) -> bytes:
        """The whole segment."""
        while self._waiting:
            self._waiting.popleft().result()
        if self._encoder is None:
            raise RuntimeError("a segment needs frames")
        clock = time.perf_counter()
        segment = self._encoder.finish()
        # The encoder holds frames back and finishes them only now.
        each = milliseconds(clock) / len(self._frames)
        for frame in self._frames:
            frame.video_ms += each
        return segment

    def _encode(self, frame: FinishedFrame) -> None:
        # A worker that makes no video need not load the encoder; one that does has loaded it by now.
        from actors.rendering.video_segments import SegmentEncoder  # noqa: PLC0415

        clock = time.perf_counter()
        yuv, frame.yuv = frame.yuv, None
        if yuv is None:
            raise RuntimeError("a frame for the video has no picture")
        if self._encoder is None:
            self._encoder = SegmentEncoder(yuv.shape[1], yuv.shape[0] * 2 // 3, self._fps, self._aspect)
        self._encoder.add(yuv)
        frame.video_ms += milliseconds(clock)


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
    edges = [frame.edges for frame in frames if frame.edges is not None]
    if len(edges) < len(frames):
        return [Seam(0.0, "")] * len(frames)
    found = seams(edges)
    each = milliseconds(clock) / max(1, len(frames))
    for frame in frames:
        frame.composite_ms += each
    return found


def milliseconds(since: float) -> float:
    """Milliseconds since a moment on `time.perf_counter`."""
    return (time.perf_counter() - since) * 1e3
