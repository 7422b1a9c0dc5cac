"""One worker without Ray, and one block of all backgrounds, as the driver would have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from made_run import NODE

from actors.core.audio_track import AudioTrack
from actors.core.choices import Device
from actors.core.ranges import ClipBlock
from actors.files import storage
from actors.files.run_folder import RunFolder
from actors.rendering.blocks import Block, load_block
from actors.rendering.compositor import Compositor
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
    plan.folder.make_folders(frames=True, segments=True)
    storage.write_atomic(plan.folder.path / plan.mark, b"")
    audio = plan.inputs.audio
    assert isinstance(audio, AudioTrack)
    worker = Compositor(0, plan.network)
    worker.prepare(plan.clip(replace(audio, opacities=plan.inputs.opacities)))
    return worker, load_block(plan.block(ClipBlock(plan.clip_id, 0)), plan.inputs.kind)[0]
