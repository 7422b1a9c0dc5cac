"""What is done to backgrounds before anything is rendered on them, and the blocks in which they are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actors.core.choices import Blend, Device, Precision
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


def plan_preparation(
    options: CompositeOptions, inputs: Inputs, device: Device, todo: Sequence[int], store: int
) -> Preparation:
    """Lays out the backgrounds, and decides what doing ahead pays.

    The face encoder runs ahead only where the store holds the whole clip with what it makes. On a GPU it would have to
    be run there and kept there, which nobody has measured.

    Args:
        options: what was asked for.
        inputs: what is rendered.
        device: what workers run on.
        todo: the output frames that are rendered, ascending.
        store: bytes of the smallest node's object store.

    Raises:
        InputError: the store cannot even hold single frames.
    """
    clip, tensors = inputs.clip, inputs.tensors
    shown = inputs.shown(todo)
    prepare = preparing_pays(len(todo), len(shown))
    # The frame's own pixels are kept where they may be mixed in.
    mixed = options.blend is not Blend.HARD or inputs.parsing is not None or inputs.opacities is not None
    each = background_bytes(clip, inputs.kind, options.delivery, prepare=prepare, mixed=mixed)
    with_faces = each + tensors.face_bytes
    right = device is Device.CPU and options.precision is Precision.FP32 and tensors.batch in {None, 1} and tensors.face
    whole = plan_whole(clip.backgrounds, with_faces, store) if right else None
    if whole is not None:
        loaded = [whole.bounds(block, clip.backgrounds) for block in whole.holding(shown)]
        rendered = len(todo) if inputs.opacities is None else int(np.count_nonzero(inputs.opacities[list(todo)]))
        if faces_pay(rendered, sum(stop - start for start, stop in loaded), len(loaded)):
            return Preparation(whole, clip.backgrounds * with_faces, prepare, faces=True)
    return Preparation(plan_blocks(clip.backgrounds, each, store), clip.backgrounds * each, prepare, faces=False)
