"""Finds the best layout of workers for a clip and a model on this cluster's GPUs, and keeps it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

import actors
from actors.core.choices import Device
from actors.core.errors import InputError, NoCudaError
from actors.files import storage
from actors.files.run_folder import RunFolder, new_driver_mark
from jobs.cluster.connection import Cluster, connect
from jobs.cluster.layout import CUDA_BATCH, Layout
from jobs.cluster.placement import choose_device, place_layout, wait_for_resources, workers_per_gpu
from jobs.cluster.tuned_layout import LayoutTrial, Profile, profile_key, write_profile
from jobs.console import say, show
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions, DeviceChoice
from jobs.planning.preparation import plan_preparation
from jobs.planning.render_plan import RenderPlan
from jobs.process.temporary_folders import scratch_folder
from jobs.tune.search import DIMENSIONS, best_of, explain, search
from jobs.tune.trial import measure

# One trial renders this long, and is given up after several times as long: starting its workers counts.
TRIAL_SECONDS = 4.0
TRIAL_LIMIT = 60.0


# Measured, see docs/performance-log.md.
CPU_LINE = (
    "on CPUs there is nothing to tune: no other layout gave 8 % more than composite's own, which is a worker for each"
    " core with one thread and one frame at once"
)


def tune(options: CompositeOptions, *, seconds: float, scratch: str | None, console: Console) -> None:
    """Tries layouts for at most about ``seconds``, keeps the best for later runs and says why it is the best.

    On CPUs nothing is tried.

    Args:
        options: what would be rendered; its layout is ignored.
        seconds: no further trial is begun after this.
        scratch: folder that all nodes share, for the frames of trials; ``None`` takes one of this machine.
        console: where to report.

    Raises:
        InputError: something given cannot be used, no layout rendered anything, or the outcome cannot be kept.
        StoppedError: Ray could not be started.
    """
    inputs = read_inputs(options)
    until = time.monotonic() + seconds
    with _scratch(scratch) as (folder, mark), connect(options.address, (actors,), console) as cluster:
        resources = wait_for_resources(cluster, options.device, options.wait, console)
        choice = choose_device(options.device, resources, started_here=cluster.started_here)

        if choice.device is Device.CPU:
            say(console, choice.line)
            say(console, CPU_LINE)
            return

        worked: list[Layout] = []

        def attempt(layout: Layout) -> LayoutTrial | None:
            if time.monotonic() > until:
                return None
            placement = place_layout(resources, choice.device, layout, frames=layout.workers)
            try:
                preparation = plan_preparation(
                    options, inputs, choice.device, list(inputs.frames), cluster.resources().store
                )
                plan = RenderPlan(options, inputs, choice.device, placement, preparation, folder, mark)
                trial = _attempt(plan, layout, cluster)
            except NoCudaError as error:
                # Where another layout had CUDA it is this one that does not fit on the GPU.
                if not worked:
                    raise
                trial = LayoutTrial(layout=layout, fps=0.0, remark=str(error))
            if trial.fps:
                worked.append(layout)
            say(console, f"{layout}: {trial.fps:.1f} fps{f' ({trial.remark})' if trial.remark else ''}")
            return trial

        try:
            gpus = max(1, int(resources.gpus))
            # As `composite` has it by itself.
            sharing = workers_per_gpu(resources.gpu_memory, resources.gpu_node_cpus, resources.gpus)
            first = Layout(workers=gpus * sharing, threads=1, batch=CUDA_BATCH, gpus=1 / sharing)
            trials = search(first, gpus, attempt, partial(say, console), DIMENSIONS)
        except NoCudaError as error:
            if options.device is not DeviceChoice.AUTO:
                raise
            # As `composite` does it.
            say(console, choice.without_cuda(error).line)
            say(console, CPU_LINE)
            return
        if not trials or best_of(trials).fps == 0:
            reason = trials[-1].remark if trials else "no time was left for a trial"
            raise InputError("tune", f"no layout rendered anything ({reason})", "mend that, or give --seconds more")
        best = best_of(trials)
        key = profile_key(inputs, options, resources, choice.device)
    profile = Profile(best=best.layout, fps=best.fps, trials=tuple(trials), key=key)
    _print(console, profile)
    say(console, explain(trials))
    keep(profile, console)


def keep(profile: Profile, console: Console) -> None:
    """Keeps what was found for later runs, and says where.

    Raises:
        InputError: it cannot be kept.
    """
    try:
        path = write_profile(profile)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home folder
        fix = "set XDG_CACHE_HOME to a folder that can be written, or give composite these values as flags"
        raise InputError("tune", f"what it found cannot be kept ({error})", fix) from error
    say(console, f"kept in {path}; composite uses it for this model on this hardware, unless --no-tuned")


def _attempt(plan: RenderPlan, layout: Layout, cluster: Cluster) -> LayoutTrial:
    folder = plan.folder
    folder.make_folders(frames=True, segments=True)
    fps, remark = measure(plan, cluster, seconds=TRIAL_SECONDS, limit=TRIAL_LIMIT)
    # Workers that have just been killed may still be at it; what they leave goes with the whole folder.
    for path in (folder.frames, folder.segments):
        shutil.rmtree(str(path), ignore_errors=True)
    return LayoutTrial(layout=layout, fps=fps, remark=remark)


@contextmanager
def _scratch(folder: str | None) -> Iterator[tuple[RunFolder, str]]:
    """A new folder for the frames of trials, and the name of a file in it by which nodes know it."""
    mark = new_driver_mark()
    parent = None if folder is None else storage.resolve(folder)
    with ExitStack() as held:
        try:
            if parent is not None:
                storage.make_folder(parent)
            made = held.enter_context(scratch_folder(None if parent is None else Path(parent)))
            own = RunFolder.at(made)
            storage.write_atomic(own.path / mark, b"")
        except OSError as error:
            where = "the temporary folder" if folder is None else f"--scratch {folder}"
            raise InputError(
                where, f"cannot be written ({error})", "name a folder that all nodes see by --scratch"
            ) from error
        yield own, mark


def _print(console: Console, profile: Profile) -> None:
    table = Table(title="tuning", title_justify="left")
    for column in ("workers", "threads", "batch", "share of a GPU", "session", "fps"):
        table.add_column(column, justify="right")
    for trial in profile.trials:
        layout = trial.layout
        share = f"{layout.gpus:g}" if layout.gpus else ""
        mark = "bold" if layout == profile.best else None
        numbers = (str(layout.workers), str(layout.threads), str(layout.batch))
        table.add_row(*numbers, share, str(layout.tuning), f"{trial.fps:.1f}", style=mark)
    show(console, table)
