"""Which of a file's tracks is taken, the one that players show or play, and when the others begin."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

S = TypeVar("S", bound="Stream")

# Seconds: a track that begins later beside another does not belong to it.
LATEST_START = 3600


def default_track(tracks: Sequence[S]) -> S:
    """The first track that the file marks as the one to take by default; covers come last.

    Args:
        tracks: those of one type, in the file's order, at least one.
    """
    # Half of what a worker imports, and most clips are images.
    from av.stream import Disposition  # noqa: PLC0415

    def rank(track: S) -> tuple[bool, bool]:
        return bool(track.disposition & Disposition.attached_pic), not track.disposition & Disposition.default

    return min(tracks, key=rank)


def others_start(container: InputContainer, own: Stream) -> Fraction | None:
    """When the earliest of the other streams of picture and sound begins, in seconds; ``None`` where it is alone."""
    from av.stream import Disposition  # noqa: PLC0415 - as in `default_track`

    return min(
        (
            stream.start_time * Fraction(stream.time_base)
            for stream in (*container.streams.video, *container.streams.audio)
            if stream is not own
            and stream.start_time is not None
            and stream.time_base is not None
            and not stream.disposition & Disposition.attached_pic
        ),
        default=None,
    )
