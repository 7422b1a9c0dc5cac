"""The length that the header of an uncompressed sound file states, and the length that is there.

Programs that write into a pipe cannot go back to a header. They leave there what the format has for that, nothing, the
largest number or a round one; players read on to the end of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from actors.core.errors import InputError
from jobs.audio.spliced_file import Part

# From here on 32 bits are too few, or a writer's way to say that it does not know; 64 bits likewise.
_LARGEST, _LARGEST_LONG = 0x7FFF_0000, 1 << 62

# Sizes below may well be what a sound came to.
_ROUND = 1_000_000

# Bytes of a header that a writer may have counted into a round number, or not.
_COUNTED_IN = 128

# Bytes by which a file may be shorter than its header says: writers disagree on what a size includes.
_MISCOUNTED = 4096

# Bytes of an Ogg page at the most, its header included.
_LARGEST_PAGE = 65_307

# A header is looked through so far, and is no longer.
_CHUNKS, _LARGEST_HEADER = 1000, 1 << 24

_WAVE64 = bytes.fromhex("2e91cf11a5d628db04c10000")
_WAVE64_CHUNK = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True, slots=True)
class _Field:
    """A size in a header: where it stands, its form, and the size as bytes of samples ``// each + more``.

    ``each`` 0: the largest number, by which readers go on to the end.
    """

    place: int
    form: str
    each: int
    more: int = 0

    def put(self, head: bytearray, size: int) -> None:
        largest = (1 << 8 * struct.calcsize(self.form)) - 1
        struct.pack_into(
            self.form, head, self.place, min(size // self.each + self.more, largest) if self.each else largest
        )


@dataclass(frozen=True, slots=True)
class Stated:
    """What a header says.

    Attributes:
        start: where the samples begin, in bytes from the file's begin.
        size: bytes of samples after that; ``None`` where it says that it does not know.
        whole: bytes of the file; ``None`` where no such number is there.
        block: bytes of one sample of all channels, at least 1.
        rate: bytes of a second, at least 1.
        fields: the sizes in it.
    """

    start: int
    size: int | None
    whole: int | None
    block: int
    rate: int
    fields: tuple[_Field, ...]

    @property
    def placeholder(self) -> bool:
        """Whether it was written before the length was known."""
        if self.size is None:
            return True
        frames, rest = divmod(self.size, self.block)
        # Of some formats a size includes what stands in front of the samples.
        numbers = [self.size + more for more in (0, 4, 8, 24)]
        numbers += ([] if rest else [frames]) + ([] if self.whole is None else [self.whole, self.whole - 8])
        periods = any(self.size % (seconds * self.rate) == 0 for seconds in (1000, 3600))
        return periods or any(map(is_round, numbers))


def readable_parts(path: str, file: IO[bytes], size: int, notes: list[str]) -> list[Part] | None:
    """The file with a header that is true, where it was written before its length was known; else ``None``.

    Args:
        path: of the file.
        file: seekable; its position is lost.
        size: bytes of it.
        notes: takes what the user should know.

    Raises:
        InputError: it is cut off.
    """
    if not _ended(file, size):
        notes.append("its last page is not marked as the end, as of a file that is cut off: read as far as it goes")
    found = stated(file, size)
    if found is None or found.start >= min(size, _LARGEST_HEADER):
        return None
    left = size - found.start
    end = found.start + (left if found.size is None else found.size)
    beyond = size - (end if found.whole is None else found.whole)
    short = found.size is not None and left < found.size
    if found.placeholder and (found.size is None or short or beyond > _MISCOUNTED):
        said = (
            "does not say how long it is" if found.size is None else f"says {found.size} bytes of sound, a round number"
        )
        notes.append(f"its header {said}, as before its length is known: read to its end, {left} bytes")
        file.seek(0)
        head = bytearray(file.read(found.start))
        for field in found.fields:
            field.put(head, left)
        return [bytes(head), (found.start, size)]
    if beyond < -_MISCOUNTED or (found.size is not None and found.size - left > _MISCOUNTED):
        asked = max(found.whole or 0, end)
        raise InputError(
            path, f"is cut off: its header asks for {asked} bytes, it has {size}", "copy or export it again"
        )
    if found.whole is not None and beyond > max(_MISCOUNTED, found.rate):
        notes.append(
            f"goes on for {beyond} bytes behind the end that its header gives: they are not read, as by players"
        )
    return None


def is_round(number: int) -> bool:
    """Whether a length is a number that people write: one digit and six zeros or more, or about a power of two."""
    if number < _ROUND:
        return False
    digits = str(number).rstrip("0")
    over = (1 << (number - 1).bit_length()) - number
    return len(digits) == 1 or (len(digits) == 2 and number >= 100 * _ROUND) or over <= _COUNTED_IN


def _ended(file: IO[bytes], size: int) -> bool:
    """Whether an Ogg file's last page is marked so (RFC 3533, 6); no other file is looked at."""
    file.seek(0)
    if file.read(4) != b"OggS":
        return True
    file.seek(max(0, size - _LARGEST_PAGE))
    tail = file.read(_LARGEST_PAGE)
    last = tail.rfind(b"OggS")
    return last >= 0 and len(tail) > last + 5 and bool(tail[last + 5] & 4)


def stated(file: IO[bytes], size: int) -> Stated | None:
    """What the header of a WAV, RF64, Wave64, AIFF, AU or CAF file says; ``None`` for others and broken ones.

    Args:
        file: seekable; its position is lost.
        size: bytes of it.
    """
    file.seek(0)
    head = file.read(40)
    found: Stated | None = None
    try:
        if head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == b"WAVE":
            found = _wave(file, size, long=head[:4] != b"RIFF")
        elif head[:4] == b"riff" and head[4:16] == _WAVE64:
            found = _wave64(file, size)
        elif head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
            found = _aiff(file, size)
        elif head[:4] == b".snd":
            found = _au(head, size)
        elif head[:4] == b"caff":
            found = _caf(file, size)
    except struct.error:
        # It ends within its header.
        return None
    return found


def _wave(file: IO[bytes], size: int, *, long: bool) -> Stated | None:
    block = rate = 1
    sizes, place = (0, 0), 0
    fields: tuple[_Field, ...]
    for kind, start, length in _chunks(file, 12, size, "<4sI"):
        if kind == b"ds64":
            sizes, place = struct.unpack("<qq", file.read(16)), start
        elif kind == b"fmt ":
            _, _, _, rate, block = struct.unpack("<HHIIH", file.read(14))
        elif kind == b"data" and long and place:
            own = length if length < 0xFFFF_FFFF else sizes[1]
            sizes_there = (
                _Field(place, "<Q", 1, start - 8),
                _Field(place + 8, "<Q", 1),
                _Field(place + 16, "<Q", block),
            )
            fields = (*sizes_there, _Field(start - 4, "<I", 0))
            return _made(start, _known(own, size - start), _known(sizes[0], size, 8), block, rate, fields)
        elif kind == b"data":
            fields = (_Field(4, "<I", 0), _Field(start - 4, "<I", 0))
            whole = _known(_number(file, 4, "<I"), size, 8, _LARGEST)
            return _made(start, _known(length, size - start, 0, _LARGEST), whole, block, rate, fields)
    return None


def _wave64(file: IO[bytes], size: int) -> Stated | None:
    block = rate = 1
    place = 40
    for _ in range(_CHUNKS):
        file.seek(place)
        kind, rest, length = struct.unpack("<4s12sq", file.read(24))
        if kind == b"fmt ":
            _, _, _, rate, block = struct.unpack("<HHIIH", file.read(14))
        if kind == b"data" and rest == _WAVE64_CHUNK:
            fields = (_Field(16, "<Q", 1, place + 24), _Field(place + 16, "<Q", 1, 24))
            whole = _known(_number(file, 16, "<q"), size)
            return _made(place + 24, _known(length, size - place, -24), whole, block, rate, fields)
        place += max(length + 7 & ~7, 24)
        if place >= size:
            break
    return None


def _aiff(file: IO[bytes], size: int) -> Stated | None:
    block = rate = 1
    frames = 0
    for kind, start, length in _chunks(file, 12, size, ">4sI"):
        if kind == b"COMM":
            channels, _, bits, exponent, mantissa = struct.unpack(">HIHHI", file.read(14))
            block, frames = max(1, channels * ((bits + 7) // 8)), start + 2
            # An extended float of 80 bits; of rates above 2^32 nothing is read.
            rate = block * (mantissa >> max(0, 16383 + 31 - exponent))
        elif kind == b"SSND" and frames:
            # Eight bytes of offset and block size stand in front of the samples.
            fields = (_Field(4, ">I", 1, start), _Field(frames, ">I", block), _Field(start - 4, ">I", 1, 8))
            whole = _known(_number(file, 4, ">I"), size, 8, _LARGEST)
            return _made(start + 8, _known(length, size - start, -8, _LARGEST), whole, block, rate, fields)
    return None


def _au(head: bytes, size: int) -> Stated:
    start, length, encoding, rate, channels = struct.unpack(">IIIII", head[4:24])
    block = channels * {2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8}.get(encoding, 1)
    known = _known(length, size - start, 0, _LARGEST)
    return _made(start, known, None, block, rate * block, (_Field(8, ">I", 0),))


def _caf(file: IO[bytes], size: int) -> Stated | None:
    block = rate = 1
    for kind, start, length in _chunks(file, 8, size, ">4sq"):
        if kind == b"desc":
            samples, _, _, block, each = struct.unpack(">d4sIII", file.read(24))
            rate = int(samples / max(1, each) * block) if 0 < samples < 1e7 else 1
        elif kind == b"data":
            # Four bytes that count edits stand in front of the samples.
            known = _known(length, size - start, -4)
            return _made(start + 4, known, None, block, rate, (_Field(start - 8, ">Q", 0),))
    return None


def _known(number: int, there: int, more: int = 0, largest: int = _LARGEST_LONG) -> int | None:
    """A size and what belongs to it besides; ``None`` where the number only says that it is not known.

    Numbers from ``largest`` on say so, unless there are so many bytes.
    """
    return number + more if number > max(0, -more) and (number < largest or number <= there) else None


def _number(file: IO[bytes], place: int, form: str) -> int:
    file.seek(place)
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _made(start: int, size: int | None, whole: int | None, block: int, rate: int, fields: tuple[_Field, ...]) -> Stated:
    return Stated(start, size, whole, max(1, block), max(1, rate), fields)


def _chunks(file: IO[bytes], place: int, size: int, form: str) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and length of each chunk; the file stands at its begin."""
    head = struct.Struct(form)
    for _ in range(_CHUNKS):
        if place + head.size > size:
            return
        file.seek(place)
        kind, length = head.unpack(file.read(head.size))
        yield kind, place + head.size, length
        # RIFF and AIFF pad chunks to whole words, CAF does not.
        place += head.size + max(0, length) + (length % 2 if head.size == 8 else 0)
