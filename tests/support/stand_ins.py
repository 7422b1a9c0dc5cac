"""Full networks of random weights: building one takes a second, so each is built once.

Tests that ask for one are of the group `grouping.STAND_INS`, that is in one process.
"""

from __future__ import annotations

from functools import cache

import onnx

from actors.kinds import kinds_named
from jobs.models.stand_in import build_stand_in


@cache
def stand_in(kind: str) -> onnx.ModelProto:
    """The stand-in of the kind's name. It is everybody's: what changes it takes a copy."""
    (found,) = kinds_named(kind)
    return build_stand_in(found)
