"""Standing in a run's way: by what its dispatcher is given, and each time that goes round its loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import jobs.run.execute
from actors.core.ranges import ClipBlock
from actors.core.worker_reports import RangeReport
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.scheduler import Scheduler


def before_loads(job: JobSpec, do: Callable[[ClipBlock], object]) -> JobSpec:
    """The same job, but something is done before each block is loaded."""

    def disturbed(clip: ClipSpec) -> ClipSpec:
        def arguments(block: ClipBlock) -> tuple[Any, ...]:
            do(block)
            return clip.loader_arguments(block)

        return replace(clip, loader_arguments=arguments)

    return replace(job, clips={name: disturbed(clip) for name, clip in job.clips.items()})


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
        monkeypatch.setattr(jobs.run.execute, "Dispatcher", self._dispatcher)

    def _dispatcher(
        self,
        scheduler: Scheduler,
        job: JobSpec,
        milestones: Milestones,
        on_range: Callable[[RangeReport], None],
        on_tick: Callable[[], None],
    ) -> Dispatcher:
        def tick() -> None:
            on_tick()
            self.tick()

        self.dispatcher = Dispatcher(scheduler, self.change(job), milestones, on_range, tick)
        return self.dispatcher
