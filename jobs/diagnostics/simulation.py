"""What scheduling costs: the real scheduler and dispatch loop drive workers that only sleep."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import ray
from rich.console import Console

from actors.core.choices import ImageFormat, Loop
from actors.core.errors import StoppedError
from actors.core.faces import FaceOrigin
from actors.core.pairing import background_index
from actors.core.ranges import ClipBlock, ClipRange, FrameRange
from actors.core.timings import FrameTiming
from actors.core.worker_reports import RangeReport, WorkerReport
from actors.files.run_folder import RunFolder
from actors.rendering.blocks import BlockReceipt
from jobs.cluster.connection import connect
from jobs.planning.range_plan import plan_ranges
from jobs.process.temporary_folders import scratch_folder
from jobs.run.ledger import Ledger
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.open_clip import ClipJob
from jobs.scheduling.scheduler import Patience, Scheduler

# The made-up clip, and how many backgrounds it has; they lie in one block, which is empty.
CLIP = "simulated"
BACKGROUNDS = 500


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came out.

    Attributes:
        workers: how many slept side by side.
        frames: how many frames they were given.
        ranges: in how many ranges.
        seconds: first range given out to last one recorded.
        efficiency: what it would take with workers that never wait, over ``seconds``; 1.0 is linear.
        schedule_ms: CPU time per range of the driver's own thread for scheduling, calls and answers.
        ledger_ms: its CPU time per range for writing fragments.
        ray_ms: CPU time per range of the threads that Ray has in the driver.
    """

    workers: int
    frames: int
    ranges: int
    seconds: float
    efficiency: float
    schedule_ms: float
    ledger_ms: float
    ray_ms: float


class Sleeper:
    """A worker whose network takes exactly so long, and whose reports are as large as a real one's."""

    def __init__(self, worker: int, latency: float) -> None:
        self._worker = worker
        self._latency = latency

    def prepare(self, gate: Any) -> WorkerReport:  # noqa: ANN401 - handles of Ray's actors are generic
        """Is ready when all others are."""
        ray.get(gate.arrive.remote())
        return self.ready()

    def close_clip(self, clip_id: str) -> None:
        """Knows no clips."""

    def ready(self) -> WorkerReport:
        """Says who it is."""
        node = ray.get_runtime_context().get_node_id()
        host = socket.gethostname()
        return WorkerReport(
            self._worker, node, host, os.getpid(), "none", "none", "none", 1, 1, (), 0.0, 0.0, 0.0, notes=()
        )

    def render(self, clip_id: str, start: int, stop: int, *_blocks: object, opening: object = ()) -> RangeReport:  # noqa: ARG002 - as the real one
        """Takes exactly as long as the range's frames would: makes its report, and sleeps for the rest of the time.

        Many workers share the cores of one machine here, so what a report costs them must not count.
        """
        began, clock = time.time(), time.perf_counter()
        frames = FrameRange(start, stop)
        node = ray.get_runtime_context().get_node_id()
        timings = tuple(
            FrameTiming(
                frame=frame,
                background=background_index(Loop.BOUNCE, frame, BACKGROUNDS),
                face=FaceOrigin.GIVEN.value,
                range_id=frames.id,
                batch_id=frame - frames.start,
                batch_size=1,
                worker=self._worker,
                node=node,
                pid=os.getpid(),
                device="none",
                provider="none",
                started_at=began,
                gather_ms=0.1,
                inference_ms=self._latency * 1e3,
                composite_ms=0.1,
                encode_ms=0.1,
                write_ms=0.1,
                video_ms=0.0,
                seam=0.0,
                seam_at="",
                bytes=frame,
                checksum=f"{frame:016x}",
                segment="",
                segment_bytes=0,
                segment_checksum="",
            )
            for frame in frames
        )
        report = RangeReport.of(ClipRange(clip_id, frames), timings, (), self._latency * len(frames))
        time.sleep(max(0.0, self._latency * len(frames) - (time.perf_counter() - clock)))
        return report


class Gate:
    """Where workers wait until all of them are there: nothing is given out before."""

    def __init__(self, workers: int) -> None:
        self._missing = workers
        self._complete = asyncio.Event()

    async def arrive(self) -> None:
        """Returns when all have called it."""
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        await self._complete.wait()


def load_nothing() -> tuple[None, BlockReceipt]:
    """The only block."""
    return None, BlockReceipt(0, 0.0, 0.0)


@dataclass(slots=True)
class _Costs:
    """The driver's CPU seconds: where its own thread and all threads began, and what the ledger took."""

    scheduler: Scheduler
    ledger: Ledger
    workers: int
    ledger_seconds: float = 0.0
    thread_began: float | None = None
    process_began: float = 0.0

    def record(self, report: RangeReport) -> None:
        """Writes a range's fragment."""
        began = time.thread_time()
        self.ledger.record(report)
        self.ledger_seconds += time.thread_time() - began

    def look(self) -> None:
        """Counts from when all workers are ready."""
        if self.thread_began is None and self.scheduler.ready_workers == self.workers:
            self.ledger_seconds = 0.0
            self.thread_began, self.process_began = time.thread_time(), time.process_time()


def simulate(workers: int, latency: float, seconds: float, address: str | None, console: Console) -> Simulation:
    """Renders nothing with ``workers`` workers for about ``seconds``.

    Args:
        workers: how many; they take no cores, because they sleep.
        latency: seconds per frame.
        seconds: how long it would take if scheduling cost nothing.
        address: Ray cluster, as for `connect`.
        console: the same.

    Raises:
        StoppedError: workers died.
    """
    frames = range(int(workers * seconds / latency))
    ranges = plan_ranges(frames, workers, 1, BACKGROUNDS)
    block = ClipBlock(CLIP, 0)
    scheduler = Scheduler(
        [ClipJob(CLIP, tuple(ClipRange(CLIP, part) for part in ranges), lambda _: (block,), block_bytes=1)],
        workers=workers,
        capacity=1,
        loaders=1,
        patience=Patience(),
    )
    milestones = Milestones()
    with connect(address, (), console) as cluster, scratch_folder() as scratch:
        folder = RunFolder.at(scratch)
        folder.make_folders(frames=False, segments=False)
        gate: Any = ray.remote(num_cpus=0)(Gate).options(max_concurrency=workers + 1).remote(workers)
        job = JobSpec(
            worker_class=Sleeper,
            networks={"": latency},
            clips={CLIP: ClipSpec(gate, lambda _: (), milestones)},
            loader=load_nothing,
            nodes=cluster.resources().rendering,
            worker_resources={"num_cpus": 0},
            calls=1,
            wait=600.0,
            cluster_resources=cluster.resources,
            capacity=None,
            device_flag="simulate",
            on_death=lambda _: None,
        )
        costs = _Costs(scheduler, Ledger(folder, ImageFormat.NONE, None), workers)
        Dispatcher(scheduler, job, costs.record, costs.look).run()
        thread_ended, process_ended = time.thread_time(), time.process_time()
    first, last = milestones.first_dispatch, milestones.last_file
    if scheduler.deaths or first is None or last is None or costs.thread_began is None:
        raise StoppedError(f"workers died ({scheduler.deaths[:1]})", "see Ray's logs")
    own, all_threads = thread_ended - costs.thread_began, process_ended - costs.process_began
    spent = last - first
    # Fewer than planned where fast workers were given several at once.
    rendered = len(milestones.rendered)
    return Simulation(
        workers=workers,
        frames=len(frames),
        ranges=rendered,
        seconds=spent,
        efficiency=len(frames) * latency / workers / spent,
        schedule_ms=(own - costs.ledger_seconds) / rendered * 1e3,
        ledger_ms=costs.ledger_seconds / rendered * 1e3,
        ray_ms=(all_threads - own) / rendered * 1e3,
    )
