"""Rows are read ahead of their turn: each once, so many at a time, and their turns come in the rows' order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import jobs.batch.read_ahead
from actors.core.errors import InputError, StoppedError
from actors.core.ranges import FrameRange
from jobs.batch.clip_steps import Verdict
from jobs.batch.manifest import Row
from jobs.batch.read_ahead import ReadAhead
from jobs.inputs.options import CompositeOptions
from jobs.planning.preparation import BackgroundSizes, Demand

VERDICT = Verdict(
    frames=7,
    demand=Demand(7, 7, (FrameRange(0, 7),)),
    sizes=BackgroundSizes(7, 100, 200, 0),
    backgrounds="walker",
    network="light",
    own_batch=None,
    tuned=None,
    seconds=0.5,
)


@dataclass
class Desk:
    """What has been asked and not been answered; answers come in the order that a test chooses."""

    bad: dict[str, str]
    asked: list[str] = field(default_factory=list)
    pending: dict[int, tuple[str, Callable[[Any], None]]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    refs: Iterator[int] = field(default_factory=count)

    def make(self, row: Row) -> tuple[CompositeOptions, str]:
        if self.bad.get(row.id) == "options":
            raise InputError(row.name, "cannot be together", "mend it")
        return CompositeOptions(clip=str(row.values["clip"]), model="m", out=row.id), "digest"

    def ask(self, options: CompositeOptions) -> tuple[Any, Any]:
        self.asked.append(options.out)
        return next(self.refs), options.out

    def expect(self, ref: Any, on_answer: Callable[[Any], None]) -> None:  # noqa: ANN401
        self.pending[ref] = (self.asked[-1], on_answer)

    def answer(self, ref: Any) -> Any:  # noqa: ANN401
        match self.bad.get(self.asked[ref]):
            case "input":
                raise InputError("clip", "is not there", "mend it")
            case "stopped":
                raise StoppedError("no faces could be found", "again")
        return VERDICT

    def reply(self, ref: int) -> None:
        name, on_answer = self.pending.pop(ref)
        self.read.append(name)
        on_answer(ref)


def reader(desk: Desk, rows: list[tuple[str, str]]) -> ReadAhead:
    return ReadAhead(
        (Row(f"row {name}", name, 0, {"clip": clip}) for name, clip in rows),
        len(rows),
        make=desk.make,
        ask=desk.ask,
        expect=desk.expect,
        answer=desk.answer,
        on_read=desk.verdicts.append,
        on_failed=lambda row, *_: desk.failed.append(row.id),
    )


@settings(max_examples=examples(150), deadline=None)
@given(
    clips=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    bad=st.dictionaries(st.integers(0, 11), st.sampled_from(["options", "input", "stopped"])),
    first=st.integers(1, 12),
    ahead=st.integers(1, 4),
    data=st.data(),
)
def test_every_row_is_read_once_and_bounds_hold(
    clips: list[str], bad: dict[int, str], first: int, ahead: int, data: st.DataObject
) -> None:
    names = [f"r{number}" for number in range(len(clips))]
    desk = Desk({f"r{number}": how for number, how in bad.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.batch.read_ahead, "READ_FIRST", first)
        patch.setattr(jobs.batch.read_ahead, "READ_AHEAD", ahead)
        reads = reader(desk, list(zip(names, clips, strict=True)))
        assert reads.all_first == (len(names) <= first)
        most = first if reads.all_first else ahead
        turns: list[str] = []
        while reads.unread or reads.waiting:
            reads.advance()
            known = len(turns) + len(desk.failed) + reads.waiting
            assert reads.unread == len(names) - known
            assert len(desk.pending) + reads.waiting <= most
            # Footage that nobody has read yet is read for one row alone.
            unread = {clips[int(name[1:])] for name, _ in desk.pending.values()}
            for clip in unread:
                reading = [name for name, _ in desk.pending.values() if clips[int(name[1:])] == clip]
                assert len(reading) == 1 or any(clips[int(name[1:])] == clip for name in desk.read)
            if desk.pending and (not reads.waiting or data.draw(st.booleans())):
                desk.reply(data.draw(st.sampled_from(sorted(desk.pending))))
            elif reads.waiting:
                assert reads.first is not None
                assert reads.frames == VERDICT.frames * reads.waiting
                expected = reads.first
                taken = reads.take()
                assert taken is expected
                turns.append(taken.row.id)
    wanted = [name for name in names if name not in desk.bad]
    assert sorted(turns) == sorted(wanted)
    assert desk.verdicts == [VERDICT] * len(wanted)
    assert sorted(desk.failed) == sorted(set(names) & desk.bad.keys())
    assert sorted(desk.asked) == sorted(name for name in names if desk.bad.get(name) != "options")


def test_turns_come_in_order_where_all_are_read_first() -> None:
    desk = Desk({"r1": "input"})
    reads = reader(desk, [(f"r{number}", f"clip{number}") for number in range(5)])
    reads.advance()
    for ref in (4, 2, 0, 3, 1):
        desk.reply(ref)
    assert [reads.take().row.id for _ in range(reads.waiting)] == ["r0", "r2", "r3", "r4"]
    assert reads.first is None
