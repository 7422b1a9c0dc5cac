"""The values that an option takes, in words, for flags and files alike."""

from __future__ import annotations

from enum import Enum
from typing import Any, get_args

from pydantic.fields import FieldInfo

# What a pattern says in another language.
SHAPES = {
    "rect": "must be X,Y,W,H: four whole numbers without spaces, X and Y from 0, W and H from 1",
    "face": "must be largest, left, right, or a number of the contact sheet",
    "face_at": "must be X,Y or X,Y,FRAME: whole numbers from 0, without spaces",
    "pads": "must be TOP,BOTTOM,LEFT,RIGHT: four whole numbers without spaces",
    "frames": "must be A:B: the numbers of the first frame and of the one after the last; either may be left out",
}


def must_be(name: str, field: FieldInfo) -> str:
    """What the option's value has to be."""
    if name in SHAPES:
        return SHAPES[name]
    (plain,) = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    bounds = {
        bound: getattr(part, bound)
        for part in field.metadata
        for bound in ("ge", "gt", "le")
        if getattr(part, bound, None) is not None
    }
    return of_kind(plain, bounds)


def of_kind(kind: type[Any] | None, bounds: dict[str, float]) -> str:
    """What a value of a type within bounds has to be."""
    if kind is bool:
        return "must be true or false"
    if kind is not None and issubclass(kind, Enum):
        return f"must be one of {', '.join(str(choice.value) for choice in kind)}"
    if kind in {int, float}:
        return f"must be a {'whole number' if kind is int else 'number'}{_within(bounds)}"
    return "must be text in quotes"


def is_of_kind(field: FieldInfo, value: object) -> bool:
    """Whether a value from a file has the option's type: numbers are no text, and true is no number."""
    (plain,) = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if plain is bool or isinstance(value, bool):
        return plain is bool and isinstance(value, bool)
    if plain is float:
        return isinstance(value, int | float)
    return isinstance(value, int if plain is int else str)


def _within(bounds: dict[str, float]) -> str:
    low = f" from {bounds['ge']:g}" if "ge" in bounds else f" above {bounds['gt']:g}" if "gt" in bounds else ""
    if "le" not in bounds:
        return low
    return f"{low} {'to' if 'ge' in bounds else 'and at most'} {bounds['le']:g}"
