"""One worker without Ray, and one block of all backgrounds, as the driver would have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path

from made_run import NODE

from actors.core.audio_track import AudioTrack
from actors.core.choices import Device
from actors.core.ranges import FrameRange
from actors.core.timings import FrameTiming
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.rendering.blocks import Block, load_block
from actors.rendering.compositor import Compositor
from actors.rendering.worker_config import ClipConfig, NetworkConfig
from jobs.cluster.connection import ClusterResources
from jobs.cluster.placement import ChosenDevice, Placement
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan
from jobs.planning.preparation import Preparation
from jobs.planning.render_plan import RenderPlan

MARK = ".driver"

# A cluster that nobody started, and what a run there is told to use.
TWO_CORES = ClusterResources(
    cpus=2.0, gpus=0.0, nodes=(NODE,), rendering=(NODE,), store=1 << 30, smallest_node_cpus=2.0, gpu_node_cpus=0.0
)
ON_CPU = ChosenDevice(Device.CPU, "asked for")


def plan_of(
    options: CompositeOptions,
    inputs: Inputs,
    out: Path,
    *,
    batch: int = 1,
    threads: int = 0,
    prepare: bool = False,
    faces: bool = False,
) -> RenderPlan:
    """The plan of one worker, with all backgrounds in one block."""
    placement = Placement(workers=1, threads=1, compositing_threads=threads, batch=batch, gpus=0, resources={})
    preparation = Preparation(BlockPlan(inputs.clip.backgrounds, 1, 1, 1), 0, prepare=prepare, faces=faces)
    return RenderPlan(options, inputs, Device.CPU, placement, preparation, RunFolder.at(out), MARK)


def worker_and_block(plan: RenderPlan) -> tuple[Compositor, Block]:
    """A worker that is ready to render what is planned, and what it renders on."""
    worker = Compositor(0, plan.network)
    worker.prepare(_clip(plan, plan.clip_id))
    return worker, _block(plan)


def rendered(plan: RenderPlan, ranges: Iterable[FrameRange]) -> list[FrameTiming]:
    """What a worker makes of ranges that may have rendered other clips by the same network already."""
    own = f"{plan.clip_id}/{next(_numbers)}"
    clip = _clip(plan, own)
    worker = _workers.get(plan.network)
    if worker is None:
        worker = _workers[plan.network] = Compositor(0, plan.network)
        worker.prepare(clip)
    else:
        worker.open_clip(clip)
    block = _block(plan)
    return [row for frames in ranges for row in worker.render(own, frames.start, frames.stop, block).timings]


_numbers = count()

# They keep the clips that they have opened, and nothing of what they rendered.
_workers: dict[NetworkConfig, Compositor] = {}


def _clip(plan: RenderPlan, name: str) -> ClipConfig:
    plan.folder.make_folders(frames=True, segments=True)
    storage.write_atomic(plan.folder.path / plan.mark, b"")
    audio = plan.inputs.audio
    assert isinstance(audio, AudioTrack)
    return replace(plan.clip(replace(audio, opacities=plan.inputs.opacities)), id=name)


def _block(plan: RenderPlan) -> Block:
    return load_block(plan.block(0), plan.inputs.kind)[0]
