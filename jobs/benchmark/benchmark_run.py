"""The benchmark from beginning to end: prepares, finds settings, interleaves the systems, keeps what they gave."""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from actors.core.errors import StoppedError
from actors.files.run_folder import RunFolder
from jobs.benchmark.benchmark_file import Report
from jobs.benchmark.frame_check import FrameVerdict, Reference, check_frames, check_video, tolerance
from jobs.benchmark.material import Material, prepare
from jobs.benchmark.matrix import (
    BenchmarkDevice,
    Cell,
    Output,
    Regime,
    System,
    cells,
    filling_seconds,
    first_length,
    next_length,
    rotated,
    trial_seconds,
    whole,
)
from jobs.benchmark.measurement import Answer, Assignment, Measurement, make_trial
from jobs.benchmark.modes import measure_modes
from jobs.benchmark.networks import make_network, networks_kind
from jobs.benchmark.settings import FINALISTS, Setting, alternatives, best, candidates, finalists, setting_for
from jobs.benchmark.systems import Runner
from jobs.console import say

JPEG_QUALITY = 95
# Start-up, and a system may be much slower than anybody thought.
LIMIT_SECONDS = 180.0
LIMIT_FACTOR = 30.0
# What is tried to find settings is shorter than what counts; the best of the bare network run again.
SWEEP_SHARE = 0.4
TUNE_SHARE = 0.5
MOST_REFERENCE = 96
MOST_CHECKED = 24
WORKERS_BATCH = (1, 2, 4, 8)
LONG_RUN = (1_000, 10_000)
# A round through the modes of blending takes about a second.
MODE_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What to measure.

    Attributes:
        clip: as `composite` takes it, or ``None`` for the demo's.
        boxes: ``--rects`` for it.
        box: ``--rect`` for it.
        model: takes the place of the heavy network, or ``None``.
        kind: of the networks, or ``None`` for the model's or the demo's.
        device: on what.
        regimes: which networks.
        outputs: which formats.
        systems: who.
        repeats: how often each.
        seconds: how long the shortest trials should render.
        full: the whole matrix, the sweep over workers and batch, and the long run.
    """

    clip: str | None
    boxes: str | None
    box: str | None
    model: str | None
    kind: str | None
    device: BenchmarkDevice
    regimes: Collection[Regime]
    outputs: Collection[Output]
    systems: Collection[System]
    repeats: int
    seconds: float
    full: bool


def run_benchmark(plan: BenchmarkPlan, out: Path, report: Report, console: Console, keep: Callable[[], None]) -> None:
    """Measures everything and fills the report; it is true at any moment, so an interruption loses nothing.

    Args:
        plan: what to measure.
        out: existing folder, in which all files of the systems lie while they run.
        report: filled.
        console: where each trial is told.
        keep: called after every repeat, to write the report down.

    Raises:
        InputError: the clip or the model cannot be used.
        StoppedError: the bare network or the reference could not be run at all.
        OSError: files cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".scratch-", dir=out) as folder:
        scratch = Path(folder).resolve()
        say(console, "preparing the clip")
        material = prepare(scratch, plan.clip, plan.boxes, plan.box, networks_kind(plan.model, plan.kind))
        report.clip = {
            "name": material.name,
            "backgrounds": len(material.backgrounds),
            "width": material.width,
            "height": material.height,
        }
        for regime in Regime:
            if regime in plan.regimes:
                _Regime(plan, regime, material, scratch, report, console, keep).measure()
        report.complete = True


class _Regime:
    """All measurements with one network."""

    def __init__(
        self,
        plan: BenchmarkPlan,
        regime: Regime,
        material: Material,
        scratch: Path,
        report: Report,
        console: Console,
        keep: Callable[[], None],
    ) -> None:
        self._plan, self._regime, self._material, self._scratch = plan, regime, material, scratch
        self._report, self._console, self._keep = report, console, keep
        self._cores = report.machine.cores
        self._turns = itertools.count()
        say(console, f"{regime}: building the network")
        self._network = make_network(
            regime, plan.model, material.kind, scratch, half=plan.device is BenchmarkDevice.CUDA
        )
        self._fixed = self._network.tensors.batch
        limit = LIMIT_SECONDS + LIMIT_FACTOR * plan.seconds
        self._runner = Runner(material, self._network, plan.device, scratch, JPEG_QUALITY, limit)

    def measure(self) -> None:
        """Runs everything."""
        rates = self._sweep()
        order = cells(self._regime, self._plan.outputs, self._plan.systems, full=self._plan.full)
        settings = {
            system: setting_for(system, rates, self._cores, self._fixed)
            for system in dict.fromkeys(cell.system for cell in order)
        }
        bare = max(rates.values())
        if self._regime is Regime.LIGHT or self._plan.full:
            settings = {system: self._tune(system, setting, bare) for system, setting in settings.items()}
        self._report.settings |= {(self._regime, system): setting for system, setting in settings.items()}
        assignments = {
            cell: [
                Assignment(
                    cell,
                    first_length(
                        bare,
                        cell.output,
                        self._cores,
                        trial_seconds(cell, self._plan.seconds) + filling_seconds(cell),
                    ),
                    setting,
                )
                for setting in (finalists(rates) if self._counts(cell) else (settings[cell.system],))
            ]
            for cell in order
        }
        top = best(rates)
        self._report.networks[self._regime] = {
            "name": self._network.name,
            "kind": self._material.kind.name,
            "batch": self._fixed,
            "precision": top.precision.value,
        }
        reference = self._reference(max((task.frames for tasks in assignments.values() for task in tasks), default=0))
        for repeat in range(self._plan.repeats):
            for place, cell in enumerate(rotated(order, repeat, self._plan.repeats)):
                # Turned round each time, so that neither of two settings always runs first.
                assignments[cell] = [self._counted(task, reference, repeat, place) for task in assignments[cell]][::-1]
            self._keep()
        if self._regime is Regime.LIGHT and System.OURS in self._plan.systems:
            self._modes()
        if self._plan.full:
            self._workers_batch(top, reference)
            if self._regime is Regime.LIGHT and System.OURS in self._plan.systems:
                self._long_run(top, reference)

    def _counts(self, cell: Cell) -> bool:
        """Whether a cell is the bare network, and how near anybody comes to it says something."""
        return cell.system is System.BARE and (self._regime is Regime.HEAVY or self._plan.full)

    def _sweep(self) -> dict[Setting, float]:
        """The bare network at every setting; of those that look best, the median of two runs."""
        rates: dict[Setting, list[float]] = {}

        def run(setting: Setting) -> None:
            seconds = self._plan.seconds * SWEEP_SHARE
            task = Assignment(Cell(self._regime, Output.NONE, System.BARE), 0, setting, seconds=seconds)
            trial, _ = self._trial(task, None, 0, 0)
            self._swept(trial)
            if trial.fps is not None:
                rates.setdefault(setting, []).append(trial.fps)

        for setting in candidates(self._plan.device, self._cores, self._fixed):
            run(setting)
        if not rates:
            fault = self._report.sweep[-1].fault
            raise StoppedError(f"the bare {self._regime} network could not be run ({fault})", "mend it and run again")
        for setting in sorted(rates, key=lambda setting: -rates[setting][0])[:FINALISTS]:
            run(setting)
        return {setting: statistics.median(measured) for setting, measured in rates.items()}

    def _tune(self, system: System, base: Setting, bare: float) -> Setting:
        """The best of the settings that may suit a system; ``bare`` is what the bare network makes."""
        choices = alternatives(system, base, self._plan.device, self._regime, self._fixed)
        if len(choices) == 1:
            return base
        rates: dict[Setting, float] = {}
        cell = Cell(self._regime, Output.JPG, system)
        seconds = self._plan.seconds * TUNE_SHARE + filling_seconds(cell)
        for setting in choices:
            frames = first_length(bare, cell.output, self._cores, seconds)
            trial, _ = self._trial(Assignment(cell, frames, setting), None, 0, 0)
            self._swept(trial)
            rates[setting] = trial.fps or 0.0
        return best(rates)

    def _swept(self, trial: Measurement) -> None:
        self._report.sweep.append(trial)
        how = f"workers {trial.workers}, threads {trial.threads}, batch {trial.batch}, {trial.precision}"
        self._tell(f"sweep, {trial.system}, {how}", trial)

    def _reference(self, frames: int) -> Reference:
        """Frames by the slow, trusted program: one at a time, on the CPU, in float32, lossless."""
        count = min(frames, self._material.distinct, MOST_REFERENCE)
        say(self._console, f"{self._regime}: rendering {count} frames to compare with")
        folder = self._scratch / f"reference-{self._regime}"
        # A network that is fixed to larger batches cannot be run on single frames.
        system = System.SINGLE if self._fixed in {None, 1} else System.BATCH
        task = Assignment(Cell(self._regime, Output.PNG, system), count, Setting(1, self._cores, self._fixed or 1))
        answer = replace(self._runner, device=BenchmarkDevice.CPU, limit=self._runner.limit + 2.0 * count).run(
            task, folder
        )
        if answer.fault:
            raise StoppedError(f"the reference could not be rendered: it {answer.fault}", "mend it and run again")
        return Reference(folder, count, self._material, JPEG_QUALITY)

    def _counted(self, task: Assignment, reference: Reference, repeat: int, place: int) -> Assignment:
        """Runs one trial, and once more with another length if it turned out too short; returns the next one's."""
        seconds = trial_seconds(task.cell, self._plan.seconds)
        trial, answer = self._trial(task, reference, repeat, place)
        longer = replace(task, frames=next_length(task.frames, trial.steady_s, seconds))
        if not trial.fault and longer.frames > task.frames:
            task = longer
            trial, answer = self._trial(task, reference, repeat, place)
        self._report.trials.append(trial)
        self._report.remember(task.cell, answer)
        self._tell(f"{task.cell.output} {task.cell.system}, repeat {repeat + 1} of {self._plan.repeats}", trial)
        if trial.fault:
            return task
        return replace(task, frames=next_length(task.frames, trial.steady_s, seconds))

    def _trial(
        self, task: Assignment, reference: Reference | None, repeat: int, place: int
    ) -> tuple[Measurement, Answer]:
        with _emptied(self._scratch / f"{self._regime}-{next(self._turns)}") as out:
            answer = self._runner.run(task, out)
            verdict = FrameVerdict(0, 0)
            if reference is not None and not answer.fault:
                verdict = self._check(task, out, reference)
        trial = make_trial(task, answer, verdict, repeat=repeat, order=place, cores=self._cores)
        return trial, answer

    def _check(self, task: Assignment, out: Path, reference: Reference) -> FrameVerdict:
        cell = task.cell
        if cell.system.silent:
            return FrameVerdict(0, 0)
        if cell.output is Output.VIDEO:
            return check_video(Path(str(RunFolder.at(out).video)), task.frames, reference, MOST_CHECKED)
        folder = Path(str(RunFolder.at(out).frames)) if cell.system is System.OURS else out
        allowed = tolerance(self._plan.device, task.setting.precision, cell.output)
        return check_frames(folder, cell.output, task.frames, reference, allowed, MOST_CHECKED)

    def _modes(self) -> None:
        """What each way to lay a patch on its frame costs."""
        costs, fault = measure_modes(
            self._material,
            self._network.path,
            self._scratch,
            quality=JPEG_QUALITY,
            repeats=MODE_ROUNDS * self._plan.repeats,
            limit=self._runner.limit,
        )
        self._report.modes, self._report.modes_fault = costs, fault
        say(self._console, f"{self._regime} modes of blending: {fault or f'{len(costs)} measured'}")
        self._keep()

    def _workers_batch(self, top: Setting, reference: Reference) -> None:
        """Ours and the program whose published table this is, over workers and batch."""
        most = self._cores if self._plan.device is BenchmarkDevice.CPU else max(WORKERS_BATCH)
        threads = self._cores if self._plan.device is BenchmarkDevice.CPU else 1
        for workers in (count for count in WORKERS_BATCH if count <= most):
            for batch in (self._fixed,) if self._fixed else WORKERS_BATCH:
                for system in (one for one in (System.OURS, System.THREAD_POOL) if one in self._plan.systems):
                    cell = Cell(self._regime, Output.JPG, system)
                    setting = Setting(workers, threads, batch, top.precision)
                    self._report.workers_batch.append(self._extra(cell, setting, reference))
        self._keep()

    def _extra(self, cell: Cell, setting: Setting, reference: Reference) -> Measurement:
        """One trial with a setting of its own, as long as the system's last counted one."""
        before = [trial for trial in self._report.trials if trial.cell == cell]
        task = Assignment(cell, before[-1].frames if before else whole(0), setting, chosen=True)
        trial, _ = self._trial(task, reference, 0, 0)
        self._tell(f"{cell.system}, workers {setting.workers}, batch {setting.batch}", trial)
        return trial

    def _long_run(self, top: Setting, reference: Reference) -> None:
        """Ours over a short and a long run, alternating."""
        for repeat in range(self._plan.repeats):
            for frames in LONG_RUN:
                task = Assignment(Cell(self._regime, Output.JPG, System.OURS), frames, top)
                trial, _ = self._trial(task, reference, repeat, 0)
                self._report.long_run.append(trial)
                self._tell(f"ours, {frames} frames, repeat {repeat + 1}", trial)
        self._keep()

    def _tell(self, what: str, trial: Measurement) -> None:
        outcome = trial.fault if trial.fps is None else f"{trial.fps:.2f} fps over {trial.steady_s:.1f} s"
        say(self._console, f"{self._regime} {what}: {outcome}")


@contextmanager
def _emptied(path: Path) -> Iterator[Path]:
    """A path for a system's files; afterwards they take no room, and nothing is left to be written out under the next.

    They are removed at the very end only: ext4 does not use an inode again within minutes after it was freed, and looks
    at every such one whenever it makes a file. After a few thousand removals a new file takes 0.7 ms instead of 0.02,
    which would be charged to whoever comes next.
    """
    try:
        yield path
    finally:
        for file in path.rglob("*"):
            if file.is_file():
                os.truncate(file, 0)
        os.sync()
