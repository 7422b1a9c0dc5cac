"""One trial of tuning: the clip is rendered for some seconds with one layout, and what came out is counted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import ray

from actors.core.audio_track import AudioTrack
from actors.core.choices import GpuTuning, Loop
from actors.core.errors import InputError, NoCudaError, StoppedError
from actors.core.kind import ModelKind
from actors.core.pairing import Pairing
from actors.core.ranges import ClipBlock, ClipRange, divide
from actors.core.timings import FrameTiming
from actors.core.worker_reports import RangeReport
from actors.rendering.blocks import load_block
from actors.rendering.compositor import Compositor
from jobs.audio.feature_source import FeatureSource
from jobs.cluster.connection import Cluster
from jobs.planning.block_plan import BlockPlan
from jobs.planning.render_plan import RenderPlan
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.milestones import Milestones
from jobs.scheduling.open_clip import ClipJob
from jobs.scheduling.scheduler import Patience, Scheduler

# What every worker must have been seen to render before its speed is believed.
LEAST_BATCHES = 4

# Backgrounds of a trial: one block, so that loading them does not count.
BACKGROUNDS = 16

# Ranges are short, so that the end of the window is seen soon.
SHORT_RANGE = 4

# Rows that stand for a recording of which no features are made.
NOISE_ROWS = 64

# A trial never has more output frames than this, nor more of the sound in memory.
LONGEST = 20_000
LONGEST_BYTES = 64 << 20


@dataclass(slots=True)
class _Watch:
    """Collects timings until all workers have rendered side by side for some seconds."""

    workers: int
    seconds: float
    deadline: float
    batch: int
    tuning: GpuTuning
    milestones: Milestones = field(default_factory=Milestones)
    timings: dict[int, list[FrameTiming]] = field(default_factory=dict)

    @property
    def skipped(self) -> str:
        """Why workers run smaller batches or other sessions than were to be tried; empty where they do not."""
        others = (one for one in self.milestones.workers if one.batch < self.batch or one.tuning != self.tuning)
        return next(("; ".join(report.notes) for report in others), "")

    def see(self, report: RangeReport) -> None:
        """Counts a range that is done."""
        for timing in report.timings:
            self.timings.setdefault(timing.worker, []).append(timing)

    def ended(self) -> bool:
        """Whether the trial has seen enough, takes too long, or tries nothing of its own."""
        start, stop = self.window()
        return stop - start >= self.seconds or bool(self.skipped) or time.time() > self.deadline

    def window(self) -> tuple[float, float]:
        """Unix times between which every worker was rendering; empty while one has not rendered enough."""
        starts = [sorted({timing.started_at for timing in rows}) for rows in self.timings.values()]
        if len(starts) < self.workers or any(len(each) < LEAST_BATCHES for each in starts):
            return 0.0, 0.0
        # A worker's first batch overlaps with the start of others, so it is left out.
        return max(each[1] for each in starts), min(each[-1] for each in starts)

    def fps(self) -> float:
        """Frames whose batch began in the window, over its length."""
        start, stop = self.window()
        if stop <= start:
            return 0.0
        begun = [timing for rows in self.timings.values() for timing in rows if start <= timing.started_at < stop]
        return len(begun) / (stop - start)


def measure(plan: RenderPlan, cluster: Cluster, *, seconds: float, limit: float) -> tuple[float, str]:
    """Renders into a scratch folder and counts frames while all workers are at it.

    The first backgrounds of the clip are rendered with its sound, over and over.

    Args:
        plan: what is rendered, with the layout that is tried, into a scratch folder.
        cluster: where the workers run.
        seconds: how long all workers shall render side by side.
        limit: seconds after which the trial is given up.

    Returns:
        Frames per second, and what stood in the way where they are 0.

    Raises:
        NoCudaError: the layout's workers cannot have CUDA.
    """
    inputs, placement = plan.inputs, plan.placement
    audio = _looped(inputs.audio, inputs.kind)
    pairing = Pairing(Loop.BOUNCE, min(inputs.clip.backgrounds, BACKGROUNDS))
    blocks = BlockPlan(pairing.backgrounds, 1, 1, 0)
    trial = replace(plan, preparation=replace(plan.preparation, blocks=blocks))
    clip = plan.clip(audio)
    samples = tuple((frame % len(audio), request) for frame, request in clip.samples)
    watch = _Watch(placement.workers, seconds, time.time() + limit, placement.batch, placement.tuning)
    resources = cluster.resources()
    job = JobSpec(
        worker_class=Compositor,
        networks={"": plan.network},
        clips={
            plan.clip_id: ClipSpec(
                ray.put(replace(clip, pairing=pairing, samples=samples)),
                lambda block: (trial.block(block.number), inputs.kind),
                watch.milestones,
            )
        },
        loader=load_block,
        nodes=resources.rendering,
        worker_resources=placement.resources,
        calls=plan.calls,
        wait=limit,
        cluster_resources=cluster.resources,
        capacity=None,
        device_flag="tune",
        on_death=lambda _: None,
    )
    ranges = divide(range(len(audio)), max(placement.batch, SHORT_RANGE))
    scheduler = Scheduler(
        [
            ClipJob(
                plan.clip_id,
                tuple(ClipRange(plan.clip_id, part) for part in ranges),
                lambda _: (ClipBlock(plan.clip_id, 0),),
                block_bytes=1,
            )
        ],
        workers=placement.workers,
        capacity=1,
        loaders=1,
        patience=Patience(),
        calls=plan.calls,
    )
    try:
        Dispatcher(scheduler, job, watch.see, lambda: None, stop=watch.ended).run()
        if (fault := scheduler.clips[plan.clip_id].fault) is not None:
            raise fault
    except NoCudaError:
        raise
    except (InputError, StoppedError) as error:
        return 0.0, str(error)
    if watch.skipped:
        return 0.0, f"skipped: {watch.skipped}"
    fps = watch.fps()
    return fps, "" if fps else f"not all workers rendered within {limit:g} s"


def _looped(audio: AudioTrack | FeatureSource, kind: ModelKind) -> AudioTrack:
    """The same sound over and over, as long as the longest trial needs; noise in place of a recording."""
    if isinstance(audio, FeatureSource):
        # Noise rather than silence: workers compare frames that differ.
        rows = np.random.default_rng(0).standard_normal((NOISE_ROWS, *kind.feature)).astype(np.float32)
        audio = AudioTrack(rows, None)
    rows = audio.rows
    count = max(1, min(LONGEST, LONGEST_BYTES // rows[0].nbytes))
    looped = np.resize(rows, (count, *rows.shape[1:]))
    return replace(audio, features=looped) if audio.features is not None else replace(audio, windows=looped)
