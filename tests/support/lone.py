"""One worker without Ray, and one block of all backgrounds, as the driver would have them."""

from __future__ import annotations

from pathlib import Path

from actors.core.audio_track import AudioTrack
from actors.core.choices import Delivery
from actors.files.run_folder import RunFolder
from actors.rendering.blocks import Block, load_block
from actors.rendering.compositor import Compositor
from jobs.cluster.placement import CPU, Placement
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan
from jobs.planning.requests import block_request, face_request, worker_config

MARK = ".driver"


def worker_and_block(
    options: CompositeOptions,
    inputs: Inputs,
    out: Path,
    *,
    batch: int = 1,
    finishers: int = 0,
    prepare: Delivery | None = None,
    faces: bool = False,
) -> tuple[Compositor, Block]:
    """A worker that is ready to render into ``out``, and what it renders on."""
    folder = RunFolder.at(out)
    folder.make_folders(frames=True, segments=True)
    (out / MARK).touch()
    placement = Placement(workers=1, threads=1, finishers=finishers, batch=batch, gpus=0, resources={})
    config = worker_config(options, inputs, placement, provider=CPU, faces=faces, folder=folder, mark=MARK)
    whole = BlockPlan(inputs.clip.backgrounds, 1, 1, 1)
    request = block_request(options, inputs, whole, 0, prepare=prepare, faces=face_request(config))
    assert isinstance(inputs.audio, AudioTrack)
    worker = Compositor(0, config, inputs.audio)
    worker.prepare()
    return worker, load_block(request, inputs.kind)[0]
