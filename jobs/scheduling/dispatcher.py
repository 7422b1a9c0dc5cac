"""The one loop that talks to Ray: turns the scheduler's actions into calls, and Ray's answers into events."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.core.errors import InputError, StoppedError
from actors.core.ranges import FrameRange
from actors.core.worker_reports import RangeReport, WorkerReport
from actors.rendering.blocks import BlockReceipt, BlockRequest, load_block
from actors.rendering.compositor import Compositor
from actors.rendering.worker_config import NetworkConfig
from jobs.cluster.connection import ClusterResources
from jobs.cluster.program_files import check_workers
from jobs.process.time_limits import within
from jobs.scheduling.actions import CancelLoad, DropBlock, KillWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.deaths import Death, account, cause
from jobs.scheduling.scheduler import Scheduler

# How long to sleep in Ray when nothing happens; bounds how late a hung range or an interrupt is seen.
POLL_SECONDS = 0.5

# The loop comes round several times a second; whatever takes longer than this is the driver's own absence.
LONGEST_STEP = 10.0

# A look costs in proportion to the calls that are outstanding, so answers may gather for as long for each of them: 1 ms
# with two workers and 38 with 64, who have another range in their queues meanwhile.
GATHER_SECONDS = 0.0003
MOST_GATHER_SECONDS = 0.05

# How long ending all workers may take; they end with the driver anyway.
KILL_SECONDS = 2.0

# How often the cluster is asked whether it has grown or shrunk.
LOOK_SECONDS = 5.0

# The worker, its node or its memory is gone; these share no base class of their own. Work goes back.
WORKER_GONE = (
    ray.exceptions.RayActorError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.LocalRayletDiedError,
)

# A block's content is gone and could not be rebuilt. An actor's call that needed it fails with one of these, or with
# one of `WORKER_GONE`, as the *cause* of a RayTaskError.
BLOCK_GONE = (ray.exceptions.ObjectLostError, ray.exceptions.TaskUnschedulableError)

# Ray has neither memory nor disk left for blocks.
STORE_FULL = (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError)


@dataclass(frozen=True, slots=True)
class Work:
    """What the loop needs besides the scheduler.

    Attributes:
        network: what workers are told of the network.
        clip: what they are told of the clip, an `actors.rendering.worker_config.ClipConfig` in the object store.
        clip_id: names the clip.
        request: what to load for a block.
        nodes: ids of the nodes that can render now, where blocks are loaded until workers say where they are.
        placement: Ray's resources for one worker, as keyword arguments of `options`.
        wait: seconds that a run may go without any worker that is ready.
        look: asks the cluster what it has now.
        room: how many workers that has room for; ``None`` when the user fixed the number.
        asked: the flag or setting that the kind of resources comes from, as users know it.
        died: told of each worker that died, when it is known.
    """

    network: NetworkConfig
    clip: Any
    clip_id: str
    request: Callable[[int], BlockRequest]
    nodes: tuple[str, ...]
    placement: dict[str, Any]
    wait: float
    look: Callable[[], ClusterResources]
    room: Callable[[ClusterResources], int] | None
    asked: str
    died: Callable[[Death], None]


@dataclass(slots=True)
class Milestones:
    """When things happened, on `time.perf_counter`, and who took part.

    Attributes:
        loaded_bytes: size of all blocks loaded.
        load_seconds: time spent in loading tasks, summed over tasks.
        prepare_seconds: processor time in which they prepared encodings and ran the face encoder.
        first_dispatch: the first range was given out.
        last_file: the latest range's files stood under their names, and the driver knew.
        rendered: ids of the ranges that were rendered, in the order of their ends.
        workers: every worker that became ready, in order.
        place_seconds: how long the first of them waited for its place on the cluster, and for its process.
    """

    loaded_bytes: int = 0
    load_seconds: float = 0.0
    prepare_seconds: float = 0.0
    first_dispatch: float | None = None
    last_file: float | None = None
    rendered: list[str] = field(default_factory=list)
    workers: list[WorkerReport] = field(default_factory=list)
    place_seconds: float = 0.0


class _AwakeClock:
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
        work: what to run.
        moments: filled with when things happened.
        on_range: called with each range's report, before it counts as done; writes the ledger.
        on_tick: called about every `POLL_SECONDS`, for progress.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        work: Work,
        moments: Milestones,
        on_range: Callable[[RangeReport], None],
        on_tick: Callable[[], None],
    ) -> None:
        self._scheduler = scheduler
        self._work = work
        self.moments = moments
        self._on_range = on_range
        self._on_tick = on_tick
        self._actor: Any = ray.remote(Compositor).options(max_restarts=0, max_task_retries=0, **work.placement)
        self._load: Any = ray.remote(num_cpus=0, num_returns=2, max_retries=3)(load_block)
        self._actors: dict[int, Any] = {}
        self._asked: dict[int, float] = {}
        # Blocks belong where frames are rendered, never on a head that only schedules.
        self._nodes = list(work.nodes)
        self._postponed: list[int] = []
        self._blocks: dict[int, Any] = {}
        # What each outstanding reference stands for: ("start", slot), ("load", block) or ("render", slot, frames).
        self._waiting: dict[Any, tuple[Any, ...]] = {}
        self._told = 0
        self._clock = _AwakeClock()
        self._idle_since = time.perf_counter()
        self._looked = time.perf_counter()

    def run(self) -> None:
        """Renders everything the scheduler holds.

        Raises:
            InputError: a worker or a block says that something the user gave cannot be used.
            StoppedError: nobody can work any more, or the output cannot be written.
        """
        try:
            while not self._scheduler.finished:
                self._act()
                if self._scheduler.stop_reason:
                    raise StoppedError(self._scheduler.stop_reason, "run the same command again once it is mended")
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
        deaths = self._scheduler.incidents.deaths
        while self._told < len(deaths):
            self._told += 1
            self._work.died(deaths[self._told - 1])

    def _kill_all(self) -> None:
        for actor in self._actors.values():
            ray.kill(actor)

    def _act(self) -> None:
        for action in self._scheduler.actions(self._clock.now()):
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
                    del self._blocks[block]
                case Render(slot, frames, blocks):
                    self._render(slot, frames, blocks)

    def _start(self, slot: int) -> None:
        self._asked[slot] = time.perf_counter()
        actor = self._actor.remote(slot, self._work.network)
        self._actors[slot] = actor
        self._waiting[actor.prepare.remote(self._work.clip)] = ("start", slot)

    def _load_block(self, block: int) -> None:
        if not self._nodes:
            self._postponed.append(block)
            return
        # Soft: a node may be gone by the time its task starts.
        strategy = NodeAffinitySchedulingStrategy(self._nodes[block % len(self._nodes)], soft=True)
        load = self._load.options(scheduling_strategy=strategy)
        # The receipt comes back instead of the block: asking for a block would copy it to the driver's node.
        loaded, receipt = load.remote(self._work.request(block), self._work.network.kind)
        self._blocks[block] = loaded
        self._waiting[receipt] = ("load", block)

    def _cancel_load(self, block: int) -> None:
        """Gives up a load that does not end; the scheduler asks for the block again while that may help."""
        if block in self._postponed:
            self._postponed.remove(block)
            return
        ray.cancel(self._blocks.pop(block), force=True)
        self._drop_calls(("load", block))

    def _drop_calls(self, *prefix: tuple[str, int]) -> None:
        """Forgets outstanding calls of which nothing is expected any more."""
        for ref in [ref for ref, call in self._waiting.items() if call[: len(prefix[0])] in prefix]:
            del self._waiting[ref]

    def _render(self, slot: int, frames: FrameRange, blocks: tuple[int, ...]) -> None:
        refs = [self._blocks[block] for block in blocks]
        # A name and two numbers: whatever else Ray would pickle, which takes as long as the call itself.
        ref = self._actors[slot].render.remote(self._work.clip_id, frames.start, frames.stop, *refs)
        self._waiting[ref] = ("render", slot, frames, dict(zip(blocks, refs, strict=True)))
        if self.moments.first_dispatch is None:
            self.moments.first_dispatch = time.perf_counter()

    def _collect(self) -> None:
        """Waits for answers and turns each into an event, in the order in which the calls were made."""
        if not self._waiting:
            time.sleep(POLL_SECONDS)
            return
        calls = list(self._waiting)
        ready, _ = ray.wait(calls, num_returns=1, timeout=POLL_SECONDS, fetch_local=False)
        if ready and len(calls) > 1:
            # One more look takes everything that comes by then: one call for many answers.
            gather = min(GATHER_SECONDS * len(calls), MOST_GATHER_SECONDS)
            ready, _ = ray.wait(calls, num_returns=len(calls), timeout=gather, fetch_local=False)
        arrived = set(ready)
        for ref in [ref for ref in calls if ref in arrived]:
            call = self._waiting.pop(ref, None)
            match call:
                case ("start", slot):
                    self._started(slot, ref)
                case ("load", block):
                    self._loaded(block, ref)
                case ("render", slot, frames, blocks):
                    self._rendered(slot, frames, blocks, ref)
                case None:
                    pass  # its worker was found dead a moment ago, and with it this call

    def _started(self, slot: int, ref: Any) -> None:  # noqa: ANN401 - Ray's references are generic
        try:
            report: WorkerReport = ray.get(ref)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            # What the first worker cannot use, none can. One that comes later is alone with its trouble.
            if isinstance(cause, (InputError, StoppedError)) and not self.moments.workers:
                raise cause from error
            self._died(slot, error)
            return
        if not self.moments.workers:
            worked = report.import_seconds + report.session_seconds + report.warm_seconds
            self.moments.place_seconds = max(0.0, time.perf_counter() - self._asked[slot] - worked)
        self.moments.workers.append(report)
        self._nodes = list(dict.fromkeys([*self._nodes, report.node]))
        postponed, self._postponed = self._postponed, []
        for block in postponed:
            self._load_block(block)
        self._scheduler.worker_ready(slot, report.pid)

    def _loaded(self, block: int, ref: Any) -> None:  # noqa: ANN401
        try:
            receipt: BlockReceipt = ray.get(ref)
        except ray.exceptions.RayError as error:
            _raise_if_final(error)
            if isinstance(error, ray.exceptions.RaySystemError) and not self.moments.workers:
                check_workers()  # Ray says so where what it was sent cannot be unpacked
            self._lose_block(block, error)
            return
        self.moments.loaded_bytes += receipt.bytes
        self.moments.load_seconds += receipt.seconds
        self.moments.prepare_seconds += receipt.prepare_seconds
        self._scheduler.block_loaded(block)

    def _rendered(self, slot: int, frames: FrameRange, blocks: dict[int, Any], ref: Any) -> None:  # noqa: ANN401
        try:
            report: RangeReport = ray.get(ref)
        except ray.exceptions.RayError as error:
            _raise_if_final(error)
            cause = getattr(error, "cause", None) or error
            needed_block = isinstance(error, ray.exceptions.RayTaskError) and isinstance(cause, WORKER_GONE)
            if isinstance(cause, BLOCK_GONE) or needed_block:
                # Which of its blocks is gone cannot be told without fetching them; loading a few again is cheap. A
                # block that has been loaded anew since this call was made is not the one that was lost.
                for block, given in blocks.items():
                    if self._blocks.get(block) is given:
                        self._lose_block(block, error)
                self._scheduler.range_returned(slot, frames, self._clock.now())
            else:
                # Dead, or failed in an unforeseen way: not trusted again.
                self._died(slot, error)
            return
        self._on_range(report)
        self.moments.last_file = time.perf_counter()
        self.moments.rendered.append(frames.id)
        self._scheduler.range_done(slot, frames, report.failures, report.seconds, self._clock.now())

    def _lose_block(self, block: int, error: Exception) -> None:
        self._blocks.pop(block, None)
        self._drop_calls(("load", block))
        self._scheduler.block_lost(block, cause(account(error)))

    def _died(self, slot: int, error: Exception) -> None:
        self._forget(slot)
        self._scheduler.worker_died(slot, account(error))

    def _forget(self, slot: int) -> None:
        """Ends a worker and drops its outstanding calls; the scheduler has put its ranges back, or is about to."""
        ray.kill(self._actors.pop(slot))
        self._drop_calls(("start", slot), ("render", slot))

    def _check_idle(self) -> None:
        """Stops a run that nobody works on: every worker is waiting for a place that does not come."""
        now = time.perf_counter()
        if self._scheduler.ready_workers:
            self._idle_since = now
        elif now - self._idle_since > self._work.wait:
            needs = " and ".join(f"{count:g} {name[4:-1].upper()}" for name, count in self._work.placement.items())
            problem = f"no worker became ready within {self._work.wait:g} s, each needs {needs}"
            fix = "check what the cluster has (`ray status`), or give --wait more seconds"
            if "num_gpus" in self._work.placement and not self.moments.workers:
                raise InputError(self._work.asked, problem, fix)
            raise StoppedError(problem, fix)

    def _grow(self) -> None:
        now = time.perf_counter()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        there = self._work.look()
        # A node that joins late may lack the clip or the model: its worker's failure to start says so and does no harm.
        proven = {worker.node for worker in self.moments.workers}
        self._nodes = [node for node in there.rendering if node in proven] or list(there.rendering)
        if self._work.room is not None:
            self._scheduler.grow(self._work.room(there))


def _raise_if_final(error: ray.exceptions.RayError) -> None:
    """Raises what a worker's or loader's failure means for the whole run, if it concerns more than this one.

    Raises:
        InputError: something the user gave cannot be used.
        StoppedError: nothing can be written, Ray has no room for blocks, or the clip is not what it was.
    """
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, (InputError, StoppedError)):
        raise cause from error
    if isinstance(cause, STORE_FULL):
        # Ray's own text gives the lost object's bytes, and neither the node nor what to do.
        raise StoppedError(
            "Ray's object store is full, and it cannot move anything to disk",
            "free the disk or start Ray with a larger --object-store-memory, then run the same command again",
        ) from error
    if isinstance(cause, OSError) and not isinstance(cause, ray.exceptions.RayError):
        # It would fail the whole clip in the same way, frame by frame.
        fix = "mend it and run the same command again"
        raise StoppedError(f"the output cannot be written ({cause})", fix) from error
