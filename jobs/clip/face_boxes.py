"""Which face squares a clip is rendered with: those given by flag, else a JSON file's, else the landmarks'."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.clip import FaceRect
from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.face_boxes_json import read_rects
from jobs.clip.files import is_file
from jobs.clip.landmarks import landmark_files, read_landmarks
from jobs.clip.notes import Notes

JSON_NAMES = ("cache/crop_rectangles.json", "crop_rectangles.json", "crop_rects.json", "cache/crop_rects.json")
LANDMARKS = "landmarks"


@dataclass(frozen=True, slots=True)
class GivenSquares:
    """What the flags say: a JSON file (``--rects``), one square for all frames (``--rect``), or neither.

    Raises:
        InputError: both.
    """

    file: str | None
    rect: FaceRect | None

    def __post_init__(self) -> None:
        if self.file is not None and self.rect is not None:
            raise InputError("--rect", "given together with --rects", "give one of the two")


@dataclass(frozen=True, slots=True)
class Squares:
    """Face squares not yet laid over frames.

    Attributes:
        name: the file, folder or flag they come from, for messages.
        origins: for landmarks, the file of each square.
        rects: one for each frame, or the only one where ``constant``.
        constant: whether the one square serves all frames.
        fix: what to do when they do not fit.
    """

    name: str
    rects: tuple[FaceRect, ...]
    origins: tuple[str, ...] = ()
    constant: bool = False
    fix: str = "measure the squares on these very frames, or give others by --rects or --rect"

    def for_frames(self, count: int, what: str) -> Squares:
        """The same squares, of which there must be ``count``, one for each frame of ``what``.

        Raises:
            InputError: there are more or fewer.
        """
        if self.constant:
            return Squares(self.name, self.rects * count, constant=True, fix=self.fix)
        if len(self.rects) != count:
            raise InputError(
                self.name,
                f"{len(self.rects)} face squares, but {what} has {count} frames",
                "they pair by position, so there must be one for each frame; " + self.fix,
            )
        return self

    def part(self, start: int, stop: int) -> Squares:
        """The squares ``start <= i < stop`` alone."""
        rects, origins = self.rects[start:stop], self.origins[start:stop]
        return Squares(self.name, rects, origins, self.constant, self.fix)

    def laid_over(self, width: int, height: int, notes: Notes, *, square: bool = True) -> tuple[FaceRect, ...]:
        """The squares, each checked to lie inside a ``width`` x ``height`` frame.

        Where they are meant to be ``square``, oblong ones give one warning.

        Raises:
            InputError: one has no area or reaches outside.
        """
        for index, rect in enumerate(self.rects):
            if not rect.inside(width, height):
                empty = rect.width <= 0 or rect.height <= 0
                problem = "has no area" if empty else f"reaches outside the {width}x{height} frame"
                origin = self.origins[index] if self.origins else self.name
                raise InputError(origin, f"the square of frame {index}, {_sides(rect)}, {problem}", self.fix)
        oblong = [index for index, rect in enumerate(self.rects) if square and rect.width != rect.height]
        if oblong:
            first = self.rects[oblong[0]]
            sides = f"{first.width}x{first.height}"
            count = f"{len(oblong)} of {len(self.rects)} rectangles are not square"
            many = f"{count}, the first at frame {oblong[0]} ({sides})"
            text = f"the rectangle is not square ({sides})" if self.constant else many
            notes.warn(self.name, f"{text}; the face is stretched to one")
        return self.rects


def find_squares(folder: str | None, given: GivenSquares, notes: Notes) -> Squares | None:
    """The squares to use; ``--rects`` and ``--rect`` beat the folder's JSON files, and those beat its landmarks.

    Args:
        folder: the clip's folder, or ``None`` for a lone video.
        given: the flags.
        notes: gets a line for every source, used or not.

    Raises:
        InputError: the source that is used cannot be read.
    """
    chosen: Squares | None = None
    winner = ""
    if given.rect is not None:
        fix = "give --rect X,Y,W,H in pixels, inside the frame"
        chosen, winner = Squares("--rect", (given.rect,), constant=True, fix=fix), "--rect"
        notes.recognised("--rect", f"one face square for all frames, {_sides(given.rect)}")
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
        origins, rects = read_landmarks(landmarks, files)
        notes.recognised(f"{LANDMARKS}/", f"{len(rects)} landmark files, {_summary(rects)}")
        chosen = Squares(landmarks, rects, origins)
    return chosen


def require_squares(squares: Squares | None, folder: str) -> Squares:
    """``squares``, unless there are none.

    Raises:
        InputError: there are none.
    """
    if squares is None:
        raise InputError(
            folder,
            "nothing says where the face is",
            "give --rects R.json or --rect X,Y,W,H (X,Y the upper left corner), or put landmarks/*.lms there",
        )
    return squares


def _from_json(path: str, name: str, notes: Notes) -> Squares:
    rects = read_rects(path)
    notes.recognised(name, f"{len(rects)} face squares, {_summary(rects)}")
    return Squares(path, rects)


def _summary(rects: tuple[FaceRect, ...]) -> str:
    widths = [rect.width for rect in rects]
    low, high = min(widths), max(widths)
    return f"{low} px wide" if low == high else f"{low} to {high} px wide"


def _sides(rect: FaceRect) -> str:
    return f"x {rect.x0} to {rect.x1}, y {rect.y0} to {rect.y1}"
