"""Frames of a video file, decoded where they lie, and only of packets that are what the driver saw."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from actors.core.errors import InputError
from actors.core.fingerprints import changed, packet_digest
from actors.core.picture_metadata import HDR_NUMBERS
from actors.files import storage
from actors.files.media_tracks import default_track

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from actors.core.clip import VideoFrames
    from actors.core.pixels import Image
    from actors.core.video_packets import KeyPacket


# The containers that may be opened, as an option of FFmpeg's. Playlists (HLS, DASH, concat) are left out: they make it
# open other files and addresses.
CONTAINERS = {"format_whitelist": "mov,mp4,matroska,webm,avi"}

# Decoders give pictures in the order in which they are shown, and hold back so many at the most to do so (H.264, HEVC).
# Where more wait for one before them, that one is missing, or timestamps are wild.
REORDERED = 16


def decode_video(source: VideoFrames) -> Iterator[Image]:
    """The wanted frames in order, ``(H, W, 3)`` uint8 BGR each, as soon as they are decoded.

    A frame is told by the place of its packet in the order of decoding: timestamps may be missing, guessed or double,
    and seeking lands on a keyframe, never on a frame number.

    Raises:
        InputError: the file cannot be read, or a frame does not decode.
        StoppedError: the file is not the one that the driver saw.
    """
    starts = source.packets.starts(min(source.places))
    done = 0
    try:
        with storage.open_input(source.path) as file:
            for start in starts:
                for frame in _decode_from(file, start, source, source.places[done:], last=start == starts[-1]):
                    done += 1
                    yield frame
                if done == len(source):
                    return
    except OSError as error:
        raise InputError(source.path, f"cannot be read ({error})", "put it back, or mend its permissions") from error
    raise InputError(source.path, "some of its frames do not decode", "encode it again; it may be damaged")


def _decode_from(
    file: IO[bytes], start: KeyPacket, source: VideoFrames, places: tuple[int, ...], *, last: bool
) -> Iterator[Image]:
    """The frames at ``places`` in order, decoding from a keyframe on; up to the first that is missing.

    Raises:
        InputError: a packet does not decode.
        StoppedError: the packets are not those that the driver saw.
    """
    import av  # noqa: PLC0415
    import av.error  # noqa: PLC0415

    # In a damaged file seeking may lead astray; the driver has read it from its beginning.
    for seek in (True, False):
        file.seek(0)
        with (
            suppress(av.error.FFmpegError),
            av.open(file, "r", metadata_errors="replace", options=CONTAINERS) as container,
        ):
            packets = _packets(container, start, source, seek=seek)
            if packets is not None:
                yield from _decode(default_track(container.streams.video), packets, source.path, places, last=last)
                return
    raise changed(source.path)


def _decode(
    stream: VideoStream, packets: list[Packet[VideoStream]], path: str, places: tuple[int, ...], *, last: bool
) -> Iterator[Image]:
    """The frames at ``places`` in order, up to the first that is missing.

    Frames before a keyframe in presentation order may need the one before it, and decoders leave out or mark what they
    cannot know. From the ``last`` start whatever they make of the packets is what it is.
    """
    import av.error  # noqa: PLC0415

    stream.thread_type = "NONE"
    wanted = set(places)
    waiting: dict[int, Image] = {}
    done = 0
    try:
        for packet in (*packets, None):
            for frame in stream.codec_context.decode(packet):
                if frame.pts not in wanted or (frame.is_corrupt and not last):
                    continue
                # What the beginning says is looked at before a run; joined files may go on otherwise.
                if hdr := HDR_NUMBERS.get(int(frame.color_trc)):
                    fix = "mouthpiece inspect names the first such frame: tone-map or cut off that part"
                    raise InputError(path, f"goes on as {hdr}, which is not rendered", fix)
                waiting[frame.pts] = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                while done < len(places) and places[done] in waiting:
                    yield waiting.pop(places[done])
                    done += 1
            if done == len(places) or (len(waiting) > REORDERED and not last):
                return
    except av.error.FFmpegError as error:
        if last:
            raise InputError(path, f"cannot be decoded ({error})", "encode it again") from error


def _packets(
    container: InputContainer, start: KeyPacket, source: VideoFrames, *, seek: bool
) -> list[Packet[VideoStream]] | None:
    """The packets from ``start`` to the last that is needed, each with its place for a timestamp.

    ``None`` if they are not those that the driver saw.
    """
    packets, place = source.packets, start.place
    if packet_digest(default_track(container.streams.video).codec_context.extradata or b"") != packets.header:
        return None
    found: list[Packet[VideoStream]] = []
    for packet in _from_key(container, start, source, seek=seek):
        if packet_digest(bytes(packet)) != packets.digest(place):
            return None
        packet.pts = packet.dts = place
        found.append(packet)
        place += 1
        if place == packets.stop:
            return found
    return None


def _from_key(
    container: InputContainer, start: KeyPacket, source: VideoFrames, *, seek: bool
) -> Iterator[Packet[VideoStream]]:
    """The stream's packets from the keyframe on, empty ones left out; none where it is not found."""
    stream = default_track(container.streams.video)
    digest = source.packets.digest(start.place)
    if seek:
        container.seek(start.time, stream=stream, backward=True)
    found = False
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if not found and packet.is_keyframe:
            times = {at for at in (packet.dts, packet.pts) if at is not None}
            found = bool({start.time, start.shown} & times) and packet_digest(bytes(packet)) == digest
            if seek and not found and times and min(times) > max(start.time, start.shown):
                return
        if found:
            yield packet
