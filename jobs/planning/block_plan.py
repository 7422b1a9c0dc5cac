"""How backgrounds are cut into blocks, and how much memory blocks take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from actors.core.choices import Delivery, ImageFormat
from actors.core.clip import Clip
from actors.core.errors import InputError
from actors.core.kind import ModelKind

# A block is what is pulled, spilled, lost and loaded again at once.
BLOCK_FRAMES = 64
BLOCK_BYTES = 192 << 20

# The rest of the store holds copies on their way, features and what other jobs put there.
STORE_SHARE = 0.6

# Fewer blocks than this and workers at different places of the clip wait for each other.
LEAST_BLOCKS = 8

# A prepared encoding's part of the raw frame's size: more than photographs need, less than noise would.
PREPARED_PARTS = {ImageFormat.JPG: 4, ImageFormat.PNG: 2}

# What the seam needs for each pixel of the face box's side.
SEAM_BYTES = 8 * 3 + 12 * 3 * 4 // 8

# Frames per background from which preparing encodings pays.
USES_THAT_PAY = 1.2
# And from which running the face encoder ahead does: that takes a little longer than it saves in one frame, and putting
# away what comes out up to as long again. Each loading task loads the network, which takes what so many frames save.
FACE_USES_THAT_PAY = 2.5
FRAMES_PER_LOAD = 16


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How backgrounds are divided and how many of their blocks are held at once.

    Attributes:
        frames: backgrounds per block (the last may have fewer).
        count: blocks of the whole clip.
        capacity: blocks that may be held at once.
        bytes: size of a full block.
    """

    frames: int
    count: int
    capacity: int
    bytes: int

    @property
    def fits(self) -> bool:
        """Whether the whole clip is held at once."""
        return self.capacity >= self.count

    def bounds(self, block: int, backgrounds: int) -> tuple[int, int]:
        """First background and end of a block."""
        return block * self.frames, min((block + 1) * self.frames, backgrounds)

    def holding(self, backgrounds: Iterable[int]) -> tuple[int, ...]:
        """The blocks that hold these backgrounds, ascending."""
        return tuple(sorted({background // self.frames for background in backgrounds}))


def background_bytes(
    clip: Clip, kind: ModelKind, delivery: Delivery | None, *, prepare: bool, mixed: bool = False
) -> int:
    """Bytes that one background takes in the object store.

    Args:
        clip: gives the size of its frames.
        kind: gives the size of its crops.
        delivery: what finished frames become; ``None`` when nothing is composited.
        prepare: whether encodings are prepared.
        mixed: whether the frame's own pixels under the patch are mixed with the finished ones.
    """
    if clip.frames is None:
        return 4 * kind.planes[0] * kind.inner * kind.inner
    crop = 3 * kind.crop * kind.crop
    if delivery is None:
        return crop
    whole = 3 * clip.frames.width * clip.frames.height
    crop += _backing_bytes(clip, mixed=mixed)
    if not prepare:
        return crop + whole
    part = PREPARED_PARTS.get(delivery.image_format)
    spliced = whole // part if part else 0
    return crop + spliced + (whole + whole // 2 if delivery.video else 0 if part else whole)


def _backing_bytes(clip: Clip, *, mixed: bool) -> int:
    """Bytes that finishing needs of the largest face box: what measures the seam and, to mix, pixels and weights.

    That is the size of `actors.core.seam.SeamLines`: eight rows of pixels, and a number for each segment of each line.
    """
    sides = max(((box.width, box.height) for box in clip.boxes or () if box is not None), default=(0, 0))
    return SEAM_BYTES * min(sides) + (4 * sides[0] * sides[1] if mixed else 0)


def preparing_pays(frames: int, backgrounds: int) -> bool:
    """Whether to prepare the encoding of each background when its block is loaded.

    Preparing costs about as much as one full encode, and saves nearly that for each frame drawn on the background.

    Args:
        frames: output frames to render.
        backgrounds: how many different backgrounds they are drawn on.
    """
    return frames > backgrounds * USES_THAT_PAY


def faces_pay(frames: int, backgrounds: int, blocks: int) -> bool:
    """Whether to run the network's face encoder on each background when its block is loaded.

    Args:
        frames: output frames for which the network runs.
        backgrounds: how many are loaded for them.
        blocks: in how many blocks these are.
    """
    return frames > backgrounds * FACE_USES_THAT_PAY + blocks * FRAMES_PER_LOAD


def plan_whole(backgrounds: int, each: int, store: int) -> BlockPlan | None:
    """The blocks of a clip that the object store holds at once; ``None`` where it does not.

    Args:
        backgrounds: how many there are, at least 1.
        each: bytes per background.
        store: bytes of the smallest node's object store.
    """
    plan = _divided(backgrounds, each, store)
    return plan if plan is not None and plan.fits else None


def plan_blocks(backgrounds: int, each: int, store: int) -> BlockPlan:
    """Divides the backgrounds so that the object store holds enough blocks.

    Args:
        backgrounds: how many there are, at least 1.
        each: bytes per background.
        store: bytes of the smallest node's object store.

    Raises:
        InputError: the store cannot even hold single frames.
    """
    plan = _divided(backgrounds, each, store)
    if plan is None:
        needed = int(LEAST_BLOCKS * each / STORE_SHARE)
        raise InputError(
            "object store",
            f"{store >> 20} MiB are too few for {LEAST_BLOCKS} frames of {each >> 10} KiB",
            f"start Ray with --object-store-memory {needed} or more",
        )
    return plan


def _divided(backgrounds: int, each: int, store: int) -> BlockPlan | None:
    """The blocks for a store of bytes; ``None`` where that is too little for single frames."""
    budget = int(store * STORE_SHARE)
    if LEAST_BLOCKS * each > budget:
        return None
    frames = min(BLOCK_FRAMES, backgrounds, max(1, BLOCK_BYTES // each), budget // (LEAST_BLOCKS * each))
    # Of equal size, so that loading tasks that run side by side end together.
    count = -(-backgrounds // frames)
    frames = -(-backgrounds // count)
    return BlockPlan(frames, -(-backgrounds // frames), budget // (frames * each), frames * each)
