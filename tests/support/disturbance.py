"""Standing in a run's way: by what its dispatcher is given, and each time that goes round its loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import jobs.run.engine
from actors.core.ranges import ClipBlock
from actors.core.worker_reports import RangeReport
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.scheduler import Scheduler


class _DisturbedClips(dict[str, ClipSpec]):
    """Clips of which something is done before a block is loaded, also of those that come later."""

    def __init__(self, do: Callable[[ClipBlock], object]) -> None:
        super().__init__()
        self._do = do

    def __setitem__(self, name: str, clip: ClipSpec) -> None:
        def arguments(block: ClipBlock) -> tuple[Any, ...]:
            self._do(block)
            return clip.loader_arguments(block)

        super().__setitem__(name, replace(clip, loader_arguments=arguments))


def before_loads(job: JobSpec, do: Callable[[ClipBlock], object]) -> JobSpec:
    """The same job, but something is done before each block is loaded."""
    return replace(job, clips=_DisturbedClips(do))


class Disturbance:
    """What a test does to the next runs in this process; does nothing by itself."""

    dispatcher: Dispatcher

    @property
    def done(self) -> int:
        """Frames that are there."""
        return sum(clip.done for clip in self.dispatcher.scheduler.clips.values())

    def change(self, job: JobSpec) -> JobSpec:
        """What the dispatcher is given instead of a job."""
        return job

    def tick(self) -> None:
        """Called each time round the dispatcher's loop, after answers have been collected."""

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs.run.engine, "Dispatcher", self._dispatcher)

    def _dispatcher(
        self,
        scheduler: Scheduler,
        job: JobSpec,
        on_range: Callable[[RangeReport], None],
        on_tick: Callable[[], None],
        more: Callable[[], bool],
    ) -> Dispatcher:
        def tick() -> None:
            on_tick()
            self.tick()

        self.dispatcher = Dispatcher(scheduler, self.change(job), on_range, tick, more)
        return self.dispatcher
