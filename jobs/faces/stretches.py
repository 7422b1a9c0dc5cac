"""Stretches of frames on which the dubbed face is in one state, and how long each is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.core.faces import FaceOrigin
from jobs.faces.gaps import COVERED, unbroken
from jobs.faces.seen_faces import SeenFaces


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames ``first <= frame < stop`` in a row.

    Attributes:
        first: the first of them.
        stop: behind the last.
        start: when the first is shown, in seconds.
        seconds: for how long they are shown.
    """

    first: int
    stop: int
    start: float
    seconds: float

    @classmethod
    def of(cls, first: int, stop: int, times: NDArray[np.float64]) -> Stretch:
        """Frames of footage that is shown at some times; its last frame is shown for as long as the one before."""
        count = len(times)
        step = float(times[-1] - times[-2]) if count > 1 else 0.0
        end = float(times[stop]) if stop < count else float(times[-1]) + step
        return cls(first, stop, float(times[first]), end - float(times[first]))

    @property
    def last(self) -> int:
        """The last of the frames."""
        return self.stop - 1

    @property
    def name(self) -> str:
        """The frames in words."""
        return f"frame {self.first}" if self.stop == self.first + 1 else f"frames {self.first} to {self.last}"

    @property
    def middle(self) -> int:
        """The frame in the middle, of two the earlier."""
        return (self.first + self.stop - 1) // 2


def origin_stretches(
    origins: Sequence[FaceOrigin], origin: FaceOrigin, times: NDArray[np.float64]
) -> tuple[Stretch, ...]:
    """Every run of frames whose face came about in one way."""
    return _runs(np.array([each is origin for each in origins], np.int64), times)


def covered_stretches(found: SeenFaces, rows: NDArray[np.int64], times: NDArray[np.float64]) -> tuple[Stretch, ...]:
    """Every run of frames on which the mouth of the dubbed face is covered.

    Args:
        found: what was found on the whole footage.
        rows: ``(frames,)``, the row of the dubbed face, -1 where there is none.
        times: ``(frames,)``, when every frame is shown, in seconds.
    """
    covered = np.zeros(len(rows), np.int64)
    covered[rows >= 0] = found.presence[rows[rows >= 0]] < COVERED
    return _runs(covered, times)


def longest(stretches: Sequence[Stretch], most: int) -> tuple[Stretch, ...]:
    """At most so many of the stretches, those that are shown longest, in the order of time."""
    chosen = sorted(stretches, key=lambda each: (-each.seconds, each.first))[:most]
    return tuple(sorted(chosen, key=lambda each: each.first))


def _runs(marks: NDArray[np.int64], times: NDArray[np.float64]) -> tuple[Stretch, ...]:
    return tuple(Stretch.of(first, stop, times) for first, stop in unbroken(marks))
