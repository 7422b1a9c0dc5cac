"""MP3 and AAC files that were joined: which parts are sound, and which are tags and padding.

Players skip what is no frame. A frame is told by its header (ISO/IEC 11172-3, 2.4.1.3; for AAC the ADTS of ISO/IEC
13818-7, 6.2), whose length leads to the next.
"""

from __future__ import annotations

import io
from typing import IO, TypeAlias, cast

from actors.core.errors import InputError

Reader: TypeAlias = "io.BufferedReader[io.RawIOBase]"

_HEADER = 6

# Bit rates in kbit/s by version (1, or 2 and 2.5), layer and index.
_BIT_RATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {0b11: (44_100, 48_000, 32_000), 0b10: (22_050, 24_000, 16_000), 0b00: (11_025, 12_000, 8_000)}

# So many frames in a row are no chance.
_CERTAIN = 3

# Frames, about a second, by which a file may be shorter than it announces.
_CARELESS = 38

# No further does anybody look for the next frame.
_SEARCHED = 1 << 24

_NAMES = (".mp3", ".mp2", ".mpa", ".mpga", ".aac")
_ID3V1, _ID3V2, _APE = 128, 10, 32
_CHUNK = 1 << 16


def frame_length(header: bytes) -> int:
    """Bytes of the frame that begins with these six; 0 where none does, or it does not say."""
    if len(header) < _HEADER or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    if header[1] & 0xF6 == 0xF0:
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        return length if header[2] >> 2 & 0xF < 13 and length > 7 else 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, step = header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or layer == 4 or rate == 3 or step in {0, 15}:
        return 0
    first = version == 3
    bits = _BIT_RATES[1 if first else 2, layer][step] * 1000
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // _RATES[version][rate] + padding) * 4
    samples = 1152 if first or layer == 2 else 576
    return samples // 8 * bits // _RATES[version][rate] + padding


def sound_parts(name: str, file: IO[bytes], size: int) -> list[tuple[int, int]] | None:
    """The parts of an MP3 or AAC file that hold its frames, where tags or filling stand in front of or between them.

    Damage is not passed over: what is neither a tag nor stands before the first frame, at a tag or before the frame by
    which an encoder begins a file, stays where it is.

    Args:
        name: of the file; what begins with something else than a tag or a frame is read as such by its name only.
        file: seekable; its position is lost.
        size: bytes of it.

    Raises:
        InputError: of one of the joined files less is there than its first frame announces.

    Returns:
        Begins and ends; ``None`` where the file is neither, or can be read as it is.
    """
    file.seek(0)
    head = file.read(_ID3V2)
    if not (head[:3] == b"ID3" or frame_length(head[:_HEADER]) or name.lower().endswith(_NAMES)):
        return None
    # Headers are read one by one.
    source = io.BufferedReader(cast("io.RawIOBase", file), _CHUNK)
    try:
        return _parts(name, source, size)
    finally:
        source.detach()


def _parts(name: str, file: Reader, size: int) -> list[tuple[int, int]] | None:
    parts: list[tuple[int, int]] = []
    place, begin, frames, gaps, first = 0, 0, 0, False, True
    # By file: frames that it announces, less those that are there.
    missing = [0]
    while place < size:
        file.seek(place)
        header = file.read(_ID3V2)
        if length := frame_length(header[:_HEADER]):
            if first:
                missing.append(_announced(file, place))
            missing[-1] -= 1
            place, first, frames = place + length, False, frames + 1
        elif tag := _tag_length(file, header, place, size):
            parts += [(begin, place)] if frames and begin < place else []
            begin, gaps = (place + tag, True) if frames else (begin, gaps)
            place, first = place + tag, True
        else:
            found = None if not frames and header[:4] == b"fLaC" else _next_frame(file, place, size)
            if found is None:
                break
            if first or _holds_tag(file, place, found) or _announced(file, found):
                parts += [(begin, place)] if frames and begin < place else []
                begin, gaps, first = found, True, True
            place = found
    parts += [(begin, size)] if begin < size else []
    if frames < _CERTAIN or not gaps or not parts or parts == [(0, parts[0][1])]:
        return None
    if max(missing) > _CARELESS:
        raise InputError(name, "is cut off: one of the files that it is joined from is not whole", "copy them again")
    return parts


def _tag_length(file: Reader, header: bytes, place: int, size: int) -> int:
    """Bytes of the tag that begins here; 0 where none does."""
    if header[:3] == b"ID3" and len(header) == _ID3V2 and max(header[6:10]) < 0x80:
        body = sum(byte << 7 * power for power, byte in enumerate(reversed(header[6:10])))
        return body + _ID3V2 * (2 if header[5] & 0x10 else 1)
    if header[:3] == b"TAG":
        return min(_ID3V1, size - place)
    if header[:8] == b"APETAGEX":
        file.seek(place)
        whole = file.read(_APE)
        # Its size leaves this header out; a footer stands at the end of the rest.
        return _APE + int.from_bytes(whole[12:16], "little") if len(whole) == _APE else 0
    if header[:10] == b"LYRICSBEGI":
        file.seek(place)
        end = file.read(_CHUNK).find(b"LYRICS200")
        return end + 9 if end >= 0 else 0
    return 0


def _next_frame(file: Reader, place: int, size: int) -> int | None:
    """Where frames go on behind something else: the first place from which they lead to each other, or to the end."""
    start, stop = place + 1, min(size, place + _SEARCHED)
    while start < stop:
        file.seek(start)
        # A header may lie across the seam of two chunks.
        chunk = file.read(_CHUNK + _HEADER - 1)
        offset = chunk.find(b"\xff")
        while 0 <= offset < _CHUNK:
            if frame_length(chunk[offset : offset + _HEADER]) and _leads_on(file, start + offset, size):
                return start + offset
            offset = chunk.find(b"\xff", offset + 1)
        start += _CHUNK
    return None


def _holds_tag(file: Reader, place: int, found: int) -> bool:
    file.seek(place)
    between = file.read(found - place)
    return any(mark in between for mark in (b"ID3", b"APETAGEX", b"TAG"))


def _leads_on(file: Reader, place: int, size: int) -> bool:
    """Whether some frames in a row begin here."""
    for _ in range(_CERTAIN):
        file.seek(place)
        header = file.read(_ID3V2)
        length = frame_length(header[:_HEADER])
        if not length:
            return False
        place += length
        if place >= size:
            return True
    return True


def _announced(file: Reader, place: int) -> int:
    """Frames that this frame announces: encoders put one in front that holds no sound but this. Of others 0."""
    file.seek(place)
    head = file.read(64)
    for mark in (b"Xing", b"Info"):
        offset = head.find(mark)
        if offset >= 0:
            # Flags, of which the lowest says that the number of frames comes next.
            flags, frames = (int.from_bytes(head[offset + start :][:4], "big") for start in (4, 8))
            return max(1, frames) if flags & 1 else 1
    return int(b"VBRI" in head)
