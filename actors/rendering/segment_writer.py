"""The video segment of one range, encoded beside the frames that it is made of."""

from __future__ import annotations

import time
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING

from actors.rendering.frame_costs import milliseconds

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from actors.rendering.frame_costs import FinishedFrame
    from actors.rendering.video_segments import SegmentEncoder


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
