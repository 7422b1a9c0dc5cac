"""Compressed pictures of a video in the order of decoding: which of them frames need, and what each must hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actors.core.fingerprints import DIGEST_BYTES, packet_digest

# How many keyframes before a frame decoding may have to begin: with open groups of pictures at the one before the last,
# where pictures are refreshed bit by bit (x264's intra-refresh) still earlier.
STARTS = 3


@dataclass(frozen=True, slots=True)
class KeyPacket:
    """A packet that decoding can begin with.

    Attributes:
        place: in the order of decoding.
        time: when it is decoded, or shown where the container does not say, in units of the stream's time base.
        shown: when it is shown, or decoded where the container does not say.
    """

    place: int
    time: int
    shown: int


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets ``first <= place < stop`` of a video's stream, in the order of decoding, empty ones left out.

    Attributes:
        first: place of the first of them in the whole stream.
        digests: what the driver saw, `actors.core.fingerprints.packet_digest` of each, one behind the other.
        keys: those that decoding can begin with, ascending.
        reach: so many packets in a row may hold one frame: two fields, say.
        header: `actors.core.fingerprints.packet_digest` of what decoders are told before the first packet.
    """

    first: int
    digests: bytes
    keys: tuple[KeyPacket, ...]
    reach: int = 1
    header: bytes = packet_digest(b"")

    @property
    def stop(self) -> int:
        """Place after the last of them."""
        return self.first + len(self.digests) // DIGEST_BYTES

    def digest(self, place: int) -> bytes:
        """What the packet at ``first <= place < stop`` must hold."""
        start = (place - self.first) * DIGEST_BYTES
        return self.digests[start : start + DIGEST_BYTES]

    def starts(self, place: int) -> tuple[KeyPacket, ...]:
        """Where decoding may begin to get at the packet at ``place``: the nearest keyframe first."""
        return tuple(key for key in reversed(self.keys) if key.place <= place)[:STARTS]

    def around(self, places: tuple[int, ...]) -> Packets:
        """What must be decoded for the packets at ``places`` (at least one), and nothing behind them."""
        starts = self.starts(min(places))
        first = starts[-1].place if starts else self.first
        stop = min(max(places) + self.reach, self.stop)
        digests = self.digests[(first - self.first) * DIGEST_BYTES : (stop - self.first) * DIGEST_BYTES]
        keys = tuple(key for key in self.keys if first <= key.place < stop)
        return replace(self, first=first, digests=digests, keys=keys)
