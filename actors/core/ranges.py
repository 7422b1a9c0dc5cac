"""Ranges of output frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class FrameRange:
    """Output frames ``start <= i < stop``."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop

    def __str__(self) -> str:
        return f"{self.start}:{self.stop}"

    @property
    def id(self) -> str:
        """Name of the range in files and tables; sorts by first frame."""
        return f"{self.start:09d}-{self.stop:09d}"

    @classmethod
    def parse(cls, name: str) -> FrameRange:
        """The range that an `id` names."""
        start, _, stop = name.partition("-")
        return cls(int(start), int(stop))

    def widened(self, by: int, end: int) -> FrameRange:
        """The range with ``by`` frames more on both sides, as far as there are any in ``0 <= i < end``."""
        return FrameRange(max(0, self.start - by), min(self.stop + by, end))

    def covers(self, other: FrameRange) -> bool:
        """Whether every frame of ``other`` is in this range."""
        return self.start <= other.start and other.stop <= self.stop

    def split(self) -> tuple[FrameRange, FrameRange]:
        """The two halves of a range of at least two frames."""
        middle = self.start + len(self) // 2
        return FrameRange(self.start, middle), FrameRange(middle, self.stop)


def divide(frames: Sequence[int], size: int) -> tuple[FrameRange, ...]:
    """Cuts ascending output frames into ranges of at most ``size`` frames; a gap always ends a range."""
    ranges: list[FrameRange] = []
    for frame in frames:
        if ranges and ranges[-1].stop == frame and len(ranges[-1]) < size:
            ranges[-1] = FrameRange(ranges[-1].start, frame + 1)
        else:
            ranges.append(FrameRange(frame, frame + 1))
    return tuple(ranges)
