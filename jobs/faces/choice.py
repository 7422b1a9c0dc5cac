"""Which of the faces is dubbed: the rule that the user chose, decided for every shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import FaceRule
from actors.core.errors import InputError
from jobs.faces.seen_faces import SeenFaces
from jobs.faces.tracks import Track

# Beside the largest face of a shot, one that covers less than this part of its pixels over time is a passer-by or a
# mistake of the detector's, and neither the left nor the right one.
MATTERS = 0.05

# One who comes when the face chosen has gone may be the same person only at about the same size: ratio of the heights.
SAME_SIZE = 0.5

# Errors name so many faces at the most.
NAMED = 8


@dataclass(frozen=True, slots=True)
class FacePoint:
    """A place on a frame that a face is at, in pixels of the upright frame."""

    x: int
    y: int
    frame: int = 0


FaceChoice: TypeAlias = FaceRule | int | FacePoint


@dataclass(frozen=True, slots=True)
class ChosenShot:
    """What was decided for one shot.

    Attributes:
        first: its first frame.
        stop: behind its last frame.
        named: whether the user named the face by its number or by a point, in this very shot.
        tracks: numbers of the tracks that are dubbed, in the order of time; none where the shot has no face.
    """

    first: int
    stop: int
    named: bool
    tracks: tuple[int, ...]


def face_choice(face: str | None = None, face_at: str | None = None) -> FaceChoice:
    """Reads ``--face largest|left|right|N`` and ``--face-at X,Y[,FRAME]``; without either, the largest.

    Raises:
        InputError: both are given, or one of them is nothing of that form.
    """
    if face is not None and face_at is not None:
        raise InputError("--face-at", "given together with --face", "give one of the two")
    if face_at is not None:
        parts = face_at.split(",")
        if len(parts) not in {2, 3} or not all(_is_whole(part) for part in parts):
            raise InputError("--face-at", f"{face_at} is no place", "give X,Y or X,Y,FRAME in whole numbers")
        return FacePoint(*map(int, parts))
    if face is None or face in set(FaceRule):
        return FaceRule(face or FaceRule.LARGEST)
    if not _is_whole(face) or int(face) < 1:
        raise InputError("--face", f"{face} is no face", "give largest, left, right or a number of the contact sheet")
    return int(face)


def choose_faces(
    found: SeenFaces, cuts: Sequence[int], tracks: Sequence[Track], choice: FaceChoice, size: tuple[int, int]
) -> tuple[ChosenShot, ...]:
    """Decides for every shot which tracks are dubbed.

    A rule takes the first track in its order, then every further one in that order that shares no moment with those
    taken and whose mean height is at least `SAME_SIZE` of the first one's, or at most its inverse: the face that left
    may come back anywhere. Whoever was there beside it is never taken, so nobody else speaks while it is away.
    A number or a point names one track, which alone is dubbed in its shot; in all other shots nobody can tell which
    face was meant, so the largest is dubbed.

    Args:
        found: what was found on the whole footage, from frame 0.
        cuts: the frames at which a new shot begins, ascending, without 0.
        tracks: of `jobs.faces.tracks.link_tracks` on the same.
        choice: what the user chose.
        size: width and height of the frames in pixels.

    Returns:
        One for each shot, in order.

    Raises:
        InputError: the number is no track's, the point lies outside of the frame or the footage, or no face is there.
    """
    rule = choice if isinstance(choice, FaceRule) else FaceRule.LARGEST
    named = None if isinstance(choice, FaceRule) else _named(found, tracks, choice, size)
    by_shot: dict[int, list[Track]] = {}
    for track in tracks:
        by_shot.setdefault(track.shot, []).append(track)
    shots = []
    for shot, (first, stop) in enumerate(pairwise([0, *cuts, found.stop])):
        here = named is not None and named.shot == shot
        taken = [named] if named is not None and here else _taken(by_shot.get(shot, []), found, rule)
        numbers = tuple(track.number for track in sorted(taken, key=lambda track: track.first))
        shots.append(ChosenShot(first, stop, here, numbers))
    return tuple(shots)


def chosen_rows(
    found: SeenFaces, tracks: Sequence[Track], shots: Sequence[ChosenShot]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The face that is dubbed on every frame.

    Returns:
        Two arrays ``(frames,)``: its row of ``found``, -1 where there is none; and its track's number, or 0.
    """
    rows = np.full(found.stop, -1, np.int64)
    numbers = np.zeros(found.stop, np.int64)
    chosen = {number for shot in shots for number in shot.tracks}
    for track in tracks:
        if track.number in chosen:
            frames = found.frame[track.rows]
            rows[frames] = track.rows
            numbers[frames] = track.number
    return rows, numbers


def _taken(tracks: Sequence[Track], found: SeenFaces, rule: FaceRule) -> list[Track]:
    """The tracks of one shot that a rule takes."""
    centres = {track.number: float(found.boxes[track.rows][:, [0, 2]].mean()) for track in tracks}
    heights = {track.number: float(np.ptp(found.boxes[track.rows][:, [1, 3]], axis=1).mean()) for track in tracks}
    orders: dict[FaceRule, Callable[[Track], float]] = {
        FaceRule.LARGEST: lambda track: -track.area,
        FaceRule.LEFT: lambda track: centres[track.number],
        FaceRule.RIGHT: lambda track: -centres[track.number],
    }
    least = MATTERS * max((track.area for track in tracks), default=0.0)
    # A face on a single frame is all there is of a picture; the first of the rule must matter, those after it need not.
    ordered = sorted(tracks, key=lambda track: (track.area < least, orders[rule](track), track.number))
    taken: list[Track] = []
    for track in ordered:
        apart = all(track.last < other.first or other.last < track.first for other in taken)
        if apart and (not taken or _alike(heights[track.number], heights[taken[0].number])):
            taken.append(track)
    return taken


def _alike(one: float, other: float) -> bool:
    return min(one, other) >= SAME_SIZE * max(one, other)


def _named(found: SeenFaces, tracks: Sequence[Track], choice: int | FacePoint, size: tuple[int, int]) -> Track:
    """The track that a number or a point names."""
    if isinstance(choice, int):
        if choice > len(tracks):
            there = f"the faces are numbered 1 to {len(tracks)}" if tracks else "no face was found"
            raise InputError("--face", f"there is no face {choice}: {there}", "see contact_sheet.jpg for the numbers")
        return tracks[choice - 1]
    width, height = size
    place = f"{choice.x},{choice.y}"
    if not (0 <= choice.x < width and 0 <= choice.y < height):
        raise InputError("--face-at", f"{place} lies outside of the {width}x{height} frame", "name a place inside")
    if choice.frame >= found.stop:
        raise InputError(
            "--face-at", f"there is no frame {choice.frame}", f"name one of the frames 0 to {found.stop - 1}"
        )
    x0, y0, x1, y1 = found.boxes.astype(np.float64).T
    hit = (x0 <= choice.x) & (choice.x < x1) & (y0 <= choice.y) & (choice.y < y1)
    rows = np.flatnonzero(hit & (found.frame == choice.frame))
    if len(rows) == 0:
        raise InputError("--face-at", f"no face is at {place} on frame {choice.frame}", _elsewhere(found, choice, hit))
    # Of several boxes that hold the point, the one whose centre is nearest to it.
    away = np.hypot((x0 + x1)[rows] / 2 - choice.x, (y0 + y1)[rows] / 2 - choice.y)
    row = rows[away.argmin()]
    return next(track for track in tracks if row in track.rows)


def _elsewhere(found: SeenFaces, choice: FacePoint, hit: NDArray[np.bool_]) -> str:
    """Where there is a face instead: at that place on another frame, or on that frame at other places."""
    frames = found.frame[hit]
    if len(frames):
        nearest = int(frames[np.abs(frames - choice.frame).argmin()])
        return f"there is one on frame {nearest}: give --face-at {choice.x},{choice.y},{nearest}"
    boxes = found.boxes[found.frame == choice.frame][:NAMED].astype(np.float64)
    if len(boxes):
        places = ", ".join(f"{(b[0] + b[2]) / 2:.0f},{(b[1] + b[3]) / 2:.0f}" for b in boxes)
        return f"faces there are at {places}"
    return "that frame has no face; name another one"


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()
