"""The benchmark from beginning to end: prepares, finds settings, interleaves the systems, keeps what they gave."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from actors.core.choices import Device, Precision
from actors.core.errors import StoppedError
from actors.files.run_folder import RunFolder
from jobs.benchmark.benchmark_file import Report
from jobs.benchmark.clip_rows import Rows
from jobs.benchmark.clips_run import ClipsRun
from jobs.benchmark.emptied_folder import emptied
from jobs.benchmark.frame_check import FrameVerdict, Reference, check_frames, check_video, tolerance
from jobs.benchmark.material import prepare
from jobs.benchmark.matrix import (
    CUDA_STEP,
    STEP,
    Cell,
    Output,
    Regime,
    System,
    cells,
    first_length,
    next_length,
    rotated,
    trial_seconds,
)
from jobs.benchmark.measurement import Assignment, Measurement
from jobs.benchmark.modes import measure_modes
from jobs.benchmark.networks import make_network, networks_kind
from jobs.benchmark.settings import FINALISTS, Setting, alternatives, best, candidates, finalists, setting_for
from jobs.benchmark.systems import Runner
from jobs.benchmark.tables import write_report
from jobs.console import say

# Start-up, and a system may be much slower than anybody thought.
LIMIT_SECONDS = 180.0
LIMIT_FACTOR = 30.0
# What is tried to find settings is shorter than what counts; the best of the bare network run again.
SWEEP_SHARE = 0.4
TUNE_SHARE = 0.5
MOST_REFERENCE = 96
WORKERS_BATCH = (1, 2, 4, 8)
LONG_RUN = (1_000, 10_000)
# A round through the modes of blending takes about a second.
MODE_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What to measure: the command's flags.

    ``full`` is all cells, the sweep over workers and batch, the long run, and many clips in one command. ``many_clips``
    is the last of these alone, of so many ``rows``.
    """

    clip: str | None  # the demo's
    boxes: str | None
    box: str | None
    model: str | None  # takes the place of the heavy network
    kind: str | None
    device: Device
    regimes: Sequence[Regime]
    outputs: Sequence[Output]
    systems: Sequence[System]
    repeats: int
    seconds: float
    full: bool
    many_clips: bool = False
    rows: int = 0
    only: Setting | None = None  # the one setting of everybody; none finds each its own


def run_benchmark(plan: BenchmarkPlan, out: Path, report: Report, console: Console) -> None:
    """Measures everything and fills the report, which is written down after every repeat, and if this is interrupted.

    All files of the systems lie in ``out`` while they run. Each trial is told on the console.

    Raises:
        InputError: the clip or the model cannot be used.
        StoppedError: the bare network or the reference could not be run at all.
    """
    began = time.perf_counter()

    def keep() -> None:
        report.took_s = time.perf_counter() - began
        if report.trials or report.many_clips:
            write_report(report, out)

    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=out) as made:
        scratch = Path(made).resolve()
        say(console, "preparing the clip")
        material = prepare(scratch, plan.clip, plan.boxes, plan.box, networks_kind(plan.model, plan.kind))
        size = {"backgrounds": len(material.backgrounds), "width": material.width, "height": material.height}
        report.clip = {"name": material.name, **size}
        limit = LIMIT_SECONDS + LIMIT_FACTOR * plan.seconds
        try:
            for regime in plan.regimes:
                say(console, f"{regime}: building the network")
                half = plan.device is Device.CUDA
                network = make_network(regime, plan.model, material.kind, scratch, half=half)
                report.networks[regime] = {"name": network.name, "precision": Precision.FP32.value}
                if not plan.many_clips:
                    runner = Runner(material, network, plan.device, scratch, limit)
                    for _ in _Regime(plan, regime, runner, report, console).steps():
                        keep()
                if plan.many_clips or plan.full:
                    folder = scratch / f"rows-{regime}"
                    folder.mkdir()
                    rows = Rows(material, network.path, plan.device, plan.rows, folder)
                    for trial in ClipsRun(regime, rows, plan.repeats, folder, LIMIT_SECONDS, console).trials():
                        report.many_clips.append(trial)
                        keep()
            report.complete = True
        finally:
            keep()


@dataclass
class _Regime:
    """All measurements with one network."""

    _plan: BenchmarkPlan
    _regime: Regime
    _runner: Runner
    _report: Report
    _console: Console
    _turns: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._cores = self._report.machine.cores
        # The only batch that the network takes, if it is so exported.
        self._fixed = self._runner.network.tensors.batch
        self._step = CUDA_STEP if self._plan.device is Device.CUDA else STEP

    def steps(self) -> Iterator[None]:
        """Runs everything; yields when the report is worth to be written down."""
        plan, rates = self._plan, self._sweep()
        top, bare = best(rates), max(rates.values())
        order = cells(self._regime, plan.outputs, plan.systems, full=plan.full)
        systems = dict.fromkeys(cell.system for cell in order)
        settings: dict[System, tuple[Setting, ...]] = {one: (self._setting(one, rates),) for one in systems}
        if System.BARE in settings and (self._regime is Regime.HEAVY or plan.full):
            # There it says something how near anybody comes to the bare network.
            settings[System.BARE] = finalists(rates)
        tasks: dict[Cell, list[Assignment]] = {}
        for cell in order:
            frames = first_length(cell, bare, self._cores, trial_seconds(cell, plan.seconds), self._step)
            tasks[cell] = [Assignment(cell, frames, setting) for setting in settings[cell.system]]
        self._report.networks[self._regime] = {"name": self._runner.network.name, "precision": top.precision.value}
        reference = self._reference(max((task.frames for some in tasks.values() for task in some), default=0))
        for repeat in range(plan.repeats):
            for cell in rotated(order, repeat, plan.repeats):
                # Turned round each time, so that neither of two settings always runs first.
                tasks[cell] = [self._counted(task, reference, repeat) for task in tasks[cell]][::-1]
            yield
        ours_light = self._regime is Regime.LIGHT and System.OURS in plan.systems
        if ours_light:
            costs, fault = measure_modes(self._runner, MODE_ROUNDS * plan.repeats)
            self._report.modes, self._report.modes_fault = costs, fault
            say(self._console, f"{self._regime} modes of blending: {fault or f'{len(costs)} measured'}")
            yield
        further = [(self._report.workers_batch, task, 0) for task in self._layouts(top)] if plan.full else []
        if plan.full and ours_light:
            # A short and a long run, alternating.
            runs = [Assignment(Cell(self._regime, Output.JPG, System.OURS), frames, top) for frames in LONG_RUN]
            further += [(self._report.long_run, task, repeat) for repeat in range(plan.repeats) for task in runs]
        for kept, task, repeat in further:
            kept.append(self._trial(task, reference, repeat))
            what = f"workers {task.setting.workers}, batch {task.setting.batch}, " if task.setting.told else ""
            self._tell(f"{task.cell.system}, {what}{task.frames} frames", kept[-1])
            yield

    def _sweep(self) -> dict[Setting, float]:
        """The bare network at every setting; of those that look best, the median of two runs."""
        rates: dict[Setting, list[float]] = {}

        def run(setting: Setting) -> None:
            cell = Cell(self._regime, Output.NONE, System.BARE)
            fps = self._tried(Assignment(cell, 0, setting, seconds=self._plan.seconds * SWEEP_SHARE))
            if fps is not None:
                rates.setdefault(setting, []).append(fps)

        only = self._plan.only
        for setting in (only,) if only else candidates(self._plan.device, self._cores, self._fixed):
            run(setting)
        if not rates:
            fault = self._report.sweep[-1].fault
            raise StoppedError(f"the bare {self._regime} network could not be run ({fault})", "mend it and run again")
        for setting in sorted(rates, key=lambda setting: -rates[setting][0])[: 0 if only else FINALISTS]:
            run(setting)
        return {setting: statistics.median(measured) for setting, measured in rates.items()}

    def _setting(self, system: System, rates: dict[Setting, float]) -> Setting:
        """The best of the settings that may suit a system, where that is tried and there is more than one.

        Ours is tried for as long as it counts for, because the ends of a run are a part of it.
        """
        base = setting_for(system, rates, self._cores, self._fixed)
        choices = (
            alternatives(system, base, self._plan.device, self._regime, self._fixed) if not self._plan.only else ()
        )
        ours = system is System.OURS
        if len(choices) <= 1 or not (ours or self._regime is Regime.LIGHT or self._plan.full):
            return base
        cell = Cell(self._regime, Output.JPG, system)
        seconds = trial_seconds(cell, self._plan.seconds) if ours else self._plan.seconds
        frames = first_length(cell, max(rates.values()), self._cores, seconds * TUNE_SHARE, self._step)
        return best({setting: self._tried(Assignment(cell, frames, setting)) or 0.0 for setting in choices})

    def _tried(self, task: Assignment) -> float | None:
        """Frames per second of a trial that finds a setting; ``None`` where it failed."""
        trial = self._trial(task, None)
        self._report.sweep.append(trial)
        one = task.setting
        how = f"workers {one.workers}, threads {one.threads}, batch {one.batch}, {one.precision}"
        if task.cell.system is System.OURS and not one.told:
            how = f"its own layout, {one.precision}"
        self._tell(f"sweep, {task.cell.system}, {how}", trial)
        return trial.fps

    def _reference(self, frames: int) -> Reference:
        """Frames by the slow, trusted program: one at a time, on the CPU, in float32, lossless."""
        material, runner = self._runner.material, self._runner
        count = min(frames, material.distinct, MOST_REFERENCE)
        say(self._console, f"{self._regime}: rendering {count} frames to compare with")
        folder = runner.scratch / f"reference-{self._regime}"
        # A network that is fixed to larger batches cannot be run on single frames.
        system = System.SINGLE if self._fixed in {None, 1} else System.BATCH
        task = Assignment(Cell(self._regime, Output.PNG, system), count, Setting(1, self._cores, self._fixed or 1))
        answer = replace(runner, device=Device.CPU, limit=runner.limit + 2.0 * count).run(task, folder)
        if answer.fault:
            raise StoppedError(f"the reference could not be rendered: it {answer.fault}", "mend it and run again")
        return Reference(folder, count, material)

    def _counted(self, task: Assignment, reference: Reference, repeat: int) -> Assignment:
        """Runs one trial, and once more with another length if it turned out too short; returns the next one's."""
        seconds = trial_seconds(task.cell, self._plan.seconds)
        trial = self._trial(task, reference, repeat)
        longer = replace(task, frames=next_length(task.frames, trial.answer.steady_s, seconds, self._step))
        if not trial.fault and longer.frames > task.frames:
            task = longer
            trial = self._trial(task, reference, repeat)
        self._report.trials.append(trial)
        self._tell(f"{task.cell.format} {task.cell.system}, repeat {repeat + 1} of {self._plan.repeats}", trial)
        frames = task.frames if trial.fault else next_length(task.frames, trial.answer.steady_s, seconds, self._step)
        return replace(task, frames=frames)

    def _trial(self, task: Assignment, reference: Reference | None, repeat: int = 0) -> Measurement:
        with emptied(self._runner.scratch / f"{self._regime}-{next(self._turns)}") as out:
            answer, verdict = self._runner.run(task, out), FrameVerdict()
            if reference is not None and not answer.fault:
                verdict = self._check(task, out, reference)
        return Measurement(task, answer, verdict, self._cores, repeat)

    def _check(self, task: Assignment, out: Path, reference: Reference) -> FrameVerdict:
        cell = task.cell
        if cell.system.silent:
            return FrameVerdict()
        if cell.format is Output.VIDEO:
            return check_video(Path(str(RunFolder.at(out).video)), task.frames, reference)
        folder = Path(str(RunFolder.at(out).frames)) if cell.system is System.OURS else out
        allowed = tolerance(self._plan.device, task.setting.precision, cell.format)
        return check_frames(folder, cell.format, task.frames, reference, allowed)

    def _layouts(self, top: Setting) -> list[Assignment]:
        """Ours and the program whose published table this is, over workers and batch; as long as their last trials."""
        on_cpu = self._plan.device is Device.CPU
        workers = [count for count in WORKERS_BATCH if not on_cpu or count <= self._cores]
        pairs = itertools.product(workers, [self._fixed] if self._fixed else WORKERS_BATCH)
        threads = self._cores if on_cpu else 1
        settings = [Setting(count, threads, batch, top.precision, told=True) for count, batch in pairs]
        both = [Cell(self._regime, Output.JPG, system) for system in (System.OURS, System.THREAD_POOL)]
        last = {trial.task.cell: trial.task.frames for trial in self._report.trials}
        asked = [cell for cell in both if cell.system in self._plan.systems]
        return [Assignment(cell, last.get(cell, self._step), setting) for setting in settings for cell in asked]

    def _tell(self, what: str, trial: Measurement) -> None:
        outcome = trial.fault if trial.fps is None else f"{trial.fps:.2f} fps over {trial.answer.steady_s:.1f} s"
        say(self._console, f"{self._regime} {what}: {outcome}")
