"""Which rows are read when: some way ahead of the rendering, and in the end in the order of the rows."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

from actors.core.errors import InputError, StoppedError
from jobs.batch.batch_clip import BatchClip
from jobs.batch.clip_steps import Verdict, faces_name
from jobs.batch.manifest import Row
from jobs.inputs.options import CompositeOptions

# So many rows are all read before the first frame; of more, so many ahead of those that are rendered.
READ_FIRST, READ_AHEAD = 500, 64


class ReadAhead:
    """Rows that are read, or have been and wait for their turn.

    Args:
        rows: in the order in which they are to be rendered.
        left: how many these are.
        make: the options of a row, and their digest; raises `InputError`.
        ask: has a clip read; gives references of the verdict and of the clip.
        expect: has something called when a reference is answered, with that.
        answer: the value of a reference; raises `InputError` or `StoppedError`.
        on_read: told of the verdict of a clip that can be rendered.
        on_failed: told of a row that cannot be, with its digest.
    """

    def __init__(
        self,
        rows: Iterator[Row],
        left: int,
        *,
        make: Callable[[Row], tuple[CompositeOptions, str]],
        ask: Callable[[CompositeOptions], tuple[Any, Any]],
        expect: Callable[[Any, Callable[[Any], None]], None],
        answer: Callable[[Any], Any],
        on_read: Callable[[Verdict], None],
        on_failed: Callable[[Row, str, InputError | StoppedError], None],
    ) -> None:
        self.all_first = left <= READ_FIRST
        self._rows, self._left = rows, left
        self._make, self._ask, self._expect, self._answer = make, ask, expect, answer
        self._on_read, self._on_failed = on_read, on_failed
        self._numbers = count()
        self._reading = 0
        self._waiting: list[tuple[int, BatchClip]] = []
        # Footage that has been read once, and rows that wait until theirs has been: what is found on it then stands for
        # all of them.
        self._known: set[str] = set()
        self._behind: dict[str, list[BatchClip]] = {}

    @property
    def unread(self) -> int:
        """Rows of which it is not known yet whether they can be rendered."""
        return self._left + self._reading + self._held

    @property
    def waiting(self) -> int:
        """Clips that wait for their turn."""
        return len(self._waiting)

    @property
    def frames(self) -> int:
        """Output frames of those."""
        return sum(clip.verdict.frames for _, clip in self._waiting if clip.verdict is not None)

    @property
    def first(self) -> BatchClip | None:
        """The clip whose turn is next, which stays."""
        return self._waiting[0][1] if self._waiting else None

    def take(self) -> BatchClip:
        """The clip whose turn is next; there must be one."""
        return heapq.heappop(self._waiting)[1]

    @property
    def _held(self) -> int:
        return sum(map(len, self._behind.values()))

    def advance(self) -> None:
        """Has rows read, as far ahead as they may be."""
        most = READ_FIRST if self.all_first else READ_AHEAD
        taken = self._reading + len(self._waiting) + self._held
        while self._left and taken < most:
            row, number = next(self._rows), next(self._numbers)
            self._left -= 1
            try:
                options, digest = self._make(row)
            except InputError as error:
                self._on_failed(row, "", error)
                continue
            taken += 1
            clip = BatchClip(number, row, digest, options)
            footage = faces_name(options)
            if footage in self._behind:
                self._behind[footage].append(clip)
                continue
            if footage not in self._known:
                self._behind[footage] = []
            self._read(clip, footage)

    def _read(self, clip: BatchClip, footage: str) -> None:
        self._reading += 1
        verdict, clip.read = self._ask(clip.options)
        self._expect(verdict, partial(self._was_read, clip, footage))

    def _was_read(self, clip: BatchClip, footage: str, ref: Any) -> None:  # noqa: ANN401 - Ray's references
        self._reading -= 1
        self._known.add(footage)
        for behind in self._behind.pop(footage, []):
            self._read(behind, footage)
        try:
            clip.verdict = self._answer(ref)
        except (InputError, StoppedError) as error:
            self._on_failed(clip.row, clip.digest, error)
            return
        heapq.heappush(self._waiting, (clip.number, clip))
        self._on_read(clip.verdict)
