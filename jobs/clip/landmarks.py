"""Face boxes from landmark files: 110 points a frame, of which three fix the box."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.files import files_in, load_entry, show
from jobs.clip.numbering import in_order
from jobs.clip.parallel_reads import read_many

_POINTS = 110
_LEFT, _RIGHT, _TOP = 1, 31, 52
# Possessive, so that a line that does not match is known as such in one pass.
_NUMBER = r"[-+]?(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+"
_POINT = re.compile(rf"\s*+{_NUMBER}\s++{_NUMBER}\s*+", re.ASCII)
_LARGEST = 1 << 31
_SIZE_LIMIT = 1 << 16
_FIX = f"write {_POINTS} lines 'x y', one for each point, or give the boxes by --rects"


def landmark_files(folder: str) -> list[storage.Entry]:
    """The ``.lms`` files of a folder in name order."""
    return files_in(folder, [".lms"])


def read_landmarks(folder: str, files: Sequence[storage.Entry]) -> tuple[tuple[str, ...], tuple[FaceBox, ...]]:
    """The files' paths sorted by number, and the face box of each.

    Raises:
        InputError: numbers missing or double, or a file that does not hold 110 points.
    """
    ordered = in_order(files, folder)
    boxes = read_many(lambda file: face_square(load_entry(file, _SIZE_LIMIT), file.path), ordered)
    return tuple(file.path for file in ordered), tuple(boxes)


def face_square(data: bytes, path: str) -> FaceBox:
    """The crop box of one frame: left at point 1, right at point 31, top at point 52, as high as it is wide.

    Coordinates are read as float32 and truncated to integers, as SyncTalk_2D's loader does. The box may be empty
    or lie outside the frame: that is checked where the frame size is known.

    Args:
        data: ASCII text, 110 lines ``x y``.
        path: names it in errors.

    Raises:
        InputError: anything else.
    """
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(path, "not a text file", _FIX) from error
    points = [line for line in lines if line.strip()]
    if len(points) != _POINTS:
        raise InputError(path, f"holds {len(points)} points, not {_POINTS}", _FIX)
    matches = [_POINT.fullmatch(point) for point in points]
    if None in matches:
        raise _bad_point(points, matches.index(None), path)
    x0, _ = _pixel(points, _LEFT, path)
    x1, _ = _pixel(points, _RIGHT, path)
    _, y0 = _pixel(points, _TOP, path)
    return FaceBox(x0, y0, x1, y0 + (x1 - x0))


def _pixel(points: Sequence[str], index: int, path: str) -> tuple[int, int]:
    with np.errstate(over="ignore"):
        x, y = (float(np.float32(text)) for text in points[index].split())
    if abs(x) < _LARGEST and abs(y) < _LARGEST:
        return int(x), int(y)
    raise _bad_point(points, index, path)


def _bad_point(points: Sequence[str], index: int, path: str) -> InputError:
    text = show(" ".join(points[index].split()))
    return InputError(path, f"point {index} is {text}, not two pixel coordinates", _FIX)
