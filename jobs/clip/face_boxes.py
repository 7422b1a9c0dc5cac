"""Which face boxes a clip is rendered with: those given by flag, else a JSON file's, else the landmarks'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.core.faces import FaceOrigin
from actors.files import storage
from jobs.clip.face_boxes_json import read_boxes
from jobs.clip.files import is_file
from jobs.clip.landmarks import landmark_files, read_landmarks
from jobs.clip.notes import Notes

JSON_NAMES = ("cache/crop_rectangles.json", "crop_rectangles.json", "crop_rects.json", "cache/crop_rects.json")
LANDMARKS = "landmarks"


@dataclass(frozen=True, slots=True)
class GivenBoxes:
    """What the flags say: a JSON file (``--rects``), one box for all frames (``--rect``), or neither.

    Raises:
        InputError: both.
    """

    file: str | None
    box: FaceBox | None

    def __post_init__(self) -> None:
        if self.file is not None and self.box is not None:
            raise InputError("--rect", "given together with --rects", "give one of the two")


@dataclass(frozen=True, slots=True)
class FaceBoxes:
    """Face boxes not yet laid over frames.

    Attributes:
        name: the file, folder or flag they come from, for messages.
        boxes: one for each frame, ``None`` for a frame without a face; or the only one where ``constant``.
        files: for landmarks, the file of each box.
        origins: how each box came about, `FaceOrigin.NONE` exactly where there is none; ``None`` where all are given.
        constant: whether the one box serves all frames.
        fix: what to do when they do not fit.
    """

    name: str
    boxes: tuple[FaceBox | None, ...]
    files: tuple[str, ...] = ()
    origins: tuple[FaceOrigin, ...] | None = None
    constant: bool = False
    fix: str = "measure the boxes on these very frames, or give others by --rects or --rect"

    def for_frames(self, count: int, what: str) -> FaceBoxes:
        """The same boxes, of which there must be ``count``, one for each frame of ``what``.

        Raises:
            InputError: there are more or fewer.
        """
        if self.constant:
            return replace(self, boxes=self.boxes * count)
        if len(self.boxes) != count:
            raise InputError(
                self.name,
                f"{len(self.boxes)} face boxes, but {what} has {count} frames",
                "they pair by position, so there must be one for each frame; " + self.fix,
            )
        return self

    def part(self, start: int, stop: int) -> FaceBoxes:
        """The boxes ``start <= i < stop`` alone."""
        origins = None if self.origins is None else self.origins[start:stop]
        return replace(self, boxes=self.boxes[start:stop], files=self.files[start:stop], origins=origins)

    def checked_inside(self, width: int, height: int, notes: Notes, *, square: bool = True) -> FaceBoxes:
        """The same boxes, each checked to lie inside a ``width`` x ``height`` frame.

        Where they are meant to be ``square``, oblong ones give one warning.

        Raises:
            InputError: one has no area or reaches outside, or there is no face on any frame.
        """
        found = [(index, box) for index, box in enumerate(self.boxes) if box is not None]
        if not found:
            raise InputError(self.name, f"none of {len(self.boxes)} frames has a face", self.fix)
        for index, box in found:
            if not box.inside(width, height):
                empty = box.width <= 0 or box.height <= 0
                problem = "has no area" if empty else f"reaches outside the {width}x{height} frame"
                where = self.files[index] if self.files else self.name
                raise InputError(where, f"the box of frame {index}, {_sides(box)}, {problem}", self.fix)
        oblong = [(index, box) for index, box in found if square and box.width != box.height]
        if oblong:
            first, box = oblong[0]
            sides = f"{box.width}x{box.height}"
            many = f"{len(oblong)} of {len(found)} rectangles are not square, the first at frame {first} ({sides})"
            text = f"the rectangle is not square ({sides})" if self.constant else many
            notes.warn(self.name, f"{text}; the face is stretched to one")
        return self


def find_boxes(folder: str | None, given: GivenBoxes, notes: Notes) -> FaceBoxes | None:
    """The boxes to use; ``--rects`` and ``--rect`` beat the folder's JSON files, and those beat its landmarks.

    Args:
        folder: the clip's folder, or ``None`` for a lone video.
        given: the flags.
        notes: gets a line for every source, used or not.

    Raises:
        InputError: the source that is used cannot be read.
    """
    chosen: FaceBoxes | None = None
    winner = ""
    if given.box is not None:
        fix = "give --rect X,Y,W,H in pixels, inside the frame"
        chosen, winner = FaceBoxes("--rect", (given.box,), constant=True, fix=fix), "--rect"
        notes.recognised("--rect", f"one face box for all frames, {_sides(given.box)}")
    elif given.file is not None:
        chosen, winner = _from_json(storage.resolve(given.file), given.file, notes), "--rects"
    if folder is None:
        return chosen
    for name in JSON_NAMES:
        if not is_file(storage.join(folder, name)):
            continue
        if chosen is not None:
            notes.passed_over(name, f"{winner} comes first")
        else:
            chosen, winner = _from_json(storage.join(folder, name), name, notes), name
    landmarks = storage.join(folder, LANDMARKS)
    files = landmark_files(landmarks)
    if files and chosen is not None:
        notes.passed_over(f"{LANDMARKS}/", f"{winner} comes first")
    elif files:
        paths, boxes = read_landmarks(landmarks, files)
        notes.recognised(f"{LANDMARKS}/", f"{len(boxes)} landmark files, {_summary(boxes)}")
        chosen = FaceBoxes(landmarks, boxes, paths)
    return chosen


def no_boxes(clip: str) -> InputError:
    """Nothing says where the face is on the frames of a clip."""
    return InputError(
        clip,
        "nothing says where the face is",
        "give --rects R.json or --rect X,Y,W,H (X,Y the upper left corner), or put landmarks/*.lms there",
    )


def faceless(boxes: Sequence[FaceBox | None]) -> str:
    """How many frames have no face, in words; empty where each has one."""
    count = sum(box is None for box in boxes)
    return f"{count} frame{'' if count == 1 else 's'} without a face" if count else ""


def _from_json(path: str, name: str, notes: Notes) -> FaceBoxes:
    boxes = read_boxes(path)
    notes.recognised(name, f"{sum(box is not None for box in boxes)} face boxes, {_summary(boxes)}")
    origins = tuple(FaceOrigin.NONE if box is None else FaceOrigin.GIVEN for box in boxes)
    return FaceBoxes(path, boxes, origins=origins if None in boxes else None)


def _summary(boxes: Sequence[FaceBox | None]) -> str:
    """How wide the boxes are, and how many frames have none."""
    widths = sorted({box.width for box in boxes if box is not None})
    wide = " to ".join(str(width) for width in dict.fromkeys((widths[0], widths[-1]))) + " px wide" if widths else ""
    return ", ".join(filter(None, (wide, faceless(boxes))))


def _sides(box: FaceBox) -> str:
    return f"x {box.x0} to {box.x1}, y {box.y0} to {box.y1}"
