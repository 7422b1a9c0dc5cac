"""From the network's pixels to the finished square: pasted, and mixed with the frame's own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.core.blend import blended, feather_weights, without_kept
from actors.core.choices import Blend
from actors.core.face_box import FaceSquare
from actors.core.pixels import render_square, with_mouth
from actors.core.seam import SeamLines, seam_lines
from actors.core.warp import warp_square

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.core.choices import Interpolation
    from actors.core.clip import FaceRect
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image


@dataclass(frozen=True, slots=True)
class Backing:
    """What finishing needs of a background besides its crop; the frame itself need not be kept.

    Attributes:
        square: where the crop lies, if its edges are not whole pixels; ``None`` for a paste by resizing.
        seam: what the seam is measured against.
        original: ``(h, w, 3)`` uint8, the frame's own pixels under the square; ``None`` where nothing shows them.
        weights: ``(h, w)`` uint8, how far each of them is replaced, as in `actors.core.blend`; ``None`` where all are.
    """

    square: FaceSquare | None
    seam: SeamLines
    original: Image | None
    weights: NDArray[np.uint8] | None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.seam.nbytes + sum(array.nbytes for array in (self.original, self.weights) if array is not None)


def make_backing(
    frame: Image,
    rect: FaceRect,
    square: FaceSquare | None,
    kind: ModelKind,
    blend: Blend,
    parsing: Image | None,
    *,
    keep_original: bool,
) -> Backing:
    """Keeps what finishing needs of one background.

    Args:
        frame: the background ``(H, W, 3)`` uint8 BGR.
        rect: the pixels that are written.
        square: where the crop lies, if its edges are not whole pixels.
        kind: gives the crop, its inner region and the mask.
        blend: how the square meets the frame.
        parsing: ``(H, W, 3)`` uint8 BGR, what is in front of the face, if anything says so.
        keep_original: whether the frame's own pixels are kept even where the blend replaces all of them.
    """
    exact = square or FaceSquare.of(rect)
    weights = feather_weights(exact, kind) if blend is Blend.FEATHER else None
    under = slice(rect.y0, rect.y1), slice(rect.x0, rect.x1)
    if parsing is not None:
        weights = without_kept(weights, parsing[under])
    original = frame[under].copy() if keep_original or weights is not None else None
    return Backing(square, seam_lines(frame, exact, kind), original, weights)


def finish_square(
    crop: Image,
    mouth: Image | None,
    rect: FaceRect,
    backing: Backing,
    kind: ModelKind,
    interpolation: Interpolation,
    share: int = 255,
) -> Image:
    """The finished square ``(rect.height, rect.width, 3)``.

    Args:
        crop: ``(kind.crop, kind.crop, 3)`` uint8, the background's crop.
        mouth: ``(kind.inner, kind.inner, 3)`` uint8, what the network made of its inner region; ``None`` where the
            frame shows its own pixels alone.
        rect: the pixels that are written.
        backing: of the background.
        kind: gives the inner region.
        interpolation: filter of the paste.
        share: how much is shown of what the network made, in 255ths; the rest is the frame's own.

    Raises:
        ValueError: the frame's own pixels are to be shown, but the backing does not have them.
    """
    if mouth is None:
        return _original(backing)
    if backing.square is None:
        square = render_square(crop, mouth, rect, kind, interpolation)
    else:
        square = warp_square(with_mouth(crop, mouth, kind), backing.square, kind, interpolation)
    if backing.original is not None and backing.weights is not None:
        square = blended(backing.original, square, backing.weights)
    if share == 255:
        return square
    return blended(_original(backing), square, np.full(square.shape[:2], share, np.uint8))


def _original(backing: Backing) -> Image:
    if backing.original is None:
        raise ValueError("the frame's own pixels are to be shown, but they were not kept")
    return backing.original
