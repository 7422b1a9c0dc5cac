"""Which of a file's tracks is taken: the one that players show or play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from av.stream import Stream

S = TypeVar("S", bound="Stream")


def chosen(tracks: Sequence[S]) -> S:
    """The first track that the file marks as the one to take by default; covers come last.

    Args:
        tracks: those of one type, in the file's order, at least one.
    """
    # Half of what a worker imports, and most clips are images.
    from av.stream import Disposition  # noqa: PLC0415

    def rank(track: S) -> tuple[bool, bool]:
        return bool(track.disposition & Disposition.attached_pic), not track.disposition & Disposition.default

    return min(tracks, key=rank)
