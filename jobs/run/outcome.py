"""What came of a run: the final record and the summary."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from actors.core.errors import StoppedError
from actors.core.timings import column, numbers
from actors.core.worker_reports import FrameFailure
from actors.files.run_folder import RunFolder
from jobs.console import say
from jobs.run import record_file, statistics
from jobs.run.advice import advice_facts, limit, not_rendering
from jobs.run.attempts import attempt_of, cpu_kinds
from jobs.run.record import VERSION, RunRecord
from jobs.run.summary import print_summary
from jobs.scheduling.incidents import Incidents
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.scheduler import Scheduler


@dataclass(slots=True)
class Clock:
    """Moments of this process before any rendering, on `time.perf_counter`.

    Attributes:
        started: the command began.
        imported: all modules were loaded.
        read: the inputs were read and checked.
        joined: Ray was started or joined.
    """

    started: float
    imported: float = field(default_factory=time.perf_counter)
    read: float = 0.0
    joined: float = 0.0


@dataclass(slots=True)
class Outcome:
    """How far a run came.

    Attributes:
        scheduler: its final state; ``None`` if it never came to rendering.
        moments: when things happened.
        error: why it ended early, or ``None``.
    """

    scheduler: Scheduler | None = None
    moments: Milestones = field(default_factory=Milestones)
    error: StoppedError | KeyboardInterrupt | None = None

    @property
    def failures(self) -> list[FrameFailure]:
        """Frames that could not be delivered."""
        return self.scheduler.failures if self.scheduler else []

    @property
    def incidents(self) -> Incidents:
        """What happened besides rendering."""
        return self.scheduler.incidents if self.scheduler else Incidents()

    @property
    def status(self) -> str:
        """One word for run.json: complete, frames_failed, stopped or interrupted."""
        if self.error is not None:
            return "stopped" if isinstance(self.error, StoppedError) else "interrupted"
        return "frames_failed" if self.failures else "complete"

    def close(
        self, console: Console, clock: Clock, opening: dict[str, Any], table: pa.Table, folder: RunFolder
    ) -> None:
        """Writes the final record and prints the summary.

        Args:
            console: where to print.
            clock: moments before the rendering.
            opening: the record as it was written when the run began.
            table: every recorded frame of the run's folder.
            folder: the run's.

        Raises:
            OSError: the record cannot be written.
        """
        rendered = table.filter(pc.is_in(table["range_id"], column(pa.string(), self.moments.rendered)))
        steady = (self.moments.last_file or 0.0) - (self.moments.first_dispatch or 0.0) if len(rendered) else 0.0
        totals = self._totals(clock, opening["frames"], len(rendered), steady)
        slots = len({report.worker for report in self.moments.workers})
        stages = statistics.stage_stats(statistics.stage_times(rendered), slots, steady)
        workers = statistics.worker_stats(rendered)
        seam = statistics.seam_stats(
            rendered["frame"].to_pylist(), numbers(rendered, "seam"), rendered["seam_at"].to_pylist()
        )
        incidents = self.incidents
        whole = {
            **opening,
            "status": self.status,
            "reason": str(self.error) if self.error else "",
            "finished_at": time.time(),
            **statistics.as_record(totals, stages, workers, seam),
            "workers_ready": [asdict(report) for report in self.moments.workers],
            "failures": [asdict(failure) for failure in self.failures],
            "deaths": [str(death) for death in incidents.deaths],
            "retried": [str(frames) for frames in incidents.retried],
            "split": [str(frames) for frames in incidents.split],
            "blocks_lost": incidents.blocks_lost,
            "cache_bytes": self.moments.loaded_bytes,
        }
        besides = not_rendering(totals.seconds, totals.steady_s, asdict(totals.cold))
        limits = limit(
            stages, advice_facts(RunRecord.model_validate({"version": VERSION, **whole}), slots), besides
        ).line
        whole["limiting"] = limits
        attempts = [*opening["attempts"], attempt_of(whole)]
        record_file.write_record(folder, {**whole, "attempts": attempts})
        if len(kinds := cpu_kinds(attempts)) > 1:
            told = f"frames come from CPUs of {len(kinds)} kinds, which may differ in a value's last bit"
            say(console, f"warning: {told}: {'; '.join(kinds)}", style="yellow")
        for note in dict.fromkeys(note for report in self.moments.workers for note in report.notes):
            say(console, f"warning: {note}", style="yellow")
        print_summary(console, totals, stages, workers, seam, limits)

    def _totals(self, clock: Clock, frames: list[int], rendered: int, steady: float) -> statistics.Totals:
        now = time.perf_counter()
        moments = self.moments
        first_dispatch = moments.first_dispatch or now
        cold = statistics.ColdStart(
            import_s=clock.imported - clock.started,
            read_s=clock.read - clock.imported,
            ray_s=clock.joined - clock.read,
            session_s=max((worker.import_seconds + worker.session_seconds for worker in moments.workers), default=0.0),
            warm_s=max((worker.warm_seconds for worker in moments.workers), default=0.0),
            cache_s=moments.load_seconds,
            wait_s=first_dispatch - clock.joined,
            finish_s=max(0.0, now - first_dispatch - steady),
            place_s=moments.place_seconds,
        )
        seconds = now - clock.started
        return statistics.Totals(
            frames=frames[1] - frames[0],
            rendered=rendered,
            failed=len(self.failures),
            seconds=seconds,
            steady_s=steady,
            prepare_s=moments.prepare_seconds,
            fps_total=rendered / seconds,
            fps_steady=rendered / steady if steady > 0 else 0.0,
            cold=cold,
        )
