"""The one loop that talks to Ray: turns the scheduler's actions into calls, and Ray's answers into events."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
import ray.exceptions

from actors.core.errors import ClipError, ClipStoppedError, InputError, StoppedError
from actors.core.ranges import ClipBlock, ClipRange
from actors.core.worker_reports import RangeReport, WorkerReport
from actors.rendering.blocks import BlockReceipt
from jobs.cluster.program_files import check_workers
from jobs.process.time_limits import within
from jobs.scheduling.actions import CancelLoad, DropBlock, EndWorker, KillWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.awake_clock import AwakeClock
from jobs.scheduling.block_loading import BlockLoading
from jobs.scheduling.deaths import brief_reason, recorded_text
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.open_clip import ClipJob, OpenClip
from jobs.scheduling.pending_calls import PendingCalls, PendingLoad, PendingOther, PendingRender, PendingStart
from jobs.scheduling.ray_errors import clip_fault, needed_block_gone, raise_if_all_must_stop, remote_error
from jobs.scheduling.scheduler import Scheduler

# How long ending all workers may take; they end with the driver anyway.
KILL_SECONDS = 2.0

# How often the cluster is asked whether it has grown or shrunk.
LOOK_SECONDS = 5.0


class _Slot:
    """The worker of a slot.

    Attributes:
        actor: Ray's handle.
        network: names the network that it holds.
        first: the clip with which it begins.
        report: what it said when it was ready.
        opened: clips that it is known to have.
        closed: those of them that were closed since.
    """

    def __init__(self, actor: Any, network: str, first: str) -> None:  # noqa: ANN401 - Ray's handles have no type
        self.actor, self.network, self.first = actor, network, first
        self.started_at = time.perf_counter()
        self.report: WorkerReport | None = None
        self.opened: set[str] = set()
        self.closed: set[str] = set()


class Dispatcher:
    """Runs a scheduler on the connected cluster, while clips are opened and closed.

    Args:
        scheduler: decides.
        job: what to run.
        on_range: called with the report of each range of an open clip, before it counts as done; writes the ledger.
        on_tick: called each time round the loop; that is about every `POLL_SECONDS`, or more often.
        more: asked when nothing is left of any open clip: whether clips may still be opened.
        stop: asked each time round the loop: whether to end before the scheduler's end.

    Attributes:
        calls: what has been asked of Ray and not been answered.
        slots: the worker of each slot that has one.
        workers: every worker that became ready, in order.
        refused: why networks cannot be used by any worker; clips of these cannot go on.
        blocks: the backgrounds in the object store.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        job: JobSpec,
        on_range: Callable[[RangeReport], None],
        on_tick: Callable[[], None],
        more: Callable[[], bool] = lambda: False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.scheduler = scheduler
        self.job = job
        self.calls = PendingCalls()
        self.slots: dict[int, _Slot] = {}
        self.workers: list[WorkerReport] = []
        self.refused: dict[str, InputError | StoppedError] = {}
        self.blocks = BlockLoading(job.loader, job.nodes)
        self._on_range = on_range
        self._on_tick = on_tick
        self._more = more
        self._stop = stop
        self._actor: Any = ray.remote(job.worker_class).options(
            max_restarts=0, max_task_retries=0, max_concurrency=job.calls, **job.worker_resources
        )
        # Networks that some worker could use.
        self._used: set[str] = set()
        # Blocks that no node can load yet.
        self._postponed: list[ClipBlock] = []
        self._deaths_told = 0
        self._clock = AwakeClock()
        self._idle_since = time.perf_counter()
        self._looked = time.perf_counter()

    def open(self, clip: ClipJob, spec: ClipSpec) -> OpenClip:
        """Takes a clip, whose network the job has."""
        opened = self.scheduler.open(clip)
        self.job.clips[clip.id] = spec
        spec.milestones.workers.extend(
            slot.report for slot in self.slots.values() if slot.report is not None and slot.network == clip.network
        )
        if clip.network in self.refused:
            self.scheduler.fail(clip.id, self.refused[clip.network])
        return opened

    def expect(self, ref: Any, on_answer: Callable[[Any], None]) -> None:  # noqa: ANN401 - references are generic
        """Waits for the answer of a call of the caller's own too, who is told of it in the loop."""
        self.calls.add(ref, PendingOther(on_answer))

    def close(self, clip_id: str) -> OpenClip:
        """Lets a clip go, complete or not; workers forget it once they have nothing of it left."""
        clip = self.scheduler.close(clip_id)
        del self.job.clips[clip_id]
        for block in [block for block in self._postponed if self._owner(block) is None]:
            self._postponed.remove(block)
            self.scheduler.block_lost(block, "nobody needs it")
        for number, slot in self.slots.items():
            if clip_id in slot.opened:
                slot.opened.remove(clip_id)
                slot.closed.add(clip_id)
                self._tell_closed(number)
        return clip

    def run(self) -> None:
        """Renders all clips that are opened, until nothing of them is left and no more will come, or it is stopped.

        What cannot go on of a clip is its `OpenClip.fault`.

        Raises:
            InputError: the program or the resources that were asked for cannot be used on the cluster.
            StoppedError: nobody can work any more, or nothing can be written.
        """
        try:
            while (not self.scheduler.finished or self._more()) and not self._stop():
                self._act()
                if self.scheduler.stop_error is not None:
                    raise self.scheduler.stop_error
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
        for slot in self.slots.values():
            ray.kill(slot.actor)

    def _act(self) -> None:
        for action in self.scheduler.actions(self._clock.now()):
            match action:
                case StartWorker(slot, network):
                    self._start(slot, network)
                case EndWorker(slot) | KillWorker(slot):
                    self._forget(slot)
                case LoadBlock(block):
                    self._load_block(block)
                case CancelLoad(block):
                    self._cancel_load(block)
                case DropBlock(block):
                    self.blocks.forget(block)
                case Render(slot, given, blocks):
                    self._render(slot, given, blocks)

    def _start(self, number: int, network: str) -> None:
        clips = self.scheduler.clips.items()
        # By now others may have all that was pending of it when this was decided.
        first = next(name for name, clip in clips if clip.job.network == network and not clip.settled)
        actor = self._actor.remote(number, self.job.networks[network])
        self.slots[number] = _Slot(actor, network, first)
        self.calls.add(actor.prepare.remote(self.job.clips[first].config), PendingStart(number))

    def _load_block(self, block: ClipBlock) -> None:
        if self.blocks.nodes:
            owner = self._owner(block)
            if owner is None:
                raise ValueError(f"no open clip needs {block!r}")
            arguments = self.job.clips[owner].loader_arguments(block)
            self.calls.add(self.blocks.load(block, arguments), PendingLoad(block, owner))
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
        spec, worker = self.job.clips[given.clip], self.slots[slot]
        told = {} if given.clip in worker.opened else {"opening": [spec.config]}
        ref = worker.actor.render.remote(given.clip, given.frames.start, given.frames.stop, *refs.values(), **told)
        self.calls.add(ref, PendingRender(slot, given, refs))
        if spec.milestones.first_dispatch is None:
            spec.milestones.first_dispatch = time.perf_counter()

    def _collect(self) -> None:
        """Waits for answers and turns each into an event, in the order in which the calls were made."""
        for ref, call in self.calls.answers():
            match call:
                case PendingStart(slot):
                    self._started(slot, ref)
                case PendingLoad(block, clip):
                    self._loaded(block, clip, ref)
                case PendingRender(slot):
                    self._rendered(call, ref)
                    self._tell_closed(slot)
                case PendingOther(on_answer):
                    on_answer(ref)

    def _started(self, number: int, ref: Any) -> None:  # noqa: ANN401 - Ray's references are generic
        slot = self.slots[number]
        try:
            report: WorkerReport = ray.get(ref)
        except ray.exceptions.RayError as error:
            if not self._refuses(slot, remote_error(error)):
                self._died(number, error)
                return
            self._forget(number)
            self.scheduler.worker_refused(number)
            # It had a place, and so will the next one.
            self._idle_since = time.perf_counter()
            return
        specs = [
            self.job.clips[name] for name, clip in self.scheduler.clips.items() if clip.job.network == slot.network
        ]
        if not self.workers:
            prepared = report.import_seconds + report.session_seconds + report.warm_seconds
            for spec in specs:
                spec.milestones.place_seconds = max(0.0, time.perf_counter() - slot.started_at - prepared)
        for spec in specs:
            spec.milestones.workers.append(report)
        self.workers.append(report)
        self._used.add(slot.network)
        slot.report = report
        (slot.opened if slot.first in self.job.clips else slot.closed).add(slot.first)
        self.blocks.nodes = list(dict.fromkeys([*self.blocks.nodes, report.node]))
        postponed, self._postponed = self._postponed, []
        for block in postponed:
            self._load_block(block)
        self.scheduler.worker_ready(number, report.pid)
        self._tell_closed(number)

    def _refuses(self, slot: _Slot, raised: Exception) -> bool:
        """Whether a worker could not begin because of its first clip or its network, which then cannot go on.

        What the first worker cannot use, none can. One that comes later is alone with its trouble.
        """
        clips = self.scheduler.clips
        if isinstance(raised, (ClipError, ClipStoppedError)):
            used = any(slot.first in other.opened for other in self.slots.values())
            if used or (slot.first in clips and clips[slot.first].done):
                return False
            if slot.first in clips:
                self.scheduler.fail(slot.first, raised)
            return True
        if not isinstance(raised, (InputError, StoppedError)) or slot.network in self._used:
            return False
        self.refused[slot.network] = raised
        for name, clip in clips.items():
            if clip.job.network == slot.network:
                self.scheduler.fail(name, raised)
        return True

    def _loaded(self, block: ClipBlock, clip: str, ref: Any) -> None:  # noqa: ANN401
        try:
            receipt: BlockReceipt = ray.get(ref)
        except ray.exceptions.RayError as error:
            raise_if_all_must_stop(error)
            if isinstance(error, ray.exceptions.RaySystemError) and not self.workers:
                check_workers()  # Ray says so where what it was sent cannot be unpacked
            if (fault := clip_fault(error)) is None:
                self._lose_block(block, error)
                return
            # Other clips that need it may have it from files of their own.
            self.blocks.forget(block)
            self.scheduler.load_refused(block)
            if clip in self.scheduler.clips:
                self.scheduler.fail(clip, fault)
            return
        if clip in self.job.clips:
            milestones = self.job.clips[clip].milestones
            milestones.loaded_bytes += receipt.bytes
            milestones.load_seconds += receipt.seconds
            milestones.prepare_seconds += receipt.prepare_seconds
        self.scheduler.block_loaded(block)

    def _rendered(self, call: PendingRender, ref: Any) -> None:  # noqa: ANN401
        try:
            report: RangeReport = ray.get(ref)
        except ray.exceptions.RayError as error:
            raise_if_all_must_stop(error)
            if (fault := clip_fault(error)) is not None:
                if call.range.clip in self.job.clips:
                    self.scheduler.fail(call.range.clip, fault)
                self.scheduler.range_returned(call.slot, call.range, self._clock.now())
            elif needed_block_gone(error):
                # Which of its blocks is gone cannot be told without fetching them; loading a few again is cheap. A
                # block that has been loaded anew since this call was made is not the one that was lost.
                for block in self.blocks.same(call.blocks):
                    self._lose_block(block, error)
                self.scheduler.range_returned(call.slot, call.range, self._clock.now())
            else:
                # Dead, or failed in an unforeseen way: not trusted again.
                self._died(call.slot, error)
            return
        slot, spec = self.slots[call.slot], self.job.clips.get(call.range.clip)
        (slot.closed if spec is None else slot.opened).add(call.range.clip)
        if spec is not None:
            self._on_range(report)
            spec.milestones.last_file = time.perf_counter()
            spec.milestones.rendered.append(call.range.frames.id)
        self.scheduler.range_done(call.slot, call.range, report.failures, report.seconds, self._clock.now())

    def _lose_block(self, block: ClipBlock, error: Exception) -> None:
        self.blocks.forget(block)
        self._drop_load(block)
        self.scheduler.block_lost(block, brief_reason(recorded_text(error)))

    def _tell_closed(self, slot: int) -> None:
        """Lets a worker forget clips that were closed and of which it has nothing to render any more."""
        if slot not in self.slots or not self.slots[slot].closed:
            return
        closed = self.slots[slot].closed
        busy = {call.range.clip for call in self.calls if isinstance(call, PendingRender) and call.slot == slot}
        for clip_id in closed - busy:
            closed.remove(clip_id)
            self.slots[slot].actor.close_clip.remote(clip_id)

    def _owner(self, block: ClipBlock) -> str | None:
        """A clip that needs a block and can go on; ``None`` where there is none any more."""
        clips = self.scheduler.clips.items()
        return next((name for name, clip in clips if block in clip.needed and clip.fault is None), None)

    def _died(self, slot: int, error: Exception) -> None:
        self._forget(slot)
        self.scheduler.worker_died(slot, recorded_text(error))

    def _forget(self, slot: int) -> None:
        """Ends a worker and drops its outstanding calls; the scheduler has put its ranges back, or is about to."""
        ray.kill(self.slots.pop(slot).actor)
        self.calls.drop(lambda call: isinstance(call, (PendingStart, PendingRender)) and call.slot == slot)

    def _check_idle(self) -> None:
        """Stops a run that nobody works on: every worker is waiting for a place that does not come."""
        now = time.perf_counter()
        job = self.job
        if self.scheduler.ready_workers or self.scheduler.finished:
            self._idle_since = now
        elif now - self._idle_since > job.wait:
            needs = " and ".join(f"{count:g} {name[4:-1].upper()}" for name, count in job.worker_resources.items())
            problem = f"no worker became ready within {job.wait:g} s, each needs {needs}"
            fix = "check what the cluster has (`ray status`), or give --wait more seconds"
            if "num_gpus" in job.worker_resources and not self.workers:
                raise InputError(job.device_flag, problem, fix)
            raise StoppedError(problem, fix)

    def _grow(self) -> None:
        now = time.perf_counter()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        resources = self.job.cluster_resources()
        # A node that joins late may lack the clip or the model: its worker's failure to start says so and does no harm.
        proven = {worker.node for worker in self.workers}
        self.blocks.nodes = [node for node in resources.rendering if node in proven] or list(resources.rendering)
        if self.job.capacity is not None:
            self.scheduler.grow(self.job.capacity(resources))
