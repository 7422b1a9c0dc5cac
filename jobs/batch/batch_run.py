"""A batch from its rows to its exit code: what is read, begun, rendered and ended when.

Clips go through `jobs.batch.clip_steps` in desks, and through one `jobs.run.engine.Engine` that renders all of them.
This process keeps little of each: an id and a state of every row, and something more of the few that are open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import ray
import ray.exceptions

from actors.core.choices import Device
from actors.core.errors import ExitCode, InputError, NoCudaError, StoppedError, error_text
from actors.core.ranges import ClipBlock
from jobs.batch.background_sets import BackgroundSets
from jobs.batch.batch_clip import BatchClip
from jobs.batch.clip_states import ended_state, found_state, refused_state
from jobs.batch.clip_steps import CHUNK, Ended, Rendered, Site, Start, Verdict
from jobs.batch.desk import Desks, answer
from jobs.batch.manifest import Row
from jobs.batch.open_ahead import opens_more
from jobs.batch.policy import Policy
from jobs.batch.read_ahead import ReadAhead
from jobs.cluster.placement import Placement
from jobs.inputs.options import CompositeOptions
from jobs.process.time_limits import within
from jobs.run.clip_table import ClipStatus, ClipTable
from jobs.run.decide import SharedPlan
from jobs.run.engine import Engine
from jobs.run.execute import Outcome
from jobs.run.finish import StartTimes
from jobs.run.folder import clear
from jobs.run.folder_lock import lock_folder
from jobs.scheduling.pending_calls import PendingCalls, PendingOther
from jobs.scheduling.ray_errors import raise_if_all_must_stop, remote_error

# What is laid out for where nobody knows how many frames there will be.
UNKNOWN_FRAMES = 1 << 40

# So many clips may wait for their video and their record, each with a lock on its folder.
MOST_ENDING = 64

# So many clips are being begun beside those that are open: their features take longer than their frames may.
MOST_BEGINNING = 4

# How often the table is written; less often where that takes more than a part of the time.
TABLE_SECONDS, TABLE_PARTS = 10.0, 50

# How long the records of open clips may take when the batch is ended early.
LEAVE_SECONDS = 5.0


class BatchRun:
    """The rows of a batch on a cluster.

    Args:
        rows: those that are not done, in the order in which they are to be rendered.
        count: how many these are.
        make: the options of a row, and their digest.
        table: of the batch's clips.
        policy: when to give up.
        site: where clips are rendered.
        desks: read, begin and end clips.
        lay_out: how workers are laid out, by the first verdict.
        hire: makes the engine, of a placement, what is called each time round, and whether clips may still come.
        told: told of a clip that failed, with its error.
        shown: called now and then, to show how far the batch is.
        endings: errors that end the batch early.
        ending: what such an error means, in words for users.
    """

    def __init__(
        self,
        rows: Iterator[Row],
        count: int,
        make: Callable[[Row], tuple[CompositeOptions, str]],
        table: ClipTable,
        policy: Policy,
        site: Site,
        desks: Desks,
        lay_out: Callable[[CompositeOptions, Verdict, int], Placement],
        hire: Callable[[Placement, CompositeOptions, Callable[[], None], Callable[[], bool]], Engine],
        told: Callable[[str, str], None],
        shown: Callable[[BatchRun], None],
        endings: tuple[type[BaseException], ...],
        ending: Callable[[BaseException], StoppedError | KeyboardInterrupt],
    ) -> None:
        self.table = table
        self.engine: Engine | None = None
        self.reads = ReadAhead(
            rows,
            count,
            make=make,
            ask=desks.read,
            expect=self._expect,
            answer=self._answer,
            on_read=self._was_read,
            on_failed=self._fail,
        )
        self.beginning: dict[str, BatchClip] = {}
        self.opened: dict[str, BatchClip] = {}
        self.ending: dict[str, BatchClip] = {}
        self.stopped: StoppedError | KeyboardInterrupt | None = None
        self._endings, self._ending = endings, ending
        self._policy = policy
        self._site, self._desks = site, desks
        self._lay_out, self._hire = lay_out, hire
        self._placement: Placement | None = None
        self._told, self._shown = told, shown
        self._sets = BackgroundSets(site.resources.store)
        self._calls = PendingCalls()
        self._failed = 0
        self._writes_at = time.monotonic() + TABLE_SECONDS

    @property
    def more(self) -> bool:
        """Whether clips may still be opened, or have not ended: workers may still have some of one that failed."""
        if self.opened or self.ending or self.beginning:
            return True
        return self.stopped is None and bool(self.reads.unread or self.reads.waiting)

    def check(self) -> None:
        """Reads rows before anything is rendered: all of a few, of many the first.

        Returns when there is something to render, or nothing left to read.

        Raises:
            StoppedError: the cluster is no more, or the table cannot be written.
            KeyboardInterrupt: it was interrupted.
        """
        reads = self.reads
        try:
            while reads.unread and (reads.all_first or not reads.waiting) and self.stopped is None:
                reads.advance()
                for ref, call in self._calls.answers():
                    if isinstance(call, PendingOther):
                        call.on_answer(ref)
                self._tick()
        except self._endings as error:
            told = self._ending(error)
            raise told from (None if told is error else error)

    def run(self) -> ExitCode:
        """Renders what `check` has found, and what comes behind it.

        Raises:
            InputError: what was asked for cannot be had; nothing is rendered, and nothing of what was begun stays.
            StoppedError: the batch cannot go on.
        """
        first = self.reads.first
        if first is not None and first.verdict is not None and self.stopped is None:
            frames = self.reads.frames if self.reads.all_first else UNKNOWN_FRAMES
            self._placement = self._lay_out(first.options, first.verdict, frames)
            self.engine = self._hire(self._placement, first.options, self._advance, lambda: self.more)
            self.engine.dispatcher.calls.take(self._calls)
            try:
                self._advance()
                self.engine.run()
            except InputError as error:
                if self._has_frames:
                    # Something has been delivered, so this is no longer a batch that never began.
                    self._leave(StoppedError(str(error), "then run the same command again"))
                else:
                    self._withdraw(error)
                    raise
            except self._endings as error:
                self._leave(self._ending(error))
        self.table.write()
        if self.stopped is not None:
            raise self.stopped
        counts = self.table.counts()
        bad = counts[ClipStatus.FAILED] + counts[ClipStatus.STOPPED]
        return ExitCode.FRAMES_FAILED if bad else ExitCode.COMPLETE

    def _expect(self, ref: Any, on_answer: Callable[[Any], None]) -> None:  # noqa: ANN401 - Ray's references
        if self.engine is None:
            self._calls.add(ref, PendingOther(on_answer))
        else:
            self.engine.dispatcher.expect(ref, on_answer)

    def _advance(self) -> None:
        """Does everything that can be done now."""
        if self.engine is None:
            return
        for name, clip in list(self.opened.items()):
            state = clip.open
            if state is None or clip.opening is None:
                continue
            if state.fault is None and not state.complete and (error := clip.opening.hopeless(state)):
                fault = StoppedError(error.reason, f"mend that and add --restart {name}")
                self.engine.scheduler.fail(clip.opening.clip, fault)
            if state.settled and not state.in_flight:
                self._end(name, clip, state.fault)
        if self.stopped is None:
            self.reads.advance()
            while self._wants_more() and len(self.beginning) < MOST_BEGINNING:
                self._begin(self.reads.take())
        self._tick()

    def _tick(self) -> None:
        self._shown(self)
        now = time.monotonic()
        if now > self._writes_at:
            self.table.write()
            after = time.monotonic()
            self._writes_at = after + max(TABLE_SECONDS, TABLE_PARTS * (after - now))

    def _wants_more(self) -> bool:
        """Whether workers will soon have nothing left of the clips that are open, or about to be."""
        first = self.reads.first
        if self.engine is None or first is None or len(self.ending) >= MOST_ENDING:
            return False
        scheduler = self.engine.scheduler
        begun = [clip.number for clips in (self.opened, self.beginning) for clip in clips.values()]
        coming = sum(clip.verdict.frames for clip in self.beginning.values() if clip.verdict is not None)
        return opens_more(first.number, begun, scheduler.remaining + coming, scheduler.open_slots)

    def _was_read(self, verdict: Verdict) -> None:
        self._sets.expect(verdict.backgrounds, verdict.network, verdict.sizes, verdict.demand)

    # Beginning

    def _begin(self, clip: BatchClip) -> None:
        name, verdict, placement = clip.row.id, clip.verdict, self._placement
        if verdict is None or placement is None:
            raise RuntimeError("a clip begins before it has been read")
        clip.turn = time.perf_counter() - verdict.seconds
        try:
            preparation, backgrounds = self._sets.plan(verdict.backgrounds)
            lock = clip.lock.enter_context(lock_folder(self.table.folder / name))
        except InputError as error:
            self._drop(clip, error)
            return
        # On CPUs another batch than the export's own gains nothing.
        own = verdict.own_batch if clip.options.batch is None and self._site.choice.device is Device.CPU else None
        shared = SharedPlan(replace(placement, batch=own or placement.batch), preparation, backgrounds)
        clip.start = Start(lock.mark, shared, time.time())
        self.beginning[name] = clip
        self._expect(self._desks.begin(clip.read, clip.start), partial(self._has_begun, name, clip))

    def _has_begun(self, name: str, clip: BatchClip, ref: Any) -> None:  # noqa: ANN401
        try:
            opening = self._answer(ref)
        except (InputError, StoppedError) as error:
            del self.beginning[name]
            self._drop(clip, error)
            return
        if isinstance(opening, Rendered):
            del self.beginning[name]
            self._let_go(clip)
            self.table.put(found_state(clip, opening))
            return
        clip.opening = opening
        if self.stopped is not None:
            del self.beginning[name]
            self._take_back(clip)
            return
        described, clip.config = self._desks.describe(clip.read, clip.start)  # type: ignore[arg-type]
        self._expect(described, partial(self._is_described, name, clip))

    def _is_described(self, name: str, clip: BatchClip, ref: Any) -> None:  # noqa: ANN401
        del self.beginning[name]
        if clip.opening is None or clip.start is None or self.engine is None:
            raise RuntimeError("a clip is described before it has begun")
        try:
            self._answer(ref)
        except (InputError, StoppedError) as error:
            self._drop(clip, error)
            return
        if self.stopped is not None:
            self._take_back(clip)
            return
        clip.open = self.engine.open(clip.opening, clip.config, partial(self._request, clip), clip.row.priority)
        self.opened[name] = clip

    def _request(self, clip: BatchClip, block: ClipBlock) -> tuple[Any, ...]:
        """What the loader is called with for a block that the clip needs."""
        if clip.start is None or clip.opening is None:
            raise RuntimeError("blocks are loaded of clips that are open")
        if clip.chunks is None:
            clip.chunks = self._desks.requests(clip.read, clip.start)
        return clip.chunks[block.number // CHUNK], block.number % CHUNK, clip.opening.network.kind

    # Ending

    def _end(self, name: str, clip: BatchClip, fault: InputError | StoppedError | KeyboardInterrupt | None) -> None:
        if self.engine is None or clip.opening is None or clip.start is None:
            raise RuntimeError("a clip ends before it was opened")
        if isinstance(fault, NoCudaError):
            raise fault
        milestones = self.engine.milestones(clip.opening.clip)
        state = self.engine.close(clip.opening.clip)
        del self.opened[name]
        error = StoppedError(str(fault), "then run the same command again") if isinstance(fault, InputError) else fault
        outcome = Outcome(clip.opening.record, state, milestones, error)
        times = StartTimes(clip.turn, imported=clip.turn, read=clip.turn, joined=clip.turn)
        ref = self._desks.end(clip.read, clip.start, outcome, times, time.perf_counter())
        self.ending[name] = clip
        self._expect(ref, partial(self._has_ended, name, clip, fault))

    def _has_ended(self, name: str, clip: BatchClip, fault: BaseException | None, ref: Any) -> None:  # noqa: ANN401
        del self.ending[name]
        self._let_go(clip)
        try:
            ended: Ended = self._answer(ref)
        except (InputError, StoppedError) as error:
            self._fail(clip.row, clip.digest, error)
            return
        state = ended_state(clip, ended, fault)
        self.table.put(state)
        if state.state is not ClipStatus.DONE and (fault is None or fault is not self.stopped):
            self._count_failure(name, state.error)

    def _drop(self, clip: BatchClip, error: InputError | StoppedError) -> None:
        """A clip that was read will not be rendered."""
        self._let_go(clip)
        self._fail(clip.row, clip.digest, error)

    def _let_go(self, clip: BatchClip) -> None:
        clip.lock.close()
        if clip.verdict is not None:
            self._sets.leave(clip.verdict.backgrounds)

    def _fail(self, row: Row, digest: str, error: InputError | StoppedError) -> None:
        self.table.put(refused_state(row.id, digest, error))
        self._count_failure(row.id, str(error))

    def _count_failure(self, name: str, error: str) -> None:
        self._failed += 1
        self._told(name, error)
        reason = self._policy.reason(self._failed)
        if reason is not None and self.stopped is None:
            self.stopped = StoppedError(reason, "mend them and run the same command again")

    def _answer(self, ref: Any) -> Any:  # noqa: ANN401
        """What a step gave. Nothing more begins where it failed for want of what every clip needs, such as disk space.

        Raises:
            InputError: the clip cannot be rendered.
            StoppedError: the step failed otherwise.
        """
        try:
            return answer(ref)
        except ray.exceptions.RayError as error:
            try:
                raise_if_all_must_stop(error)
            except StoppedError as ending:
                self.stopped = self.stopped or ending
                raise
            cause = remote_error(error)
            text = f"{type(cause).__name__}: {error_text(cause, 400)}"
            raise StoppedError(text, "run the same command again") from error

    def _leave(self, ending: StoppedError | KeyboardInterrupt) -> None:
        """Ends what is still open, as far as there is time."""
        self.stopped = ending
        for name, clip in list(self.opened.items()):
            fault = clip.open.fault if clip.open is not None else None
            self._end(name, clip, fault or ending)
        for clip in self.beginning.values():
            self._let_go(clip)
        with suppress(TimeoutError):
            within(LEAVE_SECONDS, partial(self._await, self.ending))

    @property
    def _has_frames(self) -> bool:
        ended = self.table.counts()[ClipStatus.DONE] or self.table.frames()
        return bool(ended or any(clip.open is not None and clip.open.done for clip in self.opened.values()))

    def _await(self, clips: dict[str, BatchClip]) -> None:
        """Waits until none of these is left."""
        while clips and self.engine is not None:
            for ref, call in self.engine.dispatcher.calls.answers():
                if isinstance(call, PendingOther) and clips:
                    call.on_answer(ref)

    def _withdraw(self, error: InputError) -> None:
        """Takes back what was begun of clips: nothing of them is rendered yet."""
        self.stopped = StoppedError(str(error), "then run the same command again")
        # Those that are just being begun would leave a folder behind.
        with suppress(TimeoutError):
            within(LEAVE_SECONDS, partial(self._await, self.beginning))
        for clip in (*self.beginning.values(), *self.opened.values()):
            self._take_back(clip)

    def _take_back(self, clip: BatchClip) -> None:
        """Leaves nothing of a clip that was begun by this command and of which nothing is rendered."""
        if clip.opening is not None and not clip.opening.record.attempts:
            with suppress(OSError):
                clear(clip.opening.folder)
        self._let_go(clip)
