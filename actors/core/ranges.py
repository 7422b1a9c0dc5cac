"""Ranges of output frames, and what they are called where there are several clips."""

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

    def cut(self, size: int) -> tuple[FrameRange, FrameRange]:
        """The first ``size`` frames, and the others; there must be others."""
        middle = self.start + size
        return FrameRange(self.start, middle), FrameRange(middle, self.stop)


@dataclass(frozen=True, slots=True, order=True)
class ClipRange:
    """Output frames of a clip, which is named by its id."""

    clip: str
    frames: FrameRange

    def __len__(self) -> int:
        return len(self.frames)

    def __str__(self) -> str:
        """As it is called in the record of its clip."""
        return str(self.frames)

    def cut(self, size: int) -> tuple[ClipRange, ClipRange]:
        """The first ``size`` frames, and the others; there must be others."""
        first, rest = self.frames.cut(size)
        return ClipRange(self.clip, first), ClipRange(self.clip, rest)

    def joined(self, after: ClipRange) -> ClipRange | None:
        """This range together with another, ``None`` where that does not follow it."""
        if after.clip != self.clip or after.frames.start != self.frames.stop:
            return None
        return ClipRange(self.clip, FrameRange(self.frames.start, after.frames.stop))


@dataclass(frozen=True, slots=True, order=True)
class ClipBlock:
    """A block of backgrounds of a clip, by its number."""

    clip: str
    number: int

    def __str__(self) -> str:
        """As it is called in the record of its clip."""
        return str(self.number)


def divide(frames: Sequence[int], size: int) -> tuple[FrameRange, ...]:
    """Cuts ascending output frames into ranges of at most ``size`` frames; a gap always ends a range."""
    ranges: list[FrameRange] = []
    for frame in frames:
        if ranges and ranges[-1].stop == frame and len(ranges[-1]) < size:
            ranges[-1] = FrameRange(ranges[-1].start, frame + 1)
        else:
            ranges.append(FrameRange(frame, frame + 1))
    return tuple(ranges)
