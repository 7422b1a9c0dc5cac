"""What is done to backgrounds before anything is rendered on them, and the blocks in which they are held.

Backgrounds may be shared: what pays is decided by all that is drawn on them, whatever clips it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from actors.core.choices import Blend, Device, Precision
from actors.core.ranges import FrameRange, divide
from actors.files.digests import text_digest
from jobs.inputs.inputs import Inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan, background_bytes, faces_pay, plan_blocks, plan_whole, preparing_pays


@dataclass(frozen=True, slots=True)
class Preparation:
    """How backgrounds are loaded.

    Attributes:
        blocks: which of them are loaded together.
        bytes: what all of them take in the object store.
        prepare: whether the encoding of frames drawn on them is prepared.
        faces: whether the network's face encoder is run on them.
    """

    blocks: BlockPlan
    bytes: int
    prepare: bool
    faces: bool


@dataclass(frozen=True, slots=True)
class BackgroundSizes:
    """What backgrounds take in the object store, in bytes for each.

    Attributes:
        count: how many there are.
        plain: without anything prepared.
        prepared: with the encoding of frames that are drawn on it.
        faces: what the network's face encoder makes of it; 0 where that cannot be run ahead.
    """

    count: int
    plain: int
    prepared: int
    faces: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What is to be drawn on backgrounds.

    Attributes:
        frames: output frames.
        rendered: those of them for which the network runs.
        shown: the backgrounds that they are drawn on, as ascending ranges that do not touch.
    """

    frames: int
    rendered: int
    shown: tuple[FrameRange, ...]

    def __add__(self, other: Demand) -> Demand:
        """Both of them."""
        return Demand(self.frames + other.frames, self.rendered + other.rendered, _united((*self.shown, *other.shown)))

    @property
    def backgrounds(self) -> int:
        """How many different backgrounds are shown."""
        return sum(map(len, self.shown))


def _united(ranges: Iterable[FrameRange]) -> tuple[FrameRange, ...]:
    united: list[FrameRange] = []
    for part in sorted(ranges):
        if united and part.start <= united[-1].stop:
            united[-1] = FrameRange(united[-1].start, max(united[-1].stop, part.stop))
        else:
            united.append(part)
    return tuple(united)


def demand_of(inputs: Inputs, todo: Sequence[int]) -> Demand:
    """What some output frames of a clip, ascending, need of its backgrounds."""
    shown = sorted(inputs.shown(todo))
    rendered = len(todo) if inputs.opacities is None else int(np.count_nonzero(inputs.opacities[list(todo)]))
    return Demand(len(todo), rendered, divide(shown, max(1, len(shown))))


def background_sizes(options: CompositeOptions, inputs: Inputs, device: Device) -> BackgroundSizes:
    """What the backgrounds of a clip take.

    The face encoder runs ahead on CPUs alone: on a GPU it would have to be run there and kept there, which nobody has
    measured.

    Args:
        options: what was asked for.
        inputs: what is rendered.
        device: what workers run on.
    """
    clip, tensors = inputs.clip, inputs.tensors
    # The frame's own pixels are kept where they may be mixed in.
    mixed = options.blend is not Blend.HARD or inputs.parsing is not None or inputs.opacities is not None
    plain, prepared = (
        background_bytes(clip, inputs.kind, options.delivery, prepare=prepare, mixed=mixed) for prepare in (False, True)
    )
    ahead = device is Device.CPU and options.precision is Precision.FP32 and tensors.batch in {None, 1}
    return BackgroundSizes(clip.backgrounds, plain, prepared, tensors.face_bytes if ahead and tensors.face else 0)


def background_set(options: CompositeOptions, inputs: Inputs) -> str:
    """Names what blocks hold of a clip's backgrounds: clips of one name can share them.

    That is every part of `actors.rendering.blocks.BlockRequest`: the pictures, the boxes and how they came about, what
    is in front of the face, and the options that decide what is made of them.
    """
    identity = inputs.identity(options, None)
    parts = [identity[name] for name in ("clip", "rects", "kind", "blend", "smooth_crops", "parsing", "composite")]
    sources = inputs.clip.frames or inputs.clip.planes
    origins = None if inputs.clip.origins is None else [origin.value for origin in inputs.clip.origins]
    made = [options.filters(inputs.kind)[0].value, options.delivery, inputs.opacities is not None, origins]
    network = inputs.digest if inputs.tensors.face else ""
    return text_digest(repr([*parts, *made, network, type(sources).__name__]))


def plan_preparation(
    options: CompositeOptions, inputs: Inputs, device: Device, todo: Sequence[int], store: int
) -> Preparation:
    """Lays out the backgrounds of a clip that shares them with no other; see `plan_shared`.

    Args:
        options: what was asked for.
        inputs: what is rendered.
        device: what workers run on.
        todo: the output frames that are rendered, ascending.
        store: bytes of the smallest node's object store.

    Raises:
        InputError: the store cannot even hold single frames.
    """
    return plan_shared(background_sizes(options, inputs, device), demand_of(inputs, todo), store)


def plan_shared(sizes: BackgroundSizes, demand: Demand, store: int, *, faces: bool | None = None) -> Preparation:
    """Lays out backgrounds, and decides what doing ahead pays.

    The face encoder runs ahead only where the store holds all backgrounds with what it makes.

    Args:
        sizes: what the backgrounds take.
        demand: what is drawn on them.
        store: bytes of the smallest node's object store.
        faces: whether the face encoder runs ahead, where that is decided already; ``None`` where it pays.

    Raises:
        InputError: the store cannot even hold single frames.
    """
    prepare = preparing_pays(demand.frames, demand.backgrounds)
    each = sizes.prepared if prepare else sizes.plain
    with_faces = each + sizes.faces
    if faces:
        return Preparation(
            plan_blocks(sizes.count, with_faces, store), sizes.count * with_faces, prepare, faces=bool(sizes.faces)
        )
    whole = plan_whole(sizes.count, with_faces, store) if sizes.faces and faces is None else None
    if whole is not None:
        blocks = whole.holding(background for part in demand.shown for background in part)
        loaded = [whole.bounds(block, sizes.count) for block in blocks]
        if faces_pay(demand.rendered, sum(stop - start for start, stop in loaded), len(loaded)):
            return Preparation(whole, sizes.count * with_faces, prepare, faces=True)
    return Preparation(plan_blocks(sizes.count, each, store), sizes.count * each, prepare, faces=False)
