"""What the frames of one range are drawn on, and in which batches the network runs for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actors.core.ranges import FrameRange, divide
from actors.rendering.blocks import Block, PlaneBlock, network_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.core.audio_track import AudioTrack
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image, Planes


class RangeBackgrounds:
    """Finds what an output frame is drawn on in the blocks of one range.

    Attributes:
        seen: the output frames whose backgrounds are there: the range and its neighbours.
    """

    def __init__(self, backgrounds: tuple[int, ...], seen: FrameRange, blocks: tuple[Block, ...]) -> None:
        self.seen = seen
        self._backgrounds = backgrounds
        self._blocks = blocks

    def background(self, frame: int) -> int:
        """The background of an output frame."""
        return self._backgrounds[frame - self.seen.start]

    def find(self, frame: int) -> tuple[Block, int]:
        """The block that holds an output frame's background, and its position there."""
        background = self.background(frame)
        for block in self._blocks:
            if block.first <= background < block.first + block.count:
                return block, background - block.first
        raise KeyError(f"background {background} is in none of the range's blocks")

    def crop(self, frame: int) -> Image:
        """The crop of an output frame's background.

        Raises:
            TypeError: the clip has network input instead of pictures.
        """
        block, place = self.find(frame)
        if isinstance(block, PlaneBlock):
            raise TypeError("network input has no crops")
        return np.asarray(block.crops[place])

    def image(self, frames: FrameRange, kind: ModelKind) -> NDArray[Any]:
        """The network's view of some output frames: ``(n, 3, inner, inner)`` uint8, or ready planes in float32."""
        return _batch([network_view(*self.find(frame), kind) for frame in frames])

    def faces(self, frames: FrameRange) -> tuple[Planes, ...]:
        """What the face encoder made of the backgrounds of some output frames; empty where it was not run."""
        found = [self.find(frame) for frame in frames]
        made = range(len(found[0][0].face_tensors))
        return tuple(_batch([block.face_tensors[j][i] for block, i in found]) for j in made)


def _batch(views: list[NDArray[Any]]) -> NDArray[Any]:
    """Arrays of one frame each as one of all; a single one is not copied."""
    return np.stack(views) if len(views) > 1 else views[0][None]


def batches(frames: FrameRange, seen: FrameRange, reach: int, size: int, audio: AudioTrack) -> list[FrameRange]:
    """What goes through the network, or past it, at once.

    Frames that show nothing of what the network would make are in batches of their own. A neighbour is in one only if
    a frame of the range needs it.

    Args:
        frames: the range.
        seen: the range and its neighbours.
        reach: how far away a neighbour is needed.
        size: frames in a batch, at the most.
        audio: says how much each frame shows of what the network makes.

    Returns:
        Batches in order, at least one of them; each is wholly of one sort.
    """
    silent = [frame for frame in frames if not audio.opacity(frame)]
    rendered = [frame for frame in frames if audio.opacity(frame)]
    near = {frame + distance for frame in rendered for distance in range(-reach, reach + 1)}
    needed = [frame for frame in seen if frame in near and audio.opacity(frame)]
    return sorted([*divide(silent, size), *divide(needed, size)])
