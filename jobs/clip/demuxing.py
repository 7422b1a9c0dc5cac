"""The packets of a video's stream: which are frames, in what order these are shown, and where decoding begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import av.container
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from actors.core.errors import InputError
from actors.core.fingerprints import packet_digest
from actors.core.video_packets import KeyPacket, Packets
from jobs.clip.ffmpeg_commands import reencoded

COPY_AGAIN = "copy or download the whole file again"
# The profile of VP9 whose number is followed by a reserved bit.
_RESERVED_BIT_PROFILE = 3


@dataclass(frozen=True, slots=True)
class PacketTable:
    """A stream's packets in the order of decoding, empty ones left out.

    Attributes:
        shown: when the container says that each is shown, in units of the stream's time base.
        decoded: when it says that each is decoded.
        frames: places of those that become frames, in the order in which they are shown.
        keys: places of those that decoding can begin with, ascending.
        digests: `actors.core.fingerprints.packet_digest` of all, one behind the other.
        guessed: the container says when packets are decoded; when they are shown FFmpeg has guessed.
        header: `actors.core.fingerprints.packet_digest` of what the container tells decoders.
    """

    shown: tuple[int | None, ...]
    decoded: tuple[int | None, ...]
    frames: tuple[int, ...]
    keys: tuple[int, ...]
    digests: bytes
    guessed: bool
    header: bytes

    @property
    def times(self) -> tuple[int, ...]:
        """When each of `frames` is shown, ascending; the earliest of them is shown first, whatever stands at it."""
        return tuple(sorted(self._time(place) for place in self.frames))

    def by_time(self) -> PacketTable:
        """The frames in the order of the times that the container says."""
        return replace(self, frames=tuple(sorted(self.frames, key=self._time)))

    def says_order(self, *, reorders: bool) -> bool:
        """Whether the container's times tell the order of the frames.

        Args:
            reorders: the codec's own headers say that frames are shown in another order than they are decoded in.
        """
        times = [self.shown[place] for place in self.frames]
        known = [time for time in times if time is not None]
        if self.guessed or len(known) < len(times) or len(set(known)) < len(known):
            return False
        return not (reorders and all(before < after for before, after in pairwise(known)))

    def as_decoded(self, places: list[int], intra: set[int]) -> PacketTable:
        """The frames as a decoder gives them.

        Args:
            places: of all frames that it gives, in that order.
            intra: those of them that are coded by themselves: containers mark others as keyframes, too.
        """
        kept = set(self.frames)
        frames = tuple(place for place in places if place in kept)
        return replace(self, frames=frames, keys=tuple(key for key in self.keys if key in intra) or self.keys)

    def packets(self) -> Packets:
        """What loaders must find."""
        keys = tuple(KeyPacket(key, *self._moments(key)) for key in self.keys)
        reach = max((after - before for before, after in pairwise(sorted(self.frames))), default=1)
        return Packets(0, self.digests, keys, reach, self.header)

    def require_decodable(self, path: str) -> None:
        """Checks that there are frames, and a keyframe before each.

        Raises:
            InputError: there are none, or some that nothing can be decoded from.
        """
        if not self.frames:
            raise InputError(path, "holds no frames", reencoded(path))
        first = min(self.frames)
        if not self.keys or self.keys[0] > first or self._time(self.keys[0]) > self.times[0]:
            raise InputError(
                path, "it starts with frames that cannot be decoded (no keyframe before them)", reencoded(path)
            )

    def _time(self, place: int) -> int:
        return self._moments(place)[0 if self.guessed else 1]

    def _moments(self, place: int) -> tuple[int, int]:
        """When a packet is decoded and shown; the one is taken for the other where that is not said."""
        shown, decoded = self.shown[place], self.decoded[place]
        known = shown if shown is not None else decoded
        if known is None:
            raise ValueError("a packet without any time has been refused")
        return known if decoded is None else decoded, known


def list_packets(container: av.container.InputContainer, stream: VideoStream, path: str) -> PacketTable:
    """Lists a stream's packets, without decoding any.

    Raises:
        InputError: packets are missing, damaged or without any time.
    """
    stated = _stated_frames(container, stream)
    header = packet_digest(stream.codec_context.extradata or b"")
    codec = stream.codec_context.codec.canonical_name
    shown: list[int | None] = []
    decoded: list[int | None] = []
    frames: list[int] = []
    keys: list[int] = []
    digests = bytearray()
    for packet in container.demux(stream):
        # The demuxer ends with an empty packet that only tells decoders to flush.
        if not packet.size:
            continue
        place = len(shown)
        if packet.is_corrupt:
            raise InputError(path, f"damaged or truncated at frame {place}", f"{COPY_AGAIN}, or {reencoded(path)}")
        if packet.pts is None and packet.dts is None:
            raise InputError(path, f"frame {place} has no timestamp", reencoded(path))
        content = bytes(packet)
        shown.append(packet.pts)
        decoded.append(packet.dts)
        digests += packet_digest(content)
        if packet.is_keyframe:
            keys.append(place)
        # An edit list may hide frames that others are still decoded from.
        if not packet.is_discard and not _hidden(codec, content):
            frames.append(place)
    there = len(shown)
    if container.format.name == "avi":
        # It counts the moments at which a frame stays on show, too; they have numbers, and no packets.
        there = max((time + 1 for time in decoded if time is not None), default=0)
    if there < stated:
        raise InputError(path, f"truncated: {there} of {stated} frames are there", COPY_AGAIN)
    return PacketTable(
        shown=tuple(shown),
        decoded=tuple(decoded),
        frames=tuple(frames),
        keys=tuple(keys),
        digests=bytes(digests),
        guessed=_guessed(container, stream),
        header=header,
    )


def decoded_order(container: av.container.InputContainer, stream: VideoStream, path: str) -> tuple[list[int], set[int]]:
    """Decodes a whole stream: the places of its frames in the decoder's order, and which are coded by themselves.

    Raises:
        InputError: it does not decode.
    """
    places: list[int] = []
    intra: set[int] = set()
    for place, frame in decoded_frames(container, stream, path):
        places.append(place)
        if frame.pict_type == PictureType.I:
            intra.add(place)
    return places, intra


def decoded_frames(
    container: av.container.InputContainer, stream: VideoStream, path: str
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Every frame of a stream in the decoder's order, with the place of its packet.

    Raises:
        InputError: it does not decode.
    """
    stream.thread_type = "AUTO"
    place = 0
    for packet in container.demux(stream):
        if packet.size:
            packet.pts = packet.dts = place
            yield from _frames(stream, packet, path, place)
            place += 1
    yield from _frames(stream, None, path, place)


def _frames(
    stream: VideoStream, packet: Packet[VideoStream] | None, path: str, place: int
) -> Iterator[tuple[int, av.VideoFrame]]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.error.FFmpegError as error:
        raise InputError(path, f"damaged at frame {place}", f"{COPY_AGAIN}, or {reencoded(path)}") from error
    yield from ((frame.pts, frame) for frame in frames if frame.pts is not None)


def _guessed(container: av.container.InputContainer, stream: VideoStream) -> bool:
    """Whether the container has no times of presentation: AVI, and Matroska that holds AVI's headers."""
    name = container.format.name
    return name == "avi" or ("matroska" in name and bool(stream.codec_context.codec_tag.strip("\0")))


def _hidden(codec: str, content: bytes) -> bool:
    """Whether a packet of VP8 or VP9 holds a frame that is only referred to (an alternate reference)."""
    if codec == "vp8":
        # RFC 6386, 9.1: the fifth bit of the frame tag says whether it is shown.
        return not content[0] & 0x10
    if codec == "vp9":
        return _hidden_vp9(content)
    return False


def _hidden_vp9(content: bytes) -> bool:
    """The beginning of VP9's uncompressed header (VP9 bitstream specification, 6.2)."""
    # A superframe's last frame is shown.
    if content[-1] & 0xE0 == 0xC0:
        return False
    bits = f"{int.from_bytes(content[:2].ljust(2, b'x'), 'big'):016b}"
    profile = int(bits[2]) + 2 * int(bits[3])
    rest = bits[5 if profile == _RESERVED_BIT_PROFILE else 4 :]
    show_existing, show = rest[0] == "1", rest[2] == "1"
    return not show_existing and not show


def _stated_frames(container: av.container.InputContainer, stream: VideoStream) -> int:
    """How many frames the container says it holds, 0 where it does not say."""
    # A QuickTime edit list may leave out frames that the sample count includes; the index is built after it.
    if "mp4" in container.format.name:
        return min(stream.frames, len(stream.index_entries))
    return stream.frames
