"""The one loop that talks to Ray: turns the scheduler's actions into calls, and Ray's answers into events."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
import ray.exceptions

from actors.core.errors import InputError, StoppedError
from actors.core.ranges import ClipBlock, ClipRange
from actors.core.worker_reports import RangeReport, WorkerReport
from actors.rendering.blocks import BlockReceipt
from jobs.cluster.program_files import check_workers
from jobs.process.time_limits import within
from jobs.scheduling.actions import CancelLoad, DropBlock, KillWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.block_loading import BlockLoading
from jobs.scheduling.deaths import brief_reason, recorded_text
from jobs.scheduling.job_spec import JobSpec
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.open_clip import OpenClip
from jobs.scheduling.pending_calls import PendingCalls, PendingLoad, PendingRender, PendingStart
from jobs.scheduling.ray_errors import needed_block_gone, raise_if_run_must_stop, remote_error
from jobs.scheduling.scheduler import Scheduler

# The loop comes round several times a second; whatever takes longer than this is the driver's own absence.
LONGEST_STEP = 10.0

# How long ending all workers may take; they end with the driver anyway.
KILL_SECONDS = 2.0

# How often the cluster is asked whether it has grown or shrunk.
LOOK_SECONDS = 5.0


class AwakeClock:
    """Seconds in which this process was at work.

    A driver that was stopped, or stuck on storage, finds answers waiting when it comes back: the time in between must
    not count against the workers who gave them.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked = time.perf_counter()

    def now(self) -> float:
        """The time so far; to be asked at least every `LONGEST_STEP` seconds."""
        looked = time.perf_counter()
        self._seconds += min(looked - self._looked, LONGEST_STEP)
        self._looked = looked
        return self._seconds


class Dispatcher:
    """Runs a scheduler to its end on the connected cluster.

    Args:
        scheduler: decides.
        job: what to run.
        milestones: filled with when things happened.
        on_range: called with each range's report, before it counts as done; writes the ledger.
        on_tick: called each time round the loop, for progress; that is about every `POLL_SECONDS`, or more often.
        stop: asked each time round the loop: whether to end before the scheduler's end.

    Attributes:
        calls: what has been asked of Ray and not been answered.
        actors: Ray's handle of each slot's worker.
        blocks: the backgrounds in the object store.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        job: JobSpec,
        milestones: Milestones,
        on_range: Callable[[RangeReport], None],
        on_tick: Callable[[], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.scheduler = scheduler
        self.job = job
        self.milestones = milestones
        self.calls = PendingCalls()
        self.actors: dict[int, Any] = {}
        self.blocks = BlockLoading(job.loader, self._loader_arguments, job.nodes)
        self._on_range = on_range
        self._on_tick = on_tick
        self._stop = stop
        self._actor: Any = ray.remote(job.worker_class).options(
            max_restarts=0, max_task_retries=0, max_concurrency=job.calls, **job.worker_resources
        )
        self._started_at: dict[int, float] = {}
        # The clips that each slot's worker is known to have, and those of them that were closed since.
        self._opened: dict[int, set[str]] = {}
        self._closed: dict[int, set[str]] = {}
        # Blocks that no node can load yet.
        self._postponed: list[ClipBlock] = []
        self._deaths_told = 0
        self._clock = AwakeClock()
        self._idle_since = time.perf_counter()
        self._looked = time.perf_counter()

    def close(self, clip_id: str) -> OpenClip:
        """Lets a clip go, complete or not; workers forget it once they have nothing of it left."""
        clip = self.scheduler.close(clip_id)
        del self.job.clips[clip_id]
        for block in [block for block in self._postponed if self._owner(block) is None]:
            self._postponed.remove(block)
            self.scheduler.block_lost(block, "nobody needs it")
        for slot, opened in self._opened.items():
            if clip_id in opened:
                opened.remove(clip_id)
                self._closed[slot].add(clip_id)
                self._tell_closed(slot)
        return clip

    def run(self) -> None:
        """Renders everything the scheduler holds, or until it is stopped.

        Raises:
            InputError: a worker or a block says that something the user gave cannot be used.
            StoppedError: nobody can work any more, or the output cannot be written.
        """
        try:
            while not self.scheduler.finished and not self._stop():
                self._act()
                if self.scheduler.stop_reason:
                    raise StoppedError(self.scheduler.stop_reason, "run the same command again once it is mended")
                self._collect()
                self._tell_deaths()
                self._check_idle()
                self._grow()
                self._on_tick()
        finally:
            # A Ray that is lost may never come back from it.
            with suppress(TimeoutError):
                within(KILL_SECONDS, self._kill_all)
            self._tell_deaths()

    def _tell_deaths(self) -> None:
        deaths = self.scheduler.deaths
        while self._deaths_told < len(deaths):
            self._deaths_told += 1
            self.job.on_death(deaths[self._deaths_told - 1])

    def _kill_all(self) -> None:
        for actor in self.actors.values():
            ray.kill(actor)

    def _act(self) -> None:
        for action in self.scheduler.actions(self._clock.now()):
            match action:
                case StartWorker(slot):
                    self._start(slot)
                case KillWorker(slot):
                    self._forget(slot)
                case LoadBlock(block):
                    self._load_block(block)
                case CancelLoad(block):
                    self._cancel_load(block)
                case DropBlock(block):
                    self.blocks.forget(block)
                case Render(slot, given, blocks):
                    self._render(slot, given, blocks)

    def _start(self, slot: int) -> None:
        self._started_at[slot] = time.perf_counter()
        actor = self._actor.remote(slot, self.job.worker_config)
        self.actors[slot] = actor
        first = next(iter(self.scheduler.clips))
        self._opened[slot], self._closed[slot] = {first}, set()
        self.calls.add(actor.prepare.remote(self.job.clips[first].config), PendingStart(slot))

    def _load_block(self, block: ClipBlock) -> None:
        if self.blocks.nodes:
            self.calls.add(self.blocks.load(block), PendingLoad(block))
        else:
            self._postponed.append(block)

    def _cancel_load(self, block: ClipBlock) -> None:
        """Gives up a load that does not end; the scheduler asks for the block again while that may help."""
        if block in self._postponed:
            self._postponed.remove(block)
            return
        self.blocks.cancel(block)
        self._drop_load(block)

    def _drop_load(self, block: ClipBlock) -> None:
        self.calls.drop(lambda call: isinstance(call, PendingLoad) and call.block == block)

    def _render(self, slot: int, given: ClipRange, blocks: tuple[ClipBlock, ...]) -> None:
        refs = self.blocks.refs(blocks)
        # A name and two numbers: whatever else Ray would pickle, which takes as long as the call itself. Until it has
        # answered, a worker may not have the clip: calls to it may overlap.
        told = {} if given.clip in self._opened[slot] else {"opening": [self.job.clips[given.clip].config]}
        ref = self.actors[slot].render.remote(given.clip, given.frames.start, given.frames.stop, *refs.values(), **told)
        self.calls.add(ref, PendingRender(slot, given, refs))
        if self.milestones.first_dispatch is None:
            self.milestones.first_dispatch = time.perf_counter()

    def _collect(self) -> None:
        """Waits for answers and turns each into an event, in the order in which the calls were made."""
        for ref, call in self.calls.answers():
            match call:
                case PendingStart(slot):
                    self._started(slot, ref)
                case PendingLoad(block):
                    self._loaded(block, ref)
                case PendingRender(slot):
                    self._rendered(call, ref)
                    self._tell_closed(slot)

    def _started(self, slot: int, ref: Any) -> None:  # noqa: ANN401 - Ray's references are generic
        try:
            report: WorkerReport = ray.get(ref)
        except ray.exceptions.RayError as error:
            raised = remote_error(error)
            # What the first worker cannot use, none can. One that comes later is alone with its trouble.
            if isinstance(raised, (InputError, StoppedError)) and not self.milestones.workers:
                raise raised from error
            self._died(slot, error)
            return
        if not self.milestones.workers:
            prepared = report.import_seconds + report.session_seconds + report.warm_seconds
            self.milestones.place_seconds = max(0.0, time.perf_counter() - self._started_at[slot] - prepared)
        self.milestones.workers.append(report)
        self.blocks.nodes = list(dict.fromkeys([*self.blocks.nodes, report.node]))
        postponed, self._postponed = self._postponed, []
        for block in postponed:
            self._load_block(block)
        self.scheduler.worker_ready(slot, report.pid)

    def _loaded(self, block: ClipBlock, ref: Any) -> None:  # noqa: ANN401
        try:
            receipt: BlockReceipt = ray.get(ref)
        except ray.exceptions.RayError as error:
            raise_if_run_must_stop(error)
            if isinstance(error, ray.exceptions.RaySystemError) and not self.milestones.workers:
                check_workers()  # Ray says so where what it was sent cannot be unpacked
            self._lose_block(block, error)
            return
        self.milestones.loaded_bytes += receipt.bytes
        self.milestones.load_seconds += receipt.seconds
        self.milestones.prepare_seconds += receipt.prepare_seconds
        self.scheduler.block_loaded(block)

    def _rendered(self, call: PendingRender, ref: Any) -> None:  # noqa: ANN401
        try:
            report: RangeReport = ray.get(ref)
        except ray.exceptions.RayError as error:
            raise_if_run_must_stop(error)
            if needed_block_gone(error):
                # Which of its blocks is gone cannot be told without fetching them; loading a few again is cheap. A
                # block that has been loaded anew since this call was made is not the one that was lost.
                for block in self.blocks.same(call.blocks):
                    self._lose_block(block, error)
                self.scheduler.range_returned(call.slot, call.range, self._clock.now())
            else:
                # Dead, or failed in an unforeseen way: not trusted again.
                self._died(call.slot, error)
            return
        opened = self._opened if call.range.clip in self.job.clips else self._closed
        opened[call.slot].add(call.range.clip)
        self._on_range(report)
        self.milestones.last_file = time.perf_counter()
        self.milestones.rendered.append(call.range.frames.id)
        self.scheduler.range_done(call.slot, call.range, report.failures, report.seconds, self._clock.now())

    def _lose_block(self, block: ClipBlock, error: Exception) -> None:
        self.blocks.forget(block)
        self._drop_load(block)
        self.scheduler.block_lost(block, brief_reason(recorded_text(error)))

    def _tell_closed(self, slot: int) -> None:
        """Lets a worker forget clips that were closed and of which it has nothing to render any more."""
        closed = self._closed.get(slot)
        if not closed:
            return
        busy = {call.range.clip for call in self.calls if isinstance(call, PendingRender) and call.slot == slot}
        for clip_id in closed - busy:
            closed.remove(clip_id)
            self.actors[slot].close_clip.remote(clip_id)

    def _owner(self, block: ClipBlock) -> str | None:
        """A clip that needs a block; ``None`` where it was closed."""
        return next((name for name, clip in self.scheduler.clips.items() if block in clip.needed), None)

    def _loader_arguments(self, block: ClipBlock) -> tuple[Any, ...]:
        owner = self._owner(block)
        if owner is None:
            raise ValueError(f"no open clip needs {block!r}")
        return self.job.clips[owner].loader_arguments(block)

    def _died(self, slot: int, error: Exception) -> None:
        self._forget(slot)
        self.scheduler.worker_died(slot, recorded_text(error))

    def _forget(self, slot: int) -> None:
        """Ends a worker and drops its outstanding calls; the scheduler has put its ranges back, or is about to."""
        ray.kill(self.actors.pop(slot))
        del self._opened[slot], self._closed[slot]
        self.calls.drop(lambda call: isinstance(call, (PendingStart, PendingRender)) and call.slot == slot)

    def _check_idle(self) -> None:
        """Stops a run that nobody works on: every worker is waiting for a place that does not come."""
        now = time.perf_counter()
        job = self.job
        if self.scheduler.ready_workers:
            self._idle_since = now
        elif now - self._idle_since > job.wait:
            needs = " and ".join(f"{count:g} {name[4:-1].upper()}" for name, count in job.worker_resources.items())
            problem = f"no worker became ready within {job.wait:g} s, each needs {needs}"
            fix = "check what the cluster has (`ray status`), or give --wait more seconds"
            if "num_gpus" in job.worker_resources and not self.milestones.workers:
                raise InputError(job.device_flag, problem, fix)
            raise StoppedError(problem, fix)

    def _grow(self) -> None:
        now = time.perf_counter()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        resources = self.job.cluster_resources()
        # A node that joins late may lack the clip or the model: its worker's failure to start says so and does no harm.
        proven = {worker.node for worker in self.milestones.workers}
        self.blocks.nodes = [node for node in resources.rendering if node in proven] or list(resources.rendering)
        if self.job.capacity is not None:
            self.scheduler.grow(self.job.capacity(resources))
