"""What scheduling costs: the real scheduler and dispatch loop drive workers that only sleep."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import ray
from rich.console import Console

from actors.core.choices import ImageFormat, Loop
from actors.core.errors import StoppedError
from actors.core.pairing import background_index
from actors.core.ranges import FrameRange
from actors.core.timings import FrameTiming
from actors.core.worker_reports import RangeReport, WorkerReport
from actors.files.run_folder import RunFolder
from jobs.cluster.connection import connect
from jobs.planning.range_plan import plan_ranges
from jobs.process.temporary_folders import scratch_folder
from jobs.run.ledger import Ledger
from jobs.scheduling.dispatcher import Dispatcher, Milestones, Work
from jobs.scheduling.scheduler import Patience, Scheduler

# Backgrounds of the made-up clip; they lie in one block, which is empty.
BACKGROUNDS = 500

# Sleeping workers have no configuration, and their only block no source.
NOTHING: Any = None


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

    def prepare(self, _clip: object) -> WorkerReport:
        """Is ready at once."""
        node = ray.get_runtime_context().get_node_id()
        host = socket.gethostname()
        return WorkerReport(
            self._worker, node, host, os.getpid(), "none", "none", "none", 1, 1, (), 0.0, 0.0, 0.0, notes=()
        )

    def render(self, _clip_id: str, start: int, stop: int, *_blocks: object) -> RangeReport:
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
        report = RangeReport.of(frames, timings, (), self._latency * len(frames))
        time.sleep(max(0.0, self._latency * len(frames) - (time.perf_counter() - clock)))
        return report


class _Sleepers(Dispatcher):
    """The dispatch loop with sleeping workers; nothing is given out before all of them are ready."""

    def __init__(self, latency: float, workers: int, scheduler: Scheduler, work: Work, ledger: Ledger) -> None:
        self._ledger_seconds = 0.0
        super().__init__(scheduler, work, Milestones(), lambda report: self._write(ledger, report), lambda: None)
        self._latency = latency
        self._held: dict[int, int] = {}
        self._workers = workers
        self._sleeper: Any = ray.remote(num_cpus=0)(Sleeper)
        self.began = (0.0, 0.0)

    @property
    def ledger_seconds(self) -> float:
        """CPU seconds spent in the ledger."""
        return self._ledger_seconds

    def _write(self, ledger: Ledger, report: RangeReport) -> None:
        began = time.thread_time()
        ledger.record(report)
        self._ledger_seconds += time.thread_time() - began

    def _start(self, slot: int) -> None:
        actor = self._sleeper.remote(slot, self._latency)
        self._actors[slot] = actor
        self._waiting[actor.prepare.remote(None)] = ("start", slot)

    def _load_block(self, block: int) -> None:
        self._blocks[block] = ray.put(None)
        self._scheduler.block_loaded(block)

    def _started(self, slot: int, ref: Any) -> None:  # noqa: ANN401 - Ray's references are generic
        report: WorkerReport = ray.get(ref)
        self._held[slot] = report.pid
        if len(self._held) == self._workers:
            for ready, pid in self._held.items():
                self._scheduler.worker_ready(ready, pid)
            self.began = (time.thread_time(), time.process_time())


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
    scheduler = Scheduler(ranges, lambda _: (0,), workers=workers, capacity=1, loaders=1, patience=Patience())
    with connect(address, None, console) as cluster, scratch_folder() as scratch:
        folder = RunFolder.at(scratch)
        folder.make_folders(frames=False, segments=False)
        work = Work(
            network=NOTHING,
            clip=None,
            clip_id="",
            request=lambda _: NOTHING,
            nodes=cluster.resources().rendering,
            placement={"num_cpus": 0},
            wait=600.0,
            look=cluster.resources,
            room=None,
            asked="simulate",
            died=lambda _: None,
        )
        ledger = Ledger(folder, ImageFormat.NONE, None)
        loop = _Sleepers(latency, workers, scheduler, work, ledger)
        loop.run()
        own, all_threads = time.thread_time() - loop.began[0], time.process_time() - loop.began[1]
        moments = loop.moments
    if scheduler.incidents.deaths or moments.first_dispatch is None or moments.last_file is None:
        raise StoppedError(f"workers died ({scheduler.incidents.deaths[:1]})", "see Ray's logs")
    spent = moments.last_file - moments.first_dispatch
    # Fewer than planned where fast workers were given several at once.
    rendered = len(moments.rendered)
    return Simulation(
        workers=workers,
        frames=len(frames),
        ranges=rendered,
        seconds=spent,
        efficiency=len(frames) * latency / workers / spent,
        schedule_ms=(own - loop.ledger_seconds) / rendered * 1e3,
        ledger_ms=loop.ledger_seconds / rendered * 1e3,
        ray_ms=(all_threads - own) / rendered * 1e3,
    )
