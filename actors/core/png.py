"""Finished frames as PNG of which only the rows of the face box are compressed anew.

A PNG's pixels are one deflate stream, cut into IDAT chunks at will (PNG specification, 10.1). Streams that begin
without history and end at a full flush may be joined (RFC 1951), so that the rows above and below the patch are
compressed once per background, with the checksum of their chunks. Rows are filtered by the row above (UP). Only the
first row below the patch is not (SUB): it must not change with the patch.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from actors.core.clip import FaceBox

if TYPE_CHECKING:
    from actors.core.pixels import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# ISA-L's level 1: the higher ones make photographs hardly smaller.
_LEVEL = 1
_RAW_DEFLATE = -15
# Bytes that go ahead behind a flush of their own, see `_deflate`: from 4 on they count as history, and up to 16 they
# are far too few for the loop that takes the bulk of a stream.
_AHEAD = 8
# Deflate, window of 32 KiB, no dictionary (RFC 1950, 2.2).
_ZLIB_HEADER = b"\x78\x01"
_SUB, _UP = 1, 2
_ADLER_BASE = 65521


@dataclass(frozen=True, slots=True)
class PngBackground:
    """A background's PNG without the rows of the patch, and these rows, filtered but not yet compressed.

    It is whole in itself: splicing needs the background frame no more. The arrays may be read-only.

    Attributes:
        before: ``(n,)`` uint8, the file up to the chunk of the patch's rows.
        band: ``(h, 1 + 3 W)`` uint8, the patch's rows, filtered: filter type, then R, G, B.
        above: ``(3 w,)`` uint8, R, G, B of the pixels just above the patch; 0 where there are none.
        after: ``(n,)`` uint8, the chunk of the rows below.
        left: the patch's first column in px.
        adler_before: Adler-32 of the filtered rows above the patch.
        adler_after: Adler-32 of the filtered rows below it.
        size_after: bytes of the filtered rows below it.
    """

    before: NDArray[np.uint8]
    band: NDArray[np.uint8]
    above: NDArray[np.uint8]
    after: NDArray[np.uint8]
    left: int
    adler_before: int
    adler_after: int
    size_after: int

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.before.nbytes + self.band.nbytes + self.above.nbytes + self.after.nbytes


def prepare_png(frame: Image, box: FaceBox) -> PngBackground:
    """Filters a background and compresses all but the rows of the patch.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        box: the face box, inside of the frame.
    """
    height, width = frame.shape[:2]
    pixels = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).reshape(height, 3 * width)
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = pixels[0]
    np.subtract(pixels[1:], pixels[:-1], out=filtered[1:, 1:])
    if box.y1 < height:
        filtered[box.y1, 0] = _SUB
        filtered[box.y1, 1:4] = pixels[box.y1, :3]
        np.subtract(pixels[box.y1, 3:], pixels[box.y1, :-3], out=filtered[box.y1, 4:])

    # 8 bits per channel, colour type 2 (RGB), the only methods of compression and filtering, not interlaced.
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows_above, rows_below = filtered[: box.y0], filtered[box.y1 :]
    before = b"".join((SIGNATURE, *header, *_chunk(b"IDAT", _ZLIB_HEADER, *_deflate(rows_above))))
    after = b"".join(_chunk(b"IDAT", *_deflate(rows_below, isal_zlib.Z_FINISH)))
    above = pixels[box.y0 - 1] if box.y0 else np.zeros(3 * width, np.uint8)
    return PngBackground(
        before=np.frombuffer(before, np.uint8),
        band=filtered[box.y0 : box.y1].copy(),
        above=above[3 * box.x0 : 3 * box.x1].copy(),
        after=np.frombuffer(after, np.uint8),
        left=box.x0,
        adler_before=isal_zlib.adler32(rows_above),
        adler_after=isal_zlib.adler32(rows_below),
        size_after=rows_below.size,
    )


def splice_png(prepared: PngBackground, patch: Image) -> bytes:
    """The file of the finished frame.

    Args:
        prepared: the frame's background.
        patch: ``(h, w, 3)`` uint8 BGR, the finished face box.

    Raises:
        ValueError: the patch has another size than the background was prepared for.
    """
    rows, columns = len(prepared.band), prepared.above.size // 3
    if patch.shape != (rows, columns, 3):
        raise ValueError(f"a patch of {patch.shape} does not fit into one of {columns}x{rows}")
    pixels = cv2.cvtColor(patch, cv2.COLOR_BGR2RGB).reshape(rows, 3 * columns)
    band = prepared.band.copy()
    changed = band[:, 1 + 3 * prepared.left :][:, : 3 * columns]
    np.subtract(pixels[0], prepared.above, out=changed[0])
    np.subtract(pixels[1:], pixels[:-1], out=changed[1:])

    adler = adler32_combine(prepared.adler_before, isal_zlib.adler32(band), band.size)
    adler = adler32_combine(adler, prepared.adler_after, prepared.size_after)
    return b"".join(
        (
            prepared.before.data,
            *_chunk(b"IDAT", *_deflate(band)),
            prepared.after.data,
            *_chunk(b"IDAT", adler.to_bytes(4, "big")),
            *_chunk(b"IEND"),
        )
    )


def encode_png(image: Image, box: FaceBox | None) -> bytes:
    """The file that `splice_png` makes of a finished frame, for a background that is shown once.

    Args:
        image: ``(H, W, 3)`` uint8 BGR, finished.
        box: the face box, inside of the frame; ``None`` where there is no face, and the image alone decides.
    """
    box = box or FaceBox(0, 0, image.shape[1], image.shape[0])
    return splice_png(prepare_png(image, box), image[box.y0 : box.y1, box.x0 : box.x1])


def adler32_combine(first: int, second: int, second_size: int) -> int:
    """Adler-32 of two byte strings joined, from that of each.

    The low half is 1 plus the sum of all bytes, the high half the sum of the low halves after each byte, both modulo
    65521 (RFC 1950, 9). In the joined string each of the second's low halves is larger by the first's, less 1.
    """
    low = first & 0xFFFF
    high = (first >> 16) + (second >> 16) + second_size * (low - 1)
    return high % _ADLER_BASE << 16 | (low + (second & 0xFFFF) - 1) % _ADLER_BASE


def _deflate(rows: NDArray[np.uint8], end: int = isal_zlib.Z_FULL_FLUSH) -> tuple[bytes, ...]:
    """Deflate blocks that refer to nothing before them, and depend on nothing but the rows.

    Where a stream has no history, ISA-L's fast loop at this level hashes the address of its own struct where it means
    the data from the third byte on, so that now and then the same rows become other bytes in another process. A few
    bytes that are flushed before take another way, and are the history.

    Args:
        rows: what to compress, contiguous.
        end: ``Z_FULL_FLUSH`` ends on a byte, with a block that is not the stream's last; ``Z_FINISH`` ends the stream.
    """
    content = rows.reshape(-1)
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _RAW_DEFLATE)
    ahead = compressor.compress(content[:_AHEAD]), compressor.flush(isal_zlib.Z_SYNC_FLUSH)
    return *ahead, compressor.compress(content[_AHEAD:]), compressor.flush(end)


def _chunk(kind: bytes, *data: bytes) -> tuple[bytes, ...]:
    """A chunk in parts: length, type, data, CRC-32 of type and data."""
    check = 0
    for part in (kind, *data):
        check = isal_zlib.crc32(part, check)
    return (sum(map(len, data)).to_bytes(4, "big"), kind, *data, check.to_bytes(4, "big"))
