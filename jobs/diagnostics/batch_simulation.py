"""What a batch costs its driver: many small clips by the real driver and scheduler, with workers that sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

import actors
import jobs
from actors.core.choices import ImageFormat
from actors.core.errors import StoppedError
from actors.core.worker_reports import WorkerReport
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.kinds import all_kinds
from actors.rendering.blocks import BlockReceipt
from actors.rendering.worker_config import ClipConfig, NetworkConfig
from jobs.batch.batch_run import BatchRun
from jobs.batch.clip_steps import Ended, ReadClip, Site, Start, Verdict
from jobs.batch.desk import Desk, Desks, Refusal
from jobs.batch.manifest import Row
from jobs.batch.policy import Policy
from jobs.cluster.connection import Cluster, connect
from jobs.cluster.placement import Placement, choose_device, wait_for_resources
from jobs.diagnostics.driver_use import DriverUse
from jobs.diagnostics.simulation import Sleeper
from jobs.inputs.options import CompositeOptions, DeviceChoice
from jobs.models.light import build_light_model
from jobs.models.mouth import save_model
from jobs.process.temporary_folders import scratch_folder
from jobs.run.clip_table import ClipState, ClipStatus, ClipTable
from jobs.run.engine import Crew, Engine
from jobs.run.execute import ENDINGS, Outcome, ending
from jobs.run.finish import StartTimes

# Output frames of each clip, and the side of its only background.
FRAMES, SIDE = 4, 64
# As many as a machine of some cores has.
DESKS = 2


@dataclass(frozen=True, slots=True)
class BatchSimulation:
    """What came out.

    Attributes:
        clips: how many were rendered.
        frames: of each.
        use: what that took of the driver.
    """

    clips: int
    frames: int
    use: DriverUse


class SmallDesk(Desk):
    """A desk that reads one clip and takes all others for the same, and writes nothing at their ends.

    The driver is told as much as by the real one, in less of the machine's time.
    """

    _found: tuple[Verdict | Refusal, ReadClip | None] | None = None

    def read(self, options: CompositeOptions) -> tuple[Verdict | Refusal, ReadClip | None]:
        """The clip, as if it were that of the options."""
        verdict, clip = self._found = self._found or super().read(options)
        return verdict, clip and replace(clip, options=options, folder=RunFolder.at(options.out))

    def end(self, clip: ReadClip, start: Start, outcome: Outcome, times: StartTimes, sent: float) -> Ended:  # noqa: ARG002
        """What became of the clip."""
        status = "frames_failed" if outcome.error or outcome.clip.failures else "complete"
        return Ended(status, outcome.clip.done, len(outcome.clip.failures), 0.0, 0.0, str(outcome.error or ""))


def load_nothing(*_: object) -> tuple[None, BlockReceipt]:
    """Any block."""
    return None, BlockReceipt(0, 0.0, 0.0)


def sleeper(latency: float) -> type:
    """The class of workers that take so many seconds for a frame."""

    class ClipSleeper(Sleeper):
        def __init__(self, worker: int, network: NetworkConfig) -> None:  # noqa: ARG002 - as the real one
            super().__init__(worker, latency)

        def prepare(self, clip: ClipConfig) -> WorkerReport:  # noqa: ARG002
            """Is ready at once."""
            return self.ready()

    return ClipSleeper


def simulate_batch(clips: int, workers: int, latency: float, address: str | None, console: Console) -> BatchSimulation:
    """Renders nothing of many clips.

    Args:
        clips: how many.
        workers: how many sleep; they take no cores.
        latency: seconds per frame.
        address: Ray cluster, as for `connect`.
        console: the same.

    Raises:
        StoppedError: a clip failed, or workers died.
    """
    with scratch_folder() as scratch, connect(address, (actors, jobs), console) as cluster:
        given = write_clip(scratch)
        folder = storage.locate(str(scratch / "batch"))
        storage.make_folder(folder)
        resources = wait_for_resources(cluster, DeviceChoice.CPU, 600.0, console)
        choice = choose_device(DeviceChoice.CPU, resources, started_here=cluster.started_here)
        site = Site(resources, choice, folder / "faces")
        table, use = ClipTable(folder, (ClipState(name) for name in _ids(clips))), DriverUse()
        placement = Placement(
            workers=workers, threads=1, batch=1, gpus=0, compositing_threads=0, resources={"num_cpus": 0}
        )
        failed: list[str] = []
        batch = BatchRun(
            (Row(name, name, 0, {}) for name in _ids(clips)),
            clips,
            lambda row: (CompositeOptions(**given, workers=workers, out=str(folder / row.id)), ""),
            table,
            Policy(0),
            site,
            Desks(SmallDesk, site, DESKS),
            lambda *_: placement,
            partial(_hire, site, cluster, console, sleeper(latency)),
            lambda name, error: failed.append(f"{name}: {error}"),
            lambda run: use.look(run.table.counts()[ClipStatus.DONE]),
            ENDINGS,
            lambda error: ending(error, cluster),
        )
        batch.check()
        batch.run()
    if use.clips < clips or batch.engine is None or batch.engine.scheduler.deaths:
        raise StoppedError(f"{clips - use.clips} clips were not rendered {failed[:1]}", "see Ray's logs")
    return BatchSimulation(clips, FRAMES, use)


def _ids(clips: int) -> Iterator[str]:
    return (f"clip-{number:06d}" for number in range(clips))


def _hire(
    site: Site,
    cluster: Cluster,
    console: Console,
    worker_class: type,
    placement: Placement,
    options: CompositeOptions,
    tick: Callable[[], None],
    more: Callable[[], bool],
) -> Engine:
    crew = Crew(site.resources, site.choice, placement, 1, site.resources.store)
    return Engine(crew, cluster, options, load_nothing, console, tick, more, worker_class)


def write_clip(folder: Path) -> dict[str, Any]:
    """Writes the clip that all rows show, of one background, and its network.

    Returns:
        The options that name them.
    """
    kind = next(iter(all_kinds()))
    clip = folder / "clip"
    clip.mkdir()
    cv2.imwrite(str(clip / "0.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    np.save(folder / "features.npy", np.zeros((FRAMES, *kind.feature), np.float32), allow_pickle=False)
    save_model(build_light_model(kind), folder / "light.onnx")
    return {
        "clip": str(clip),
        "rect": f"0,0,{SIDE},{SIDE}",
        "model": str(folder / "light.onnx"),
        "kind": kind.name,
        "features": str(folder / "features.npy"),
        "format": ImageFormat.NONE,
        "device": DeviceChoice.CPU,
    }
