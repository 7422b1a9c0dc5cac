"""Several clips on real workers: each has the frames that it would have alone, whenever it is opened or closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
from clusters import join
from lone import plan_of, rendered
from ray.cluster_utils import Cluster
from small import SmallClip

from actors.core.audio_track import AudioTrack
from actors.core.clip import ImageFrames
from actors.core.ranges import ClipBlock, ClipRange, FrameRange, divide
from actors.core.timings import FrameTiming
from actors.core.worker_reports import RangeReport
from actors.files import storage
from actors.rendering.blocks import load_block
from actors.rendering.compositor import Compositor
from jobs.cluster.connection import ClusterResources, connect
from jobs.console import terminal
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.render_plan import RenderPlan
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES
from jobs.scheduling.dispatcher import Dispatcher
from jobs.scheduling.job_spec import ClipSpec, JobSpec
from jobs.scheduling.open_clip import ClipJob
from jobs.scheduling.scheduler import Patience, Scheduler

FRAMES = FrameRange(0, 24)
RANGES = divide(list(FRAMES), 4)
AVATAR = "avatar"

PlanOf = Callable[[str], RenderPlan]


class Clips:
    """Clips of one avatar with sounds of their own, on two workers that may render several ranges at once."""

    def __init__(self, plan: PlanOf, resources: Callable[[], ClusterResources], calls: int) -> None:
        self.plan = plan
        self.scheduler = Scheduler(workers=2, capacity=1, loaders=1, patience=Patience(), calls=calls)
        self.reports: list[RangeReport] = []
        self.loads = 0
        # Clips whose own files cannot be loaded.
        self.broken: set[str] = set()
        # Beside a GPU calls overlap; here it is the threads that count.
        network = replace(plan("0").network, compositing_threads=calls - 1)
        job = JobSpec(
            worker_class=Compositor,
            networks={"": network},
            clips={},
            loader=load_block,
            nodes=resources().rendering,
            worker_resources={"num_cpus": 0.5},
            calls=calls,
            wait=60.0,
            cluster_resources=resources,
            capacity=None,
            device_flag="test",
            on_death=lambda death: pytest.fail(death.line),
        )
        self.dispatcher = Dispatcher(self.scheduler, job, self.reports.append, self.tick)
        self.tick_once: Callable[[], None] = lambda: None

    def tick(self) -> None:
        self.tick_once()

    def open(self, name: str) -> None:
        plan = self.plan(name)
        plan.folder.make_folders(frames=True, segments=True)
        storage.write_atomic(plan.folder.path / plan.mark, b"")
        assert isinstance(plan.inputs.audio, AudioTrack)
        config = ray.put(plan.clip(plan.inputs.audio))

        def load(_: ClipBlock) -> tuple[object, ...]:
            self.loads += 1
            request = plan.block(0)
            if name in self.broken:
                assert isinstance(request.source, ImageFrames)
                gone = tuple(f"{path}.gone" for path in request.source.paths)
                request = replace(request, source=replace(request.source, paths=gone))
            return request, plan.inputs.kind

        ranges = tuple(ClipRange(plan.clip_id, part) for part in RANGES)
        job = ClipJob(plan.clip_id, ranges, lambda _: (ClipBlock(AVATAR, 0),), 1)
        self.dispatcher.open(job, ClipSpec(config, load))

    def complete(self) -> list[str]:
        return [name for name, clip in self.scheduler.clips.items() if clip.complete]

    def checksums(self, name: str) -> dict[int, str]:
        clip_id = self.plan(name).clip_id
        rows = [row for report in self.reports if report.range.clip == clip_id for row in report.timings]
        return checksums(rows)


def checksums(rows: list[FrameTiming]) -> dict[int, str]:
    found = {row.frame: row.checksum for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture
def plan(clip: SmallClip, model: Path, tmp_path: Path) -> PlanOf:
    """Clips are called by numbers, of which their sounds are made."""

    def made(name: str) -> RenderPlan:
        features = tmp_path / f"{name}.npy"
        np.save(features, np.random.default_rng(int(name)).standard_normal((45, 512)).astype(np.float32))
        options = CompositeOptions(
            clip=str(clip.folder), model=str(model), features=str(features), out=str(tmp_path / name)
        )
        return plan_of(options, read_inputs(options), tmp_path / name)

    return made


@pytest.fixture(params=[1, 2])
def clips(request: pytest.FixtureRequest, cluster: Cluster, plan: PlanOf) -> Iterator[Clips]:
    join(cluster.address)
    with connect(cluster.address, (), terminal()) as joined:
        yield Clips(plan, joined.resources, request.param)


@pytest.mark.cluster
def test_clips_that_are_opened_and_closed_while_others_are_rendered_have_the_frames_they_have_alone(
    clips: Clips, tmp_path: Path
) -> None:
    waiting = [str(number) for number in range(2, 6)]

    def tick() -> None:
        for name in clips.complete():
            # The next one before this one: what they share stays.
            if waiting:
                clips.open(waiting.pop(0))
            clips.dispatcher.close(name)

    clips.open("0")
    clips.open("1")
    clips.tick_once = tick
    clips.dispatcher.run()
    assert not waiting
    assert clips.loads == 1
    found = [clips.checksums(str(number)) for number in range(6)]
    for number in (0, 3, 5):
        alone = rendered(clips.plan(str(number)), [FRAMES])
        assert found[number] == checksums(alone)
        assert len(list((tmp_path / str(number) / "frames").iterdir())) == len(FRAMES)
    assert len({each[7] for each in found}) == len(found)


@pytest.mark.cluster
def test_a_clip_that_is_closed_early_leaves_the_others_whole(clips: Clips) -> None:
    def tick() -> None:
        if clips.reports and len(clips.scheduler.clips) == 2:
            clips.dispatcher.close(clips.plan("0").clip_id)

    clips.open("0")
    clips.open("1")
    clips.tick_once = tick
    clips.dispatcher.run()
    assert clips.checksums("1") == checksums(rendered(clips.plan("1"), [FRAMES]))


@pytest.mark.cluster
def test_clips_that_share_backgrounds_and_cannot_load_them_fail_alone(clips: Clips) -> None:
    """However many they are: each has the block loaded from files of its own."""
    names = [str(number) for number in range(MAX_BLOCK_LOSSES + 2)]
    clips.broken = set(names[:-1])
    for name in names:
        clips.open(name)
    clips.dispatcher.run()
    for name in names[:-1]:
        assert "cannot be read" in str(clips.scheduler.clips[clips.plan(name).clip_id].fault)
    assert clips.checksums(names[-1]) == checksums(rendered(clips.plan(names[-1]), [FRAMES]))
