"""What is rendered, how and where: one value, of which workers and loaders are told their parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.core.audio_track import AudioTrack
from actors.core.choices import PLAIN, Delivery, Device, Precision
from actors.core.pairing import Pairing
from actors.core.ranges import ClipBlock, ClipRange, FrameRange
from actors.files.node_check import ClipCheck, ModelCheck
from actors.files.run_folder import RunFolder
from actors.rendering.blocks import BlockRequest, FaceRequest
from actors.rendering.worker_config import ClipConfig, NetworkConfig
from jobs.cluster.placement import Placement
from jobs.cluster.program_files import program_digest
from jobs.inputs.inputs import Inputs, sources
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan
from jobs.planning.preparation import Preparation

# Frames by which a worker sees whether the network's answers depend on their batch. A few are enough: where they do,
# hardly any frame is answered as it would be alone.
COMPARED = 4

# Ranges that a worker renders at once beside a GPU: the network goes on to the next while the last frames of one are
# finished. In a video each range is encoded by a thread of its own, which cannot keep up with a GPU.
CALLS, MOST_VIDEO_CALLS = 2, 4

# Frames on which half precision is compared with single.
SAMPLES = 8


@dataclass(frozen=True, slots=True)
class BlockNeeds:
    """Which blocks of backgrounds each range of a clip needs.

    Attributes:
        backgrounds: names them among those in the object store.
        pairing: which background each output frame is drawn on.
        reach: output frames before and after a range for which the network runs too.
        length: output frames of the clip.
        blocks: how the backgrounds are divided.
    """

    backgrounds: str
    pairing: Pairing
    reach: int
    length: int
    blocks: BlockPlan

    def __call__(self, rendered: ClipRange) -> tuple[ClipBlock, ...]:
        """The blocks that must be there to render a range, ascending."""
        seen = self.pairing.around(rendered.frames, self.reach, self.length)
        shown = self.pairing.backgrounds_of(seen)
        return tuple(ClipBlock(self.backgrounds, number) for number in self.blocks.holding(shown))


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """One clip's rendering, and the parts of it that workers and loaders are told.

    Attributes:
        options: what was asked for.
        inputs: what is rendered.
        device: what the workers run on.
        placement: how the workers are laid out.
        preparation: how backgrounds are loaded.
        folder: the folder that frames are written into.
        mark: name of the driver's file there by which a node knows the folder.
        backgrounds: names the backgrounds among those in the object store; clips that share them say the same;
            empty where none does.
    """

    options: CompositeOptions
    inputs: Inputs
    device: Device
    placement: Placement
    preparation: Preparation
    folder: RunFolder
    mark: str
    backgrounds: str = ""

    @property
    def clip_id(self) -> str:
        """What the clip is called among those that a worker renders: its folder's path, which no other clip has."""
        return str(self.folder)

    @property
    def network(self) -> NetworkConfig:
        """What every worker is told of the network."""
        inputs, placement = self.inputs, self.placement
        return NetworkConfig(
            model=inputs.model,
            tensors=inputs.tensors,
            kind=inputs.kind,
            device=self.device,
            precision=self.options.precision,
            threads=placement.threads,
            compositing_threads=placement.compositing_threads,
            batch=placement.batch,
            gpus=placement.gpus,
            ready_planes=inputs.clip.frames is None,
            faces=self.preparation.faces,
            check=self._model_check,
            code=program_digest(),
            tuning=placement.tuning,
        )

    @property
    def calls(self) -> int:
        """How many ranges a worker renders at once."""
        return calls_at_once(self.placement, video=self.options.video)

    def clip(self, audio: AudioTrack) -> ClipConfig:
        """What every worker is told of the clip; ``audio`` is what drives the mouth."""
        options, inputs = self.options, self.inputs
        several = self.placement.batch > 1 or inputs.tensors.batch not in {None, 1}
        compared = several or self.placement.tuning != PLAIN
        most = SAMPLES if options.precision is not Precision.FP32 else COMPARED if compared else 0
        return ClipConfig(
            id=self.clip_id,
            audio=audio,
            pairing=inputs.pairing,
            interpolation=options.filters(inputs.kind)[1],
            colour_match=options.colour_match,
            delivery=self._delivery,
            folder=self.folder,
            samples=self.samples(most) if most else (),
            check=ClipCheck(sources(inputs.clip), self.folder, self.mark),
        )

    @property
    def blocks_of(self) -> BlockNeeds:
        """Gives the blocks that must be there to render a range."""
        inputs = self.inputs
        return BlockNeeds(
            self.backgrounds or self.clip_id, inputs.pairing, inputs.reach, len(inputs.audio), self.preparation.blocks
        )

    def block(self, number: int) -> BlockRequest:
        """What to load for one block, what to prepare it for, and whose face encoder to run on it."""
        preparation = self.preparation
        return self._request(
            preparation.blocks,
            number,
            prepare=preparation.prepare,
            faces=FaceRequest(self.inputs.tensors, self._model_check) if preparation.faces else None,
        )

    def samples(self, most: int = SAMPLES) -> tuple[tuple[int, BlockRequest], ...]:
        """Output frames with a face, spread evenly, at most so many, each with a request for its background alone."""
        each = BlockPlan(1, self.inputs.clip.backgrounds, 1, 1)
        presence = self.inputs.presence
        frames = spread([frame for frame in self.inputs.frames if presence is None or presence[frame]], most)
        shown = [self.inputs.pairing.backgrounds_of(FrameRange(frame, frame + 1))[0] for frame in frames]
        requests = [self._request(each, background, prepare=False, faces=None) for background in shown]
        return tuple(zip(frames, requests, strict=True))

    @property
    def _model_check(self) -> ModelCheck:
        return ModelCheck(self.inputs.model, self.inputs.tensors.external, self.inputs.digest)

    @property
    def _delivery(self) -> Delivery | None:
        """What finished frames become; ``None`` where nothing is composited."""
        asked, frames = self.options.delivery, self.inputs.clip.frames
        return asked if asked is None or frames is None else replace(asked, aspect=frames.picture.aspect)

    def _request(self, blocks: BlockPlan, block: int, *, prepare: bool, faces: FaceRequest | None) -> BlockRequest:
        options, inputs, clip = self.options, self.inputs, self.inputs.clip
        start, stop = blocks.bounds(block, clip.backgrounds)
        source = clip.frames if clip.frames is not None else clip.planes
        if source is None:
            raise ValueError("a clip has frames or planes")
        exact_boxes = None if inputs.exact_boxes is None else inputs.exact_boxes[start:stop]
        boxes = (clip.boxes or ())[start:stop]
        return BlockRequest(
            first=start,
            source=source.part(start, stop),
            boxes=boxes if exact_boxes is None else tuple(exact.pixels if exact else None for exact in exact_boxes),
            interpolation=options.filters(inputs.kind)[0],
            delivery=options.delivery,
            prepare=prepare,
            exact_boxes=exact_boxes,
            origins=None if clip.origins is None else clip.origins[start:stop],
            blend=options.blend,
            parsing=None if inputs.parsing is None else inputs.parsing.part(start, stop),
            keep_originals=inputs.opacities is not None,
            faces=faces,
            code=program_digest(),
        )


def calls_at_once(placement: Placement, *, video: bool) -> int:
    """How many ranges a worker renders at once: one where network and compositing share the cores.

    Args:
        placement: how the workers are laid out.
        video: whether they may encode videos.
    """
    threads = placement.compositing_threads
    if not threads:
        return 1
    return max(CALLS, min(threads, MOST_VIDEO_CALLS)) if video else CALLS


def spread(frames: Sequence[int], most: int) -> tuple[int, ...]:
    """Some of the output frames, spread evenly, at most so many."""
    count = min(most, len(frames))
    return tuple(frames[i * len(frames) // count] for i in range(count))
