"""What workers and loaders are told: their configuration and their requests, made of options and inputs."""

from __future__ import annotations

from dataclasses import replace

from actors.core.choices import Delivery
from actors.core.ranges import FrameRange
from actors.files.node_check import NodeCheck
from actors.files.run_folder import RunFolder
from actors.rendering.blocks import BlockRequest, FaceRequest
from actors.rendering.worker_config import WorkerConfig
from jobs.cluster.placement import Placement
from jobs.cluster.program_files import own_digest
from jobs.inputs.inputs import Inputs, sources
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan

# Frames by which a worker sees whether the network's answers depend on their batch. A few are enough: where they do,
# hardly any frame is answered as it would be alone.
COMPARED = 4

# Frames on which half precision is compared with single.
SAMPLES = 8


def worker_config(
    options: CompositeOptions,
    inputs: Inputs,
    placement: Placement,
    *,
    provider: str,
    faces: bool,
    folder: RunFolder,
    mark: str,
) -> WorkerConfig:
    """The configuration of every worker of a run.

    Args:
        options: what was asked for.
        inputs: what is rendered.
        placement: how the workers are laid out.
        provider: what they run on.
        faces: whether the face encoder is run ahead.
        folder: the folder that they write into.
        mark: name of the driver's file there, by which a node knows the folder.
    """
    several = placement.batch > 1 or inputs.tensors.batch not in {None, 1}
    samples = sample_frames(inputs.frames, COMPARED) if several else ()
    return WorkerConfig(
        model=inputs.model,
        tensors=inputs.tensors,
        kind=inputs.kind,
        pairing=inputs.pairing,
        provider=provider,
        precision=options.precision,
        threads=placement.threads,
        finishers=placement.finishers,
        batch=placement.batch,
        gpus=placement.gpus,
        interpolation=options.filters(inputs.kind)[1],
        ready_planes=inputs.clip.frames is None,
        faces=faces,
        colour_match=options.colour_match,
        delivery=delivery(options, inputs),
        folder=folder,
        proof=NodeCheck(
            inputs.model, inputs.tensors.external, inputs.digest, sources(inputs.clip), folder, mark, own_digest()
        ),
        samples=single_requests(options, inputs, samples),
    )


def delivery(options: CompositeOptions, inputs: Inputs) -> Delivery | None:
    """What finished frames become; ``None`` where nothing is composited."""
    asked, frames = options.delivery, inputs.clip.frames
    return asked if asked is None or frames is None else replace(asked, aspect=frames.picture.aspect)


def sample_frames(frames: FrameRange, most: int = SAMPLES) -> tuple[int, ...]:
    """Output frames spread evenly over a range, at most so many."""
    count = min(most, len(frames))
    return tuple(frames.start + i * len(frames) // count for i in range(count))


def face_request(config: WorkerConfig) -> FaceRequest | None:
    """What loaders are told of the network whose face encoder they run, if they do."""
    return FaceRequest(config.tensors, config.proof) if config.faces else None


def block_request(
    options: CompositeOptions,
    inputs: Inputs,
    blocks: BlockPlan,
    block: int,
    *,
    prepare: Delivery | None,
    faces: FaceRequest | None = None,
) -> BlockRequest:
    """What to load for one block, what to prepare it for, and whose face encoder to run on it."""
    clip = inputs.clip
    start, stop = blocks.bounds(block, clip.backgrounds)
    source = clip.frames if clip.frames is not None else clip.planes
    if source is None:
        raise ValueError("a clip has frames or planes")
    exact_boxes = None if inputs.exact_boxes is None else inputs.exact_boxes[start:stop]
    boxes = (clip.boxes or ())[start:stop]
    return BlockRequest(
        first=start,
        source=source.part(start, stop),
        boxes=boxes if exact_boxes is None else tuple(exact.pixels for exact in exact_boxes),
        interpolation=options.filters(inputs.kind)[0],
        keep_frames=options.delivery is not None,
        prepare=prepare,
        exact_boxes=exact_boxes,
        blend=options.blend,
        parsing=None if inputs.parsing is None else inputs.parsing.part(start, stop),
        keep_originals=inputs.opacities is not None,
        faces=faces,
        code=own_digest(),
    )


def single_requests(
    options: CompositeOptions, inputs: Inputs, frames: tuple[int, ...]
) -> tuple[tuple[int, BlockRequest], ...]:
    """Output frames, each with a request for its background alone."""
    each = BlockPlan(1, inputs.clip.backgrounds, 1, 1)
    shown = [inputs.pairing.backgrounds_of(FrameRange(frame, frame + 1))[0] for frame in frames]
    requests = [block_request(options, inputs, each, background, prepare=None) for background in shown]
    return tuple(zip(frames, requests, strict=True))
