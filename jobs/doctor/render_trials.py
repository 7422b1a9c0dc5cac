"""Steps 5 to 8: the network in several processes, one worker without Ray, whole runs, memory, the driver's work."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from actors.core.choices import Precision
from actors.files.program_output import program_output
from actors.rendering.blocks import load_block
from actors.rendering.compositor import Compositor
from jobs.benchmark.benchmark_file import Report
from jobs.benchmark.benchmark_run import BenchmarkPlan, run_benchmark
from jobs.benchmark.machine import this_machine
from jobs.benchmark.matrix import MOST_FRAMES, Cell, Output, Regime, System, whole
from jobs.benchmark.measurement import Answer, Assignment
from jobs.benchmark.results import summarise
from jobs.benchmark.settings import Setting
from jobs.benchmark.systems import Runner
from jobs.console import silent, terminal
from jobs.diagnostics.simulation import simulate
from jobs.doctor.rig import Rig, clip_of
from jobs.doctor.steps import BATCH, BEST, PROCESSES, Figures, best_workers

# One range, as long as joined ones are.
RANGE_FRAMES = 256
# How many times as long as the shortest trials these are.
PROCESSES_LONGER, WORKER_LONGER, RUN_LONGER, DRIVER_LONGER = 2.0, 3.0, 8.0, 4.0
# No run is meant to be faster, and none writes more than its disk has room for.
MOST_FPS = 2_500.0
WORKERS, LATENCY = 8, 0.002


def processes(rig: Rig, count: int) -> Figures:
    """The bare network in so many processes."""
    return {"fps": _bare(rig.runner(), count, rig.seconds * PROCESSES_LONGER)}


def worker(rig: Rig, threads: int) -> Figures:
    """One worker without Ray, with so many threads that finish frames."""
    plan = rig.plan(Precision.FP16, frames=2 * RANGE_FRAMES, batch=BATCH, threads=threads)
    clip = clip_of(plan)
    block = load_block(plan.block(0), plan.inputs.kind)[0]
    compositor = Compositor(0, plan.network)
    compositor.prepare(clip)

    def render(turn: int) -> int:
        """A range, at once with the one before it where threads finish frames, as in a run."""
        first = turn % 2 * RANGE_FRAMES
        frames = 0
        while not frames or time.perf_counter() < until:
            compositor.render(clip.id, first, first + RANGE_FRAMES, block)
            frames += RANGE_FRAMES
        return frames

    until = 0.0
    render(0)
    began = time.perf_counter()
    until = began + rig.seconds * WORKER_LONGER
    with ThreadPoolExecutor(2) as calls:
        frames = sum(calls.map(render, range(2 if threads else 1)))
    return {"fps": frames / (time.perf_counter() - began)}


def run(rig: Rig, name: str) -> Figures:
    """A whole run beside the bare network; ``name`` says how many workers, or that the best is run in memory."""
    best = name == BEST
    workers = best_workers(rig.earlier.get("composite", {})) if best else int(name.partition(" ")[0])
    runner = rig.runner()
    alone = rig.earlier.get("processes", {})
    sessions = max(PROCESSES, key=lambda count: alone.get(f"{count} processes", {}).get("fps", 0.0))
    bare = _bare(runner, sessions, rig.seconds * PROCESSES_LONGER)
    frames = whole(min(min(bare, MOST_FPS) * rig.seconds * RUN_LONGER, MOST_FRAMES))
    task = Assignment(Cell(Regime.HEAVY, Output.JPG, System.OURS), frames, _setting(workers, told=True))
    shared = "/dev/shm" if best and Path("/dev/shm").is_dir() else rig.scratch  # noqa: S108 - removed below
    folder = Path(tempfile.mkdtemp(prefix="mouthpiece-doctor-", dir=shared))
    try:
        with most_memory() as seen:
            answer = _answered(replace(runner, scratch=rig.scratch).run(task, folder / "run"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fps = answer.frames / answer.steady_s
    figures = {"fps": fps, "bare_fps": bare, "of_bare": fps / bare, "frames": frames, "workers": workers}
    return figures | {"process_mib": max(seen, default=0)}


def memory(rig: Rig) -> Figures:
    """The most memory of the device that a process of the runs had."""
    found = [one["process_mib"] for one in rig.earlier.get("composite", {}).values() if one.get("process_mib")]
    if not found:
        raise RuntimeError("nvidia-smi listed no process while frames were rendered")
    return {"process_mib": max(found)}


def driver(rig: Rig) -> Figures:
    """Processor time of the driver for a range, with workers that sleep."""
    found = simulate(WORKERS, LATENCY, rig.seconds * DRIVER_LONGER, None, silent())
    return {"ms": found.schedule_ms + found.ledger_ms, "ray_ms": found.ray_ms, "ranges": found.ranges}


def _setting(workers: int, *, told: bool = False) -> Setting:
    return Setting(workers, 1, BATCH, Precision.FP16, told=told)


def _bare(runner: Runner, count: int, seconds: float) -> float:
    """Frames per second of the network alone in so many processes."""
    cell = Cell(Regime.HEAVY, Output.NONE, System.BARE)
    out = Path(tempfile.mkdtemp(dir=runner.scratch)) / "bare"
    answer = _answered(runner.run(Assignment(cell, 0, _setting(count), seconds=seconds), out))
    return answer.frames / answer.steady_s


def _answered(answer: Answer) -> Answer:
    """An answer with figures.

    Raises:
        RuntimeError: it has none.
    """
    if answer.fault:
        raise RuntimeError(answer.fault)
    return answer


@contextmanager
def most_memory(pause: float = 1.0) -> Iterator[list[int]]:
    """MiB of each process on the device, as seen once in a while until the block ends; empty without NVIDIA's tool."""
    done = threading.Event()
    seen: list[int] = []

    def watch() -> None:
        while not done.wait(pause):
            said = program_output("nvidia-smi", "--query-compute-apps=used_memory", "--format=csv,noheader,nounits")
            seen.extend(int(line) for line in said.split() if line.isdecimal())

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def benchmark_row(rig: Rig) -> Figures:
    """The benchmark at its smallest: the heavy network, jpg, ours beside bare, every frame compared."""
    workers = best_workers(rig.earlier.get("composite", {}))
    folder = rig.out / "benchmark"
    folder.mkdir(exist_ok=True)
    plan = BenchmarkPlan(
        clip=rig.clip,
        boxes=None,
        box=None,
        model=rig.model,
        kind=None,
        device=rig.device,
        regimes=(Regime.HEAVY,),
        outputs=(Output.JPG,),
        systems=(System.BARE, System.OURS),
        repeats=1,
        seconds=rig.seconds,
        full=False,
        only=_setting(workers, told=True),
    )
    command = "python -m jobs doctor --device cuda"
    report = Report(time.strftime("%Y-%m-%d", time.gmtime()), command, this_machine(), rig.device, plan.seconds)
    run_benchmark(plan, folder, report, terminal(stderr=True))
    rates = {result.cell.system: result for result in summarise(report.trials)}
    ours, bare = (rates[system].fps for system in (System.OURS, System.BARE))
    if ours is None or bare is None:
        raise RuntimeError("; ".join(report.faults))
    checked = sum(trial.verdict.checked for trial in report.trials)
    return {"fps": ours.median, "bare_fps": bare.median, "of_bare": ours.median / bare.median, "checked": checked}
