"""``contact_sheet.jpg``: a picture of every face with its number, and of the longest stretches without the dubbed one.

The place of every picture follows from what was found alone, so that the page about the faces takes its pictures from
here and needs no footage.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import cv2
import numpy as np
import PIL.Image
import PIL.ImageColor
import PIL.ImageDraw
import PIL.ImageFont

from actors.core.clip import FrameSource
from actors.core.faces import FaceOrigin
from actors.core.pixels import Image
from actors.rendering.source_frames import frames_of
from jobs.faces.best_frame import best_row
from jobs.faces.dubbing import DubbedFace
from jobs.faces.search_plan import keyframes
from jobs.faces.stretches import Stretch, longest, origin_stretches
from jobs.faces.tracks import Track
from jobs.number_format import seconds

Box: TypeAlias = tuple[float, float, float, float]

# Pictures at most: each costs decoding from a keyframe on.
MOST_FACES = 60
MOST_WITHOUT = 8
MOST_INTERPOLATED = 4

# Pixels of the sheet. A picture is a square; its caption stands below it.
COLUMNS = 6
PICTURE = 240
CAPTION = 84
SPACE = 12
HEADING = 40
BORDER = 4
QUALITY = 90

# A picture shows so many times the longer side of the face.
AROUND = 1.7

PAPER, INK, QUIET, GREEN, ORANGE, EMPTY = "#ffffff", "#16202b", "#55606d", "#0c6b3d", "#ea6a1a", "#d9dde3"


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture of the sheet.

    Attributes:
        key: the face's number, or the first frame of the stretch.
        frame: that it shows.
        region: the square of the frame, its left, its top and its side; it may reach outside.
        box: around the face, if the frame has one.
        name: what it shows.
        lines: more about it.
        dubbed: whether this is a face that is dubbed.
    """

    key: int
    frame: int
    region: tuple[int, int, int]
    box: Box | None
    name: str
    lines: tuple[str, ...]
    dubbed: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands on the sheet.

    Attributes:
        heading: of the whole.
        faces: by shot, and within a shot by number.
        gaps: the longest stretches without the dubbed face, in the order of time.
    """

    heading: str
    faces: tuple[Cell, ...]
    gaps: tuple[Cell, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All pictures in order."""
        return self.faces + self.gaps

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        columns = min(max(len(self.faces), len(self.gaps), 2), COLUMNS)
        return SPACE + columns * (PICTURE + SPACE), self._gaps_top + _rows(len(self.gaps)) * _ROW

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Left and top of every picture."""
        return tuple(
            (SPACE + i % COLUMNS * (PICTURE + SPACE), top + i // COLUMNS * _ROW)
            for top, cells in ((HEADING, self.faces), (self._gaps_top, self.gaps))
            for i in range(len(cells))
        )

    @property
    def _gaps_top(self) -> int:
        return HEADING + _rows(len(self.faces)) * _ROW + (HEADING if self.gaps else 0)


_ROW = PICTURE + CAPTION + SPACE


def _rows(cells: int) -> int:
    return -(-cells // COLUMNS)


def plan_sheet(dubbed: DubbedFace, size: tuple[int, int]) -> Sheet:
    """What the sheet shows of the faces of some footage.

    Args:
        dubbed: the faces.
        size: width and height of the frames in pixels.
    """
    tracks = sorted(dubbed.tracks[:MOST_FACES], key=lambda track: (track.shot, track.number))
    frames, faces = len(dubbed.path), len(dubbed.tracks)
    more = f"; the {MOST_FACES} largest are shown" if faces > MOST_FACES else ""
    way = ". Give --face N to dub another one" if faces > 1 else ""
    return Sheet(
        heading=f"{_many(faces, 'face')} on {_many(frames, 'frame')}{more}{way}",
        faces=tuple(_face(dubbed, track, size) for track in tracks),
        gaps=tuple(_gap(dubbed, origin, stretch, size) for origin, stretch in shown_gaps(dubbed)),
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def shown_gaps(dubbed: DubbedFace) -> list[tuple[FaceOrigin, Stretch]]:
    """The longest stretches without the dubbed face on the frames themselves, in the order of time."""
    found = [
        (origin, stretch)
        for origin, most in ((FaceOrigin.NONE, MOST_WITHOUT), (FaceOrigin.INTERPOLATED, MOST_INTERPOLATED))
        for stretch in longest(origin_stretches(dubbed.path.origins, origin, dubbed.times), most)
    ]
    return sorted(found, key=lambda each: each[1].first)


def _face(dubbed: DubbedFace, track: Track, size: tuple[int, int]) -> Cell:
    found = dubbed.found
    row = best_row(found, track.rows, size)
    x0, y0, x1, y1 = (float(edge) for edge in found.extents[row])
    side = min(max(round(max(x1 - x0, y1 - y0) * AROUND), 1), max(size))
    stretch = Stretch.of(track.first, track.last + 1, dubbed.times)
    share = len(track.rows) / len(dubbed.path)
    shot = f"shot {track.shot + 1}: " if dubbed.cuts else ""
    return Cell(
        key=track.number,
        frame=int(found.frame[row]),
        region=(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side),
        box=(x0, y0, x1, y1),
        name=f"face {track.number}",
        lines=(
            f"{shot}{stretch.name}",
            f"{stretch.start:.2f} s to {stretch.start + stretch.seconds:.2f} s",
            f"on {share:.{0 if share >= 0.1 else 1}%} of all frames",
        ),
        dubbed=track.number in dubbed.numbers,
    )


def _gap(dubbed: DubbedFace, origin: FaceOrigin, stretch: Stretch, size: tuple[int, int]) -> Cell:
    left, top, right, bottom = (float(edge) for edge in dubbed.path.extents[stretch.middle])
    side = max(size)
    return Cell(
        key=stretch.first,
        frame=stretch.middle,
        region=((size[0] - side) // 2, (size[1] - side) // 2, side),
        box=None if origin is FaceOrigin.NONE else (left, top, right, bottom),
        name="interpolated" if origin is FaceOrigin.INTERPOLATED else "without the face",
        lines=(
            stretch.name,
            f"{seconds(stretch.seconds)} from {stretch.start:.2f} s",
            f"picture: frame {stretch.middle}",
        ),
    )


def draw_sheet(sheet: Sheet, frames: FrameSource) -> bytes:
    """The sheet as a JPEG.

    Args:
        sheet: what it shows.
        frames: the footage; of it only the frames that the sheet shows are decoded, and one is held at a time.

    Raises:
        InputError: a frame cannot be read.
        StoppedError: the footage is not what it was.
    """
    canvas = PIL.Image.new("RGB", sheet.size, PAPER)
    pen = PIL.ImageDraw.Draw(canvas)
    large, small = PIL.ImageFont.load_default(18), PIL.ImageFont.load_default(14)
    pen.text((SPACE, 10), sheet.heading, INK, large)
    if sheet.gaps:
        top = sheet.places[len(sheet.faces)][1] - HEADING
        pen.text((SPACE, top + 10), "The longest stretches without the dubbed face", INK, large)
    placed = sorted(zip(sheet.cells, sheet.places, strict=True), key=lambda each: each[0].frame)
    cells = {frame: list(group) for frame, group in groupby(placed, key=lambda each: each[0].frame)}
    for frame, picture in _decoded(frames, list(cells)):
        for cell, (left, top) in cells[frame]:
            if cell.dubbed:
                pen.rectangle(
                    (left - BORDER, top - BORDER, left + PICTURE + BORDER - 1, top + PICTURE + BORDER - 1), GREEN
                )
            canvas.paste(PIL.Image.fromarray(_picture(cell, picture)), (left, top))
            pen.text((left, top + PICTURE + 4), cell.name, INK, large)
            if cell.dubbed:
                pen.text((left + PICTURE, top + PICTURE + 4), "dubbed", GREEN, large, anchor="ra")
            pen.text((left, top + PICTURE + 26), "\n".join(cell.lines), QUIET, small)
    target = io.BytesIO()
    canvas.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()


def _picture(cell: Cell, frame: Image) -> Image:
    """The region in RGB, the box drawn; what lies outside of the frame is grey."""
    height, width = frame.shape[:2]
    left, top, side = cell.region
    square = np.full((side, side, 3), PIL.ImageColor.getrgb(EMPTY), np.uint8)
    columns, rows = (slice(max(start, 0), min(start + side, end)) for start, end in ((left, width), (top, height)))
    part = frame[rows, columns, ::-1]
    down, across = rows.start - top, columns.start - left
    square[down : down + part.shape[0], across : across + part.shape[1]] = part
    way = cv2.INTER_AREA if side > PICTURE else cv2.INTER_CUBIC
    shown = cv2.resize(square, (PICTURE, PICTURE), interpolation=way)
    if cell.box is not None:
        # OpenCV takes no number of any size.
        x0, y0, x1, y1 = (
            round(min(max((edge - start) / side, -1.0), 2.0) * PICTURE)
            for edge, start in zip(cell.box, (left, top) * 2, strict=True)
        )
        cv2.rectangle(
            shown, (x0, y0), (x1, y1), PIL.ImageColor.getrgb(GREEN if cell.dubbed else ORANGE), 1, cv2.LINE_AA
        )
    return np.asarray(shown, np.uint8)


def _decoded(frames: FrameSource, wanted: Sequence[int]) -> Iterator[tuple[int, Image]]:
    """Some frames, ascending, each with its number; those between the same keyframes are decoded in one go."""
    keys = keyframes(frames)
    for _, group in groupby(wanted, key=lambda frame: bisect_right(keys, frame) if keys else frame):
        near = list(group)
        part = frames.part(near[0], near[-1] + 1)
        for number, picture in enumerate(frames_of(part, near[0]), near[0]):
            if number in near:
                yield number, picture


def cut_pictures(content: bytes, sheet: Sheet) -> list[Image] | None:
    """The pictures of a sheet, ``(240, 240, 3)`` uint8 RGB each, in order; ``None`` if the file is not that sheet."""
    try:
        with PIL.Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            if image.size != sheet.size:
                return None
            pixels = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, PIL.Image.DecompressionBombError):
        return None
    return [pixels[top : top + PICTURE, left : left + PICTURE] for left, top in sheet.places]
