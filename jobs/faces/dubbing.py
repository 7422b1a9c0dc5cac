"""From everything that was found in some footage to the one face that is dubbed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Covered
from actors.core.clip import FrameSource, VideoFrames
from actors.core.errors import InputError
from actors.core.faces import FaceOrigin
from jobs.faces.choice import ChosenShot, FaceChoice, choose_faces, chosen_rows
from jobs.faces.cuts import find_cuts
from jobs.faces.gaps import FacePath, face_path
from jobs.faces.seen_faces import SeenFaces
from jobs.faces.tracks import Track, link_tracks

# A line names so many faces at the most.
NAMED = 6

# Images have no clock: they count as shown at the rate of the networks.
IMAGES_PER_SECOND = 25


@dataclass(frozen=True, slots=True)
class FaceRules:
    """What the user says about the face that is dubbed.

    Attributes:
        choice: which one it is.
        gap: seconds without it that are interpolated.
        covered: what is shown where the mouth is covered.
    """

    choice: FaceChoice
    gap: float
    covered: Covered


@dataclass(frozen=True, slots=True)
class DubbedFace:
    """The face that is dubbed, and how it was told from others.

    Attributes:
        rules: of the user.
        found: everything that was found.
        times: ``(frames,)``, when every frame is shown, in seconds.
        cuts: the frames at which a new shot begins.
        tracks: all faces of all shots, by number.
        shots: which of them are dubbed.
        rows: ``(frames,)`` int64, its row of ``found`` on every frame, -1 where it was not found.
        path: the dubbed face on every frame.
    """

    rules: FaceRules
    found: SeenFaces
    times: NDArray[np.float64]
    cuts: tuple[int, ...]
    tracks: tuple[Track, ...]
    shots: tuple[ChosenShot, ...]
    rows: NDArray[np.int64]
    path: FacePath

    @property
    def numbers(self) -> frozenset[int]:
        """The faces that are dubbed, by number."""
        return frozenset(int(number) for number in np.unique(self.path.tracks) if number)

    def count(self, origin: FaceOrigin) -> int:
        """Frames whose face came about so."""
        return self.path.origins.count(origin)

    @property
    def summary(self) -> str:
        """One line for the user."""
        faces = self.numbers
        numbers = ", ".join(map(str, sorted(faces)[:NAMED])) + (", ..." if len(faces) > NAMED else "")
        parts = [f"{self.count(FaceOrigin.DETECTED)} of {len(self.path)} frames show face {numbers}"]
        if interpolated := self.count(FaceOrigin.INTERPOLATED):
            parts.append(f"{interpolated} interpolated")
        if none := self.count(FaceOrigin.NONE):
            parts.append(f"{none} without it")
        if len(self.tracks) > len(faces):
            parts.append(f"{len(self.tracks)} faces in all")
        if self.cuts:
            parts.append(f"{len(self.cuts)} cuts")
        return ", ".join(parts)


def dubbed_face(found: SeenFaces, frames: FrameSource, rules: FaceRules, name: str) -> DubbedFace:
    """`follow_faces` over the frames of some footage."""
    return follow_faces(found, shown_at(frames), (frames.width, frames.height), rules, name)


def follow_faces(
    found: SeenFaces, times: NDArray[np.float64], size: tuple[int, int], rules: FaceRules, name: str
) -> DubbedFace:
    """Follows the faces over the footage and chooses the one that is dubbed.

    Args:
        found: what was found on all frames.
        times: ``(frames,)``, when every frame is shown, in seconds.
        size: width and height of the frames in pixels.
        rules: of the user.
        name: of the footage, for messages.

    Raises:
        InputError: there is no face on any frame, or none as chosen.
    """
    if not len(found.frame):
        best = int(found.best.argmax())
        score = f"the best score is {found.best[best]:.2f} (frame {best})"
        problem = f"no face was found on {len(found.best)} frames; {score}"
        raise InputError(name, problem, "give --rects or --rect, or another --detector")
    cuts = find_cuts(found.thumbnails)
    tracks = link_tracks(found, cuts)
    shots = choose_faces(found, cuts, tracks, rules.choice, size)
    rows, numbers = chosen_rows(found, tracks, shots)
    covered = rules.covered is Covered.PASSTHROUGH
    path = face_path(found, rows, numbers, times, rules.gap, covered_passthrough=covered)
    if all(origin is FaceOrigin.NONE for origin in path.origins):
        raise InputError("--covered", "the mouth is covered on all frames with the face", "leave it out")
    return DubbedFace(rules, found, times, cuts, tracks, shots, rows, path)


def shown_at(frames: FrameSource) -> NDArray[np.float64]:
    """When every frame is shown, in seconds from the first."""
    if not isinstance(frames, VideoFrames):
        return np.arange(len(frames)) / IMAGES_PER_SECOND
    first, unit = frames.timestamps[0], frames.time_base
    seconds = (float((timestamp - first) * unit) for timestamp in frames.timestamps)
    return np.fromiter(seconds, np.float64, len(frames))
