"""From the network's pixels to the finished patch: pasted, and mixed with the frame's own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.core.blend import blended, feather_weights, protect_foreground
from actors.core.choices import Blend
from actors.core.face_box import SubpixelBox
from actors.core.pixels import render_patch, with_mouth
from actors.core.seam import SeamLines, seam_lines
from actors.core.warp import warp_patch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.core.choices import Interpolation
    from actors.core.clip import FaceBox
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image


@dataclass(frozen=True, slots=True)
class BlendTarget:
    """What a patch is blended with on one background; the frame itself need not be kept.

    Attributes:
        exact: where the crop lies, if its edges are not whole pixels; ``None`` for a paste by resizing.
        seam: what the seam is measured against.
        original: ``(h, w, 3)`` uint8, the frame's own pixels under the patch; ``None`` where nothing shows them.
        weights: ``(h, w)`` uint8, how far each of them is replaced, as in `actors.core.blend`; ``None`` where all are.
    """

    exact: SubpixelBox | None
    seam: SeamLines
    original: Image | None
    weights: NDArray[np.uint8] | None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.seam.nbytes + sum(array.nbytes for array in (self.original, self.weights) if array is not None)


def blend_target(
    frame: Image,
    box: FaceBox,
    exact: SubpixelBox | None,
    kind: ModelKind,
    blend: Blend,
    parsing: Image | None,
    *,
    keep_original: bool,
) -> BlendTarget:
    """Keeps what a patch is blended with on one background.

    Args:
        frame: the background ``(H, W, 3)`` uint8 BGR.
        box: the pixels that are written.
        exact: where the crop lies, if its edges are not whole pixels.
        kind: gives the crop, its inner region and the mask.
        blend: how the patch meets the frame.
        parsing: ``(H, W, 3)`` uint8 BGR, what is in front of the face, if anything says so.
        keep_original: whether the frame's own pixels are kept even where the blend replaces all of them.
    """
    place = exact or SubpixelBox.of(box)
    weights = feather_weights(place, kind) if blend is Blend.FEATHER else None
    under = slice(box.y0, box.y1), slice(box.x0, box.x1)
    if parsing is not None:
        weights = protect_foreground(weights, parsing[under])
    original = frame[under].copy() if keep_original or weights is not None else None
    return BlendTarget(exact, seam_lines(frame, place, kind), original, weights)


def composite_patch(
    crop: Image,
    mouth: Image | None,
    box: FaceBox,
    target: BlendTarget,
    kind: ModelKind,
    interpolation: Interpolation,
    opacity: int = 255,
) -> Image:
    """The finished patch ``(box.height, box.width, 3)``.

    Args:
        crop: ``(kind.crop, kind.crop, 3)`` uint8, the background's crop.
        mouth: ``(kind.inner, kind.inner, 3)`` uint8, what the network made of its inner region; ``None`` where the
            frame shows its own pixels alone.
        box: the pixels that are written.
        target: of the background.
        kind: gives the inner region.
        interpolation: filter of the paste.
        opacity: how much is shown of what the network made, in 255ths; the rest is the frame's own.

    Raises:
        ValueError: the frame's own pixels are to be shown, but the target does not have them.
    """
    if mouth is None:
        return _original(target)
    if target.exact is None:
        patch = render_patch(crop, mouth, box, kind, interpolation)
    else:
        patch = warp_patch(with_mouth(crop, mouth, kind), target.exact, kind, interpolation)
    if target.original is not None and target.weights is not None:
        patch = blended(target.original, patch, target.weights)
    if opacity == 255:
        return patch
    return blended(_original(target), patch, np.full(patch.shape[:2], opacity, np.uint8))


def _original(target: BlendTarget) -> Image:
    if target.original is None:
        raise ValueError("the frame's own pixels are to be shown, but they were not kept")
    return target.original
