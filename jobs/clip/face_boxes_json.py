"""Face boxes from a JSON file in either of its forms."""

from __future__ import annotations

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from jobs.clip.files import JSON_LIMIT, load, parse_json, show
from jobs.clip.numbering import require_contiguous

_FORMS = (
    'write {"0": {"rect": [x1, y1, x2, y2]}, ...} or [[x1, y1, x2, y2], ...], one for each frame, null without a face'
)
_SIDES = 4
# No frame is that large; beyond it a number cannot be a pixel coordinate.
_LARGEST = 1 << 31
# Longer digit strings are no frame numbers, and Python refuses to convert very long ones.
_KEY_LENGTH = 12


def read_boxes(path: str) -> tuple[FaceBox | None, ...]:
    """The face boxes in a JSON file, in frame order; ``None`` for a frame without a face.

    Raises:
        InputError: the file is missing, larger than 256 MiB, not JSON or not in one of the two forms.
    """
    return parse_boxes(load(path, JSON_LIMIT), path)


def parse_boxes(data: bytes, path: str) -> tuple[FaceBox | None, ...]:
    """The face boxes in a JSON text: ``{"0": {"rect": [x1, y1, x2, y2]}, ...}`` or ``[[x1, y1, x2, y2], ...]``.

    Coordinates are whole pixels, half-open. Keys may start at any number but leave none out. A frame without a face is
    ``null``, or its ``rect`` is. Other entries beside ``rect``, such as the paths of the package's dump, are ignored.

    Args:
        data: the JSON text.
        path: names it in errors.

    Raises:
        InputError: anything else.
    """
    value = parse_json(data, path)
    if isinstance(value, dict):
        entries = [value[key] for key in _ordered_keys(value, path)]
    elif isinstance(value, list):
        entries = value
    else:
        raise InputError(path, f"holds {show(value)}, not face boxes", _FORMS)
    if not entries:
        raise InputError(path, "holds no face boxes", _FORMS)
    return tuple(_rect(entry, index, path) for index, entry in enumerate(entries))


def _ordered_keys(table: dict[str, object], path: str) -> list[str]:
    numbered: dict[int, str] = {}
    for key in table:
        if not (key.isascii() and key.isdigit() and len(key) <= _KEY_LENGTH):
            raise InputError(path, f"key {show(key)} is not a frame number", _FORMS)
        if int(key) in numbered:
            raise InputError(path, f"frame {int(key)} stands there twice", _FORMS)
        numbered[int(key)] = key
    require_contiguous(sorted(numbered), path, "face boxes")
    return [numbered[number] for number in sorted(numbered)]


def _rect(entry: object, index: int, path: str) -> FaceBox | None:
    sides = entry["rect"] if isinstance(entry, dict) and "rect" in entry else entry
    if sides is None:
        return None
    if not isinstance(sides, list) or len(sides) != _SIDES:
        raise InputError(path, f"entry {index} is {show(entry)}, not a rectangle", _FORMS)
    return FaceBox(*(_pixel(number, index, path) for number in sides))


def _pixel(number: object, index: int, path: str) -> int:
    # In Python, though not in JSON, true is the integer 1.
    if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < _LARGEST:
        whole = int(number)
        if whole == number:
            return whole
    raise InputError(path, f"entry {index} holds {show(number)}, not a whole number of pixels", _FORMS)
