"""Whether an MP4 file is whole, told by its box structure."""

from __future__ import annotations

import struct
from typing import IO

from actors.core.errors import InputError

_FIX = "copy or download the whole file again"
_BOXES = frozenset(b"ftyp moov mdat free skip wide moof mfra sidx ssix styp uuid meta udta pdin emsg prft".split())
_HEAD, _LARGE_HEAD = 8, 16


def require_whole_boxes(file: IO[bytes], size: int, path: str) -> None:
    """Checks that no top-level box of an MP4 or QuickTime file reaches past the file's end (ISO/IEC 14496-12, 4.2).

    FFmpeg reads what is left of a truncated file without complaint. A file of another format passes unread.
    """
    offset = 0
    while offset + _HEAD <= size:
        file.seek(offset)
        head = file.read(_LARGE_HEAD)
        length, kind = struct.unpack_from(">I4s", head)
        if kind not in _BOXES:
            break
        if length == 1 and len(head) == _LARGE_HEAD:
            length = struct.unpack_from(">Q", head, _HEAD)[0]
        if length == 0:
            break
        if length < _HEAD:
            raise InputError(path, f"damaged at byte {offset}", _FIX)
        if offset + length > size:
            raise InputError(path, f"truncated: {offset + length - size} bytes are missing at the end", _FIX)
        offset += length
    file.seek(0)
