"""Whether a video file is whole, by the lengths that its container states: FFmpeg says nothing about cut files."""

from __future__ import annotations

import struct
from typing import IO

_BOXES = frozenset(b"ftyp moov mdat free skip wide moof mfra sidx ssix styp uuid meta udta pdin emsg prft".split())
_BOX, _LARGE_BOX = struct.Struct(">I4s"), struct.Struct(">I4sQ")
_CHUNK = struct.Struct("<4sI")
_ELEMENTS = frozenset({bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")})
_ELEMENT_ID = 4


def missing_bytes(file: IO[bytes], size: int) -> int:
    """How many bytes the file's last top-level element lacks; 0 where it is whole or does not say.

    Knows MP4 and QuickTime boxes (ISO/IEC 14496-12, 4.2), the EBML header and segment of Matroska and WebM (RFC 8794,
    4 and 7) and RIFF chunks of AVI. Of anything else, and past an element of unknown length, it says 0.

    Args:
        file: a seekable file; its position is lost.
        size: bytes in it.
    """
    offset = 0
    while offset < size:
        file.seek(offset)
        length = _length(file.read(_LARGE_BOX.size))
        if length is None:
            return 0
        offset += length
    return offset - size


def _length(head: bytes) -> int | None:
    """Bytes of the element that begins with ``head``, its own header included, or ``None`` where nothing says so."""
    if head[:_ELEMENT_ID] in _ELEMENTS:
        return _element_length(head)
    if len(head) < _CHUNK.size:
        return None
    if head[:4] == b"RIFF":
        length = _CHUNK.unpack_from(head)[1]
        # A writer that was cut off never came to fill in the length.
        return _CHUNK.size + length + length % 2 if length else None
    length, kind = _BOX.unpack_from(head)
    if kind not in _BOXES:
        return None
    if length == 1 and len(head) == _LARGE_BOX.size:
        length = _LARGE_BOX.unpack(head)[2]
    # 0 means "to the end of the file"; other lengths below a header's own make no sense and are left to FFmpeg.
    return length if length >= _BOX.size else None


def _element_length(head: bytes) -> int | None:
    """An EBML length: as many bytes as the first has leading zeros, plus one; all ones mean unknown."""
    first = head[_ELEMENT_ID : _ELEMENT_ID + 1]
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    digits = head[_ELEMENT_ID : _ELEMENT_ID + width]
    if len(digits) < width:
        return None
    unknown = (1 << 7 * width) - 1
    length = int.from_bytes(digits, "big") & unknown
    return None if length == unknown else _ELEMENT_ID + width + length
