"""How visible the edges of the paste are in a finished frame: the seam, 1.0 where nobody can see one.

Three rectangles of the crop can show: the box's own edge, the inner region's (where the network's pixels end) and
the mask's (where those that it never saw begin). Each of their sides is a line between two rows or columns of pixels,
the nearest to where it lies on the frame, and is cut into segments of about `SEGMENT` pixels. With

    step = mean over segments and channels of | mean over the segment of (pixel inside - pixel outside) |

of the step across the line and of those one pixel further out and one further in,

    ratio = (step across + FLOOR) / ((step further out + step further in) / 2 + FLOOR)

says how far the line stands out from what is beside it. An edge is seen because neighbouring pixels step the same way;
noise in single pixels does not, and falls out of the segments' means. `FLOOR` is one level, the least that a picture of
8 bits can show, so that flat regions do not divide by nothing. The frame's own content has such ratios too, so

    seam = largest over all lines of: ratio in the finished frame / ratio in the untouched background

A line is left out where the frame has no two pixels outside of it: the frame's own edge is no seam. Of an oblong's
longer sides the middle counts, as much of it as its shorter sides have. What is compared is next to the line alone: a
difference that is spread over many pixels is no seam in this sense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from actors.core.face_box import SubpixelBox
    from actors.core.kind import ModelKind
    from actors.core.pixels import Image

SEGMENT = 8
FLOOR = 1.0

# The rectangles, from the outermost inwards.
EDGES = ("square", "inner", "mask")

# Pixels that a line needs on either side.
_BESIDE = 2

# Frames that are measured together: their pixels as floats stay in the processor's cache.
_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class SeamLines:
    """The lines of one background's box, and all that the measure needs of the background itself.

    Every column and row that is next to a line is laid out as a row of ``n`` pixels: the two columns before the box,
    ``columns`` of the box, the two after it, then the two rows above, ``rows`` of the box, and the two below.

    Attributes:
        ring: ``(8, n, 3)`` uint8, of these the background's own.
        columns: half-open runs of the box's columns, ascending.
        rows: half-open runs of its rows, ascending.
        first: row and column of the box at which the ``n`` pixels begin.
        steps: ``(lines, 3)``, for each line the step before it, the one across it and the one behind it; step ``i`` is
            that from row ``i`` to row ``i + 1`` of the layout.
        shares: ``(lines, 3 * segments)`` float32, of each line what its segments' channels count for.
        edges: ``(lines,)``, for each line its place in `EDGES`.
        own: ``(lines,)`` float64, each line's ratio in the background.
    """

    ring: Image
    columns: tuple[tuple[int, int], ...]
    rows: tuple[tuple[int, int], ...]
    first: tuple[int, int]
    steps: NDArray[np.int64]
    shares: NDArray[np.float32]
    edges: NDArray[np.int64]
    own: NDArray[np.float64]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in (self.ring, self.steps, self.shares, self.edges, self.own))


@dataclass(frozen=True, slots=True)
class Seam:
    """The seam of one frame.

    Attributes:
        value: the largest quotient; 1 where the edges are as visible as in the background, 0 where there is no line.
        edge: the name in `EDGES` of the rectangle that it was found at, empty where there is no line.
    """

    value: float
    edge: str


def seam_lines(frame: Image, exact: SubpixelBox, kind: ModelKind) -> SeamLines:
    """The lines of one background.

    Args:
        frame: the background ``(H, W, 3)`` uint8.
        exact: where the crop lies on it.
        kind: gives the crop, its inner region and the mask.
    """
    box, (x, y, width, height) = exact.pixels, kind.mask
    across = _Side(box.x0, box.x1, frame.shape[1], exact.x0, exact.width / kind.crop)
    down = _Side(box.y0, box.y1, frame.shape[0], exact.y0, exact.height / kind.crop)
    ends = across.ends(kind, x, x + width), down.ends(kind, y, y + height)
    lines = across.lines(ends[0]), down.lines(ends[1])
    shorter = min(box.width, box.height)
    segments = max(1, shorter // SEGMENT)
    length = segments * (shorter // segments)
    first = (box.height - length) // 2, (box.width - length) // 2
    ring = np.zeros((4 * _BESIDE, length, 3), np.uint8)
    beside = frame[box.y0 + first[0] :][:length].transpose(1, 0, 2)
    for side, strip, place in ((across, beside, 0), (down, frame[:, box.x0 + first[1] :][:, :length], 2 * _BESIDE)):
        before, after = strip[max(side.start - _BESIDE, 0) : side.start], strip[side.stop : side.stop + _BESIDE]
        ring[place + _BESIDE - len(before) : place + _BESIDE] = before
        ring[place + _BESIDE : place + _BESIDE + len(after)] = after
    columns, rows = (_runs(side, some) for side, some in zip((across, down), lines, strict=True))
    # Steps of the rows are counted behind those of the columns.
    offset = 2 * _BESIDE + sum(stop - start for start, stop in columns)
    steps = [*_steps(across, lines[0], columns, 0), *_steps(down, lines[1], rows, offset)]
    # A line across columns runs as far as its rectangle has rows, and the other way round.
    shares = [_shares(ends[1][edge], first[0], length, segments) for edge, _ in lines[0]]
    shares += [_shares(ends[0][edge], first[1], length, segments) for edge, _ in lines[1]]
    bare = SeamLines(
        ring,
        columns,
        rows,
        first,
        np.array(steps, np.int64).reshape(-1, 3),
        np.array(shares, np.float32).reshape(-1, 3 * segments),
        np.array([edge for some in lines for edge, _ in some], np.int64),
        np.ones(len(steps)),
    )
    own = _ratios([(bare, edge_pixels(bare, frame[box.y0 : box.y1, box.x0 : box.x1]))])[0]
    return replace(bare, own=own)


def edge_pixels(lines: SeamLines, patch: Image) -> Image:
    """Of a finished patch what `seams` looks at: it is a tenth as large, and cheap to take.

    Args:
        lines: of its background.
        patch: ``(h, w, 3)`` uint8, as it stands in the frame.

    Returns:
        ``(rows, n, 3)`` uint8, the layout of `SeamLines`.
    """
    ring, (top, left), length = lines.ring, lines.first, lines.ring.shape[1]
    tall, wide = patch[top : top + length], patch[:, left : left + length]
    columns = [cv2.transpose(tall[:, start:stop]) for start, stop in lines.columns]
    rows = [wide[start:stop] for start, stop in lines.rows]
    return np.concatenate((ring[:2], *columns, ring[2:6], *rows, ring[6:]))


def seams(frames: Sequence[tuple[SeamLines, Image]]) -> list[Seam]:
    """The seams of finished patches, in their order.

    Many at once cost half as much each: frames whose lines are laid out alike are measured together.

    Args:
        frames: for each of them the lines of its background, and `edge_pixels` of its box.
    """
    alike: dict[tuple[int, ...], list[int]] = {}
    for number, (lines, pixels) in enumerate(frames):
        alike.setdefault((*pixels.shape, len(lines.own)), []).append(number)
    found = [Seam(0.0, "")] * len(frames)
    for numbers in alike.values():
        for start in range(0, len(numbers), _TOGETHER):
            some = [frames[number] for number in numbers[start : start + _TOGETHER]]
            for number, one in zip(numbers[start : start + _TOGETHER], _largest(some), strict=True):
                found[number] = one
    return found


def _largest(frames: Sequence[tuple[SeamLines, Image]]) -> list[Seam]:
    """The seams of frames that are laid out alike."""
    if not len(frames[0][0].own):
        return [Seam(0.0, "")] * len(frames)
    quotients = _ratios(frames) / np.stack([lines.own for lines, _ in frames])
    worst = quotients.argmax(1).tolist()
    values = quotients.max(1).tolist()
    return [
        Seam(value, EDGES[lines.edges[line]]) for value, line, (lines, _) in zip(values, worst, frames, strict=True)
    ]


def _ratios(frames: Sequence[tuple[SeamLines, Image]]) -> NDArray[np.float64]:
    """How far each line stands out, ``(frames, lines)``."""
    pixels = np.concatenate([pixels for _, pixels in frames], dtype=np.float32)
    size = max(1, pixels.shape[1] // SEGMENT), len(pixels)
    means = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    flat = means.reshape(len(frames), len(pixels) // len(frames), -1)
    rises = np.abs(flat[:, 1:] - flat[:, :-1])
    steps = np.stack([lines.steps for lines, _ in frames])
    shares = np.stack([lines.shares for lines, _ in frames])
    levels = np.einsum("flsk,flk->fls", rises[np.arange(len(frames))[:, None, None], steps], shares)
    return np.asarray((levels[..., 1] + FLOOR) / ((levels[..., 0] + levels[..., 2]) / 2 + FLOOR), np.float64)


@dataclass(frozen=True, slots=True)
class _Side:
    """One axis of a box: its pixels ``start <= i < stop`` of ``size``, where the crop begins, and its scale."""

    start: int
    stop: int
    size: int
    origin: float
    scale: float

    def ends(self, kind: ModelKind, first: int, last: int) -> tuple[tuple[int, int], ...]:
        """Where the rectangles of `EDGES` begin and end, in pixels of the box."""
        return (
            (0, self.stop - self.start),
            (self._place(kind.border), self._place(kind.border + kind.inner)),
            (self._place(kind.border + first), self._place(kind.border + last)),
        )

    def lines(self, ends: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
        """Each line's place in `EDGES`, and the box's pixel behind it; those without pixels beside are left out."""
        return [
            (edge, place)
            for edge, pair in enumerate(ends)
            for place in pair
            if _BESIDE <= self.start + place <= self.size - _BESIDE
        ]

    def _place(self, crop: int) -> int:
        # Where the box's own end lies in the middle of a pixel, `SubpixelBox.pixels` decides, which rounds it down.
        return min(int(np.floor(self.origin - self.start + crop * self.scale + 0.5)), self.stop - self.start)


def _needed(lines: list[tuple[int, int]]) -> list[int]:
    """The pixels of one axis that lines need, those before the first and behind the last of the box included."""
    return sorted({place + step for _, place in lines for step in range(-_BESIDE, _BESIDE)})


def _runs(side: _Side, lines: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Of these pixels those of the box, as half-open runs."""
    inside = [i for i in _needed(lines) if 0 <= i < side.stop - side.start]
    starts = [i for i in inside if i - 1 not in inside]
    stops = [i + 1 for i in inside if i + 1 not in inside]
    return tuple(zip(starts, stops, strict=True))


def _steps(
    side: _Side, lines: list[tuple[int, int]], runs: tuple[tuple[int, int], ...], offset: int
) -> list[list[int]]:
    """For each line of one axis its three steps, counted from ``offset``."""
    count = side.stop - side.start
    inside = [i for start, stop in runs for i in range(start, stop)]
    order = [*range(-_BESIDE, 0), *inside, *range(count, count + _BESIDE)]
    return [[offset + order.index(place + step) for step in range(-_BESIDE, 1)] for _, place in lines]


def _shares(ends: tuple[int, int], first: int, length: int, segments: int) -> NDArray[np.float32]:
    """What each segment's channels count for in a line that runs between two ends: equal parts of those inside of it.

    Where no segment lies inside as a whole, the one in the middle counts.
    """
    size = length // segments
    starts = first + size * np.arange(segments)
    inside = (starts >= ends[0]) & (starts + size <= ends[1])
    if not inside.any():
        inside[min(max((sum(ends) // 2 - first) // size, 0), segments - 1)] = True
    return np.asarray(np.repeat(inside, 3) / (3 * inside.sum()), np.float32)
