"""The face boxes that Wav2Lip kinds expect: boxes as a face detector gives them, padded, and averaged over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from jobs.faces.gaps import FacePath, unbroken

# From the box around the mesh to the box of a detector that was trained on WIDER FACE, as was the one that Wav2Lip's
# training data was cropped with: left, top, right, bottom, in widths and heights of the mesh's box. docs/faces.md says
# how they were measured.
DETECTOR_STYLE = np.array([0.03, -0.04, -0.03, 0.0])

# Pads are pixels at a face of this height, which a head and shoulders have in a 720p picture.
PADDED_HEIGHT = 200

# No pad is longer than the face is high.
LONGEST_PAD = 200

# Frames that upstream averages boxes over: the frame itself and those that follow.
AVERAGED = 5


@dataclass(frozen=True, slots=True)
class Pads:
    """What is added to a face box, in pixels at a face `PADDED_HEIGHT` px high; a face twice as high gets twice that.

    The defaults are upstream's.
    """

    top: int = 0
    bottom: int = 10
    left: int = 0
    right: int = 0

    @classmethod
    def of(cls, text: str) -> Pads:
        """Reads ``--pads TOP,BOTTOM,LEFT,RIGHT``.

        Raises:
            InputError: these are no four whole numbers from 0 to `LONGEST_PAD`.
        """
        parts = text.split(",")
        if len(parts) == 4 and all(p.isascii() and p.isdigit() and len(p) < 9 for p in parts):
            pads = [int(part) for part in parts]
            if max(pads) <= LONGEST_PAD:
                return cls(*pads)
        fix = f"give TOP,BOTTOM,LEFT,RIGHT as four whole numbers from 0 to {LONGEST_PAD}"
        raise InputError("--pads", f"{text} cannot be read", fix)


def detector_style_boxes(
    path: FacePath, size: tuple[int, int], pads: Pads, *, own_boxes: bool = False, averaged: bool = True
) -> tuple[FaceBox | None, ...]:
    """The face box of every frame for a Wav2Lip kind, None where there is no face.

    The box is padded, cut off at the frame's edges, averaged and rounded. The mean is upstream's: over the frame itself
    and the four after it; at the end of an unbroken stretch of one track over its last five frames. Upstream averages
    those of the last frames a second time, in place; here every mean is of boxes that were found.

    Args:
        path: the dubbed face.
        size: width and height of the frames in pixels.
        pads: what is added on each side.
        own_boxes: whether the detector's own boxes are taken, instead of ones made of the mesh's extent.
        averaged: whether boxes are averaged over time.

    Returns:
        One for each frame, inside of the frame; a face that lies outside of it wholly is none.
    """
    boxes = path.boxes.astype(np.float64) if own_boxes else _from_extents(path.extents.astype(np.float64))
    scale = (boxes[:, 3:] - boxes[:, 1:2]) / PADDED_HEIGHT
    boxes += scale * np.array([-pads.left, -pads.top, pads.right, pads.bottom])
    boxes = boxes.clip(0, [*size, *size])
    there = (path.tracks > 0) & (np.rint(boxes[:, :2]) < np.rint(boxes[:, 2:])).all(axis=1)
    made: list[FaceBox | None] = [None] * len(path)
    for first, stop in unbroken(np.where(there, path.tracks, 0)):
        part = boxes[first:stop]
        for frame, (x0, y0, x1, y1) in enumerate(np.rint(_forward_mean(part) if averaged else part), first):
            made[frame] = FaceBox(int(x0), int(y0), int(x1), int(y1))
    return tuple(made)


def _from_extents(extents: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = extents[:, 2:] - extents[:, :2]
    moved: NDArray[np.float64] = extents + DETECTOR_STYLE * np.hstack([sides, sides])
    return moved


def _forward_mean(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over each row and those that follow, `AVERAGED` in all; of the last rows that of the last whole window."""
    taps = min(AVERAGED, len(boxes))
    windows: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(boxes, taps, axis=0).mean(axis=-1)
    return windows[np.minimum(np.arange(len(boxes)), len(boxes) - taps)]
