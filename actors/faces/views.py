"""Parts of a frame as a detector gets them: shrunk, and in the middle of a black square."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np

from actors.core.pixels import Image

# From so many pixels for one on, frames are halved before. Where numbers do not divide, a mean then takes in a little
# of the pixels beside.
HALVED = 6
# By so much of its side a square reaches into the next: a face of that size is whole in one of them.
OVERLAP = 0.25
# Squares are no larger, for faces of a twentieth of that in frames of any size.
LARGEST = 1600
# Nor smaller: what is a face in them has too few pixels for anything.
SMALLEST = 128
# A frame of which the sides differ by less is not cut into squares: they would be hardly finer than itself.
ELONGATED = 1.25


@dataclass(frozen=True, slots=True)
class View:
    """A picture for a network.

    Attributes:
        picture: ``(side, side, 3)`` uint8 BGR.
        offset: x and y of the frame's origin in the picture's pixels.
        scale: pixels of the picture for each of the frame, along x and y: whole pixels make them differ a little.
    """

    picture: Image
    offset: tuple[float, float]
    scale: tuple[float, float]


def shrunk(frame: Image, side: int) -> Image:
    """The frame with ``side`` pixels on its longer side, each the mean of what it covers.

    Means, because boxes from pixels picked out tremble more: by a third on real footage.
    """
    height, width = frame.shape[:2]
    scale = side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    # Pixels two by two are by far OpenCV's fastest mean; what is left of an odd side reaches into its neighbour.
    while max(frame.shape) >= HALVED * side and min(frame.shape[:2]) > 1:
        halves = frame.shape[1] // 2, frame.shape[0] // 2
        frame = np.asarray(cv2.resize(frame, halves, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def letterboxed(small: Image, size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> View:
    """What `shrunk` gives in the middle of a black square.

    Args:
        small: of a part of the frame.
        size: width and height of that part.
        corner: x and y of that part in the frame.
    """
    height, width = small.shape[:2]
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    picture = np.zeros((side, side, 3), np.uint8)
    picture[top : top + height, left : left + width] = small
    scale = width / size[0], height / size[1]
    return View(picture, (left - corner[0] * scale[0], top - corner[1] * scale[1]), scale)


def squares(width: int, height: int) -> list[tuple[int, int, int]]:
    """Squares that cover a frame, each x, y, side; none where the frame is nearly one itself, or small."""
    side = min(width, height, LARGEST)
    if side < SMALLEST or max(width, height) < side * ELONGATED:
        return []
    return [(x, y, side) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    """Where squares begin that lie evenly along a length and overlap."""
    steps = ceil((length - side) / (side * (1 - OVERLAP)))
    return [round(i * (length - side) / max(steps, 1)) for i in range(steps + 1)]
