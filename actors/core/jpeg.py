"""Finished frames as JPEG of which only the face box is encoded anew.

An encoder that restarts every k MCUs (minimum coded units: 16 x 16 px at 4:2:0) forgets at each restart what it has
predicted so far, so each such interval depends on its own pixels only (ITU-T T.81, E.1.4). A background is encoded
once; of each frame only the intervals that the patch touches are encoded, and take their place in the file. The result
is byte for byte the file that OpenCV makes of the finished frame with the same restart interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from actors.core.clip import FaceBox

if TYPE_CHECKING:
    from actors.core.pixels import Image

MCU = 16
# From here on restarts cost about 1 % of the file, and the intervals are still short beside a face box.
SHORTEST_INTERVAL = 8

_START_OF_SCAN, _END_OF_IMAGE, _FIRST_RESTART = 0xDA, b"\xff\xd9", 0xD0


@dataclass(frozen=True, slots=True)
class JpegBackground:
    """A background's JPEG without what the patch touches, and the pixels to encode that anew.

    It is whole in itself: splicing needs the background frame no more. The arrays may be read-only.

    Attributes:
        constant: ``(n,)`` uint8, the file without the rows of intervals that the patch touches.
        cuts: ``(rows + 1,)`` int64, 0 and then the offset in ``constant`` at which each of these rows goes.
        restarts: uint8, the second bytes of the restart markers between the touched intervals, as the file counts them.
        region: ``(h, w, 3)`` uint8 BGR, the background's pixels in the touched intervals.
        box: where in ``region`` the patch lies.
        interval: MCUs between restarts.
        quality: 1..100.
    """

    constant: NDArray[np.uint8]
    cuts: NDArray[np.int64]
    restarts: NDArray[np.uint8]
    region: Image
    box: FaceBox
    interval: int
    quality: int

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.constant.nbytes + self.cuts.nbytes + self.restarts.nbytes + self.region.nbytes


def restart_interval(width: int) -> int:
    """MCUs between restarts in a frame of ``width`` px: the smallest divisor of its MCUs per row that is at least 8.

    Rows must consist of whole intervals, or a patch would touch a different set of them on each row. 8 at widths of
    1280, 1920, 2560 and 3840 px, 9 at 854; the whole row where the row is short or its MCUs are a prime number.
    """
    row = -(-width // MCU)
    return next(interval for interval in range(min(SHORTEST_INTERVAL, row), row + 1) if row % interval == 0)


def encode_jpeg(image: Image, quality: int) -> bytes:
    """OpenCV's own encoding of a whole frame, with the restart interval of its width.

    Args:
        image: ``(H, W, 3)`` uint8 BGR.
        quality: 1..100.

    Raises:
        ValueError: OpenCV cannot encode it (JPEG ends at 65,500 px).
    """
    return _encode(image, quality, restart_interval(image.shape[1])).tobytes()


def prepare_jpeg(frame: Image, box: FaceBox, quality: int) -> JpegBackground:
    """Encodes a background once; this costs what `encode_jpeg` does.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        box: the face box, inside of the frame.
        quality: 1..100.

    Raises:
        ValueError: OpenCV cannot encode it (JPEG ends at 65,500 px).
    """
    height, width = frame.shape[:2]
    interval = restart_interval(width)
    content = _encode(frame, quality, interval)
    per_row = -(-width // MCU) // interval
    starts, stops = _segments(content, per_row * -(-height // MCU))

    across = interval * MCU
    left, right = box.x0 // across, -(-box.x1 // across)
    top, bottom = box.y0 // MCU, -(-box.y1 // MCU)
    rows = np.arange(top, bottom)
    before = starts[rows * per_row + left]
    after = stops[rows * per_row + right - 1]

    kept = np.split(content, np.stack((before, after), 1).reshape(-1))[::2]
    # The interval after which a marker stands gives its number, modulo 8.
    numbers = (rows[:, None] * per_row + np.arange(left, right)).reshape(-1)[:-1]
    x0, y0 = left * across, top * MCU
    return JpegBackground(
        constant=np.concatenate(kept),
        cuts=np.cumsum([0, *(part.size for part in kept[:-1])], dtype=np.int64),
        restarts=(_FIRST_RESTART + numbers % 8).astype(np.uint8),
        region=frame[y0 : bottom * MCU, x0 : right * across].copy(),
        box=FaceBox(box.x0 - x0, box.y0 - y0, box.x1 - x0, box.y1 - y0),
        interval=interval,
        quality=quality,
    )


def splice_jpeg(prepared: JpegBackground, patch: Image) -> bytes:
    """The file of the finished frame: `encode_jpeg` of it, byte for byte.

    Args:
        prepared: the frame's background.
        patch: ``(box.height, box.width, 3)`` uint8 BGR, the finished face box.

    Raises:
        ValueError: the patch has another size than the background was prepared for.
    """
    box = prepared.box
    if patch.shape != (box.height, box.width, 3):
        raise ValueError(f"a patch of {patch.shape} does not fit into one of {box.width}x{box.height}")
    region = prepared.region.copy()
    region[box.y0 : box.y1, box.x0 : box.x1] = patch

    content = _encode(region, prepared.quality, prepared.interval)
    starts, stops = _segments(content, prepared.restarts.size + 1)
    content[stops[:-1] + 1] = prepared.restarts
    rows = prepared.cuts.size - 1
    per_row = starts.size // rows
    before, after = starts[::per_row].tolist(), stops[per_row - 1 :: per_row].tolist()

    cuts = prepared.cuts.tolist()
    constant, coded = prepared.constant.data, content.data
    parts = []
    for row in range(rows):
        parts += [constant[cuts[row] : cuts[row + 1]], coded[before[row] : after[row]]]
    return b"".join([*parts, constant[cuts[-1] :]])


def _encode(image: Image, quality: int, interval: int) -> NDArray[np.uint8]:
    # The tables of a spliced file must not depend on the pixels, and its scan must be one: neither optimised Huffman
    # codes nor progressive coding.
    settings = {
        cv2.IMWRITE_JPEG_QUALITY: quality,
        cv2.IMWRITE_JPEG_RST_INTERVAL: interval,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
        cv2.IMWRITE_JPEG_OPTIMIZE: 0,
        cv2.IMWRITE_JPEG_PROGRESSIVE: 0,
    }
    done, content = cv2.imencode(".jpg", image, [number for setting in settings.items() for number in setting])
    if not done:
        raise ValueError(f"OpenCV cannot encode {image.shape} as jpg")
    return np.asarray(content, np.uint8)


def _segments(content: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each interval's coded bytes start and stop; the restart marker after it begins where it stops.

    Raises:
        RuntimeError: the file does not consist of ``count`` intervals in one scan.
    """
    start, stop = _scan_start(content), content.size - len(_END_OF_IMAGE)
    scan = content[start:stop]
    # Within a scan 0xFF is followed by 0 (a byte of data) or by a marker (T.81, B.1.1.5).
    escapes = np.flatnonzero(scan[:-1] == 0xFF)
    markers = escapes[scan[escapes + 1] != 0] + start
    if markers.size != count - 1 or content[stop:].tobytes() != _END_OF_IMAGE:
        raise RuntimeError(f"OpenCV wrote a JPEG of {markers.size + 1} restart intervals instead of {count}")
    return np.concatenate(([start], markers + 2)), np.concatenate((markers, [stop]))


def _scan_start(content: NDArray[np.uint8]) -> int:
    """Where the first coded byte stands, after the header of the first scan."""
    place = 2
    while content[place] == 0xFF:
        kind = content[place + 1]
        # A marker segment's length counts its own two bytes, not those of the marker.
        place += 2 + (int(content[place + 2]) << 8 | int(content[place + 3]))
        if kind == _START_OF_SCAN:
            return place
    raise RuntimeError(f"OpenCV wrote a JPEG without a scan: no marker at byte {place}")
