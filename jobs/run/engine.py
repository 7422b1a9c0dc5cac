"""The workers of one command, and the loop that has them render whatever clips are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from actors.core.errors import StoppedError
from actors.core.ranges import ClipBlock
from actors.core.worker_reports import RangeReport
from actors.rendering.compositor import Compositor
from jobs.cluster.connection import Cluster, ClusterResources
from jobs.cluster.placement import ChosenDevice, Placement, worker_capacity
from jobs.console import say
from jobs.inputs.options import CompositeOptions
from jobs.process.refusals import EXHAUSTED
from jobs.run.ledger import Ledger
from jobs.run.opening import Opening
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.open_clip import OpenClip
from jobs.scheduling.scheduler import Patience, Scheduler


@dataclass(frozen=True, slots=True)
class Crew:
    """Where and by whom the clips of a command are rendered.

    Attributes:
        resources: what the cluster had when it was asked.
        choice: what networks run on, and why.
        placement: how workers are laid out.
        calls: how many ranges each renders at once.
        capacity: bytes of backgrounds that may be held at once.
    """

    resources: ClusterResources
    choice: ChosenDevice
    placement: Placement
    calls: int
    capacity: int


class Engine:
    """Renders clips.

    Args:
        crew: where and by whom.
        cluster: where that is.
        options: of the command.
        loader: loads a block, as `actors.rendering.blocks.load_block` does.
        console: where it is said that a worker died.
        tick: called each time round the loop.
        more: whether clips may still be opened.
        worker_class: what workers are, if not `Compositor`.

    Attributes:
        dispatcher: the loop.
        scheduler: what it goes by.
    """

    def __init__(
        self,
        crew: Crew,
        cluster: Cluster,
        options: CompositeOptions,
        loader: Callable[..., tuple[Any, Any]],
        console: Console,
        tick: Callable[[], None],
        more: Callable[[], bool] = lambda: False,
        worker_class: type | None = None,
    ) -> None:
        placement, device = crew.placement, crew.choice.device
        self.scheduler = scheduler = Scheduler(
            workers=placement.workers,
            capacity=crew.capacity,
            loaders=max(2, int(crew.resources.cpus)),
            patience=Patience(),
            calls=crew.calls,
        )
        self._ledgers: dict[str, Ledger] = {}
        self._specs: dict[str, ClipSpec] = {}
        self._job = JobSpec(
            worker_class=worker_class or Compositor,
            networks={},
            clips={},
            loader=loader,
            nodes=crew.resources.rendering,
            worker_resources=placement.resources,
            calls=crew.calls,
            wait=options.wait,
            cluster_resources=cluster.resources,
            capacity=None
            if options.workers
            else lambda now: min(worker_capacity(now, device, placement.gpus, placement.threads), scheduler.remaining),
            device_flag=crew.choice.asked,
            on_death=lambda death: say(console, death.line, style="yellow"),
        )
        self.dispatcher = Dispatcher(scheduler, self._job, self._record, tick, more)

    def open(
        self,
        opening: Opening,
        config: Any,  # noqa: ANN401 - Ray's references are generic
        loader_arguments: Callable[[ClipBlock], tuple[Any, ...]],
        priority: int = 0,
    ) -> OpenClip:
        """Takes a clip.

        Args:
            opening: of the clip.
            config: what workers are told of it, in the object store.
            loader_arguments: what the loader is called with for one of its blocks.
            priority: clips of a greater one are rendered first.
        """
        job = opening.job(priority)
        self._ledgers[job.id] = opening.ledger
        self._job.networks[job.network] = opening.network
        self._specs[job.id] = spec = ClipSpec(config, loader_arguments, Milestones())
        return self.dispatcher.open(job, spec)

    def close(self, clip: str) -> OpenClip:
        """Lets a clip go, complete or not."""
        del self._ledgers[clip], self._specs[clip]
        return self.dispatcher.close(clip)

    def milestones(self, clip: str) -> Milestones:
        """When things happened to a clip that is open."""
        return self._specs[clip].milestones

    def run(self) -> None:
        """Renders what is opened; see `Dispatcher.run`."""
        self.dispatcher.run()

    def _record(self, report: RangeReport) -> None:
        """Writes a range into the ledger of its clip.

        Raises:
            OSError: there is no room for it, nor for anything else.
        """
        name = report.range.clip
        try:
            self._ledgers[name].record(report)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            fault = StoppedError(f"the output cannot be written ({error})", "mend it and run the same command again")
            self.scheduler.fail(name, fault)
