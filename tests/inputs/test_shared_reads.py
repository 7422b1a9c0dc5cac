"""What several clips have in common is read once, whether it can be used or not, and only so much is remembered."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from pathlib import Path

import pytest
from small import SmallClip

from actors.core.errors import InputError
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.inputs.shared_reads import MOST, SharedReads


class Counted:
    def __init__(self) -> None:
        self.reads: list[Hashable] = []

    def read(self, key: Hashable) -> Hashable:
        self.reads.append(key)
        if key == "bad":
            raise InputError("bad", "cannot be used", "mend it")
        return key


def test_each_is_read_once_and_refused_each_time() -> None:
    shared, counted = SharedReads(), Counted()
    for _ in range(3):
        assert shared.once("good", lambda: counted.read("good")) == "good"
        with pytest.raises(InputError, match="cannot be used"):
            shared.once("bad", lambda: counted.read("bad"))
    assert counted.reads == ["good", "bad"]


def test_the_ones_used_last_are_remembered() -> None:
    shared, counted = SharedReads(), Counted()
    for key in range(MOST + 1):
        shared.once(key, partial(counted.read, key))
        shared.once(0, lambda: counted.read(0))
    shared.once(1, lambda: counted.read(1))
    assert counted.reads == [*range(MOST + 1), 1]


def test_clips_of_one_avatar_are_read_once(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    shared = SharedReads()
    options = [
        CompositeOptions(clip=str(clip.folder), model=str(model), out=str(tmp_path / name)) for name in ("a", "b")
    ]
    one, two = (read_inputs(each, None, shared) for each in options)
    alone = read_inputs(options[1])
    assert one.identity(options[0], None) == two.identity(options[1], None) == alone.identity(options[1], None)
    assert one.clip.frames is two.clip.frames
    assert one.clip.frames is not alone.clip.frames
