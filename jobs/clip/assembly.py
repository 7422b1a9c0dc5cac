"""A clip from full frames, face boxes and audio, whatever form they came in."""

from __future__ import annotations

from dataclasses import dataclass

from actors.core.clip import Clip, FrameSource
from actors.core.kind import ModelKind
from jobs.clip.audio_files import find_features, find_recording
from jobs.clip.face_boxes import GivenBoxes, find_boxes, no_boxes
from jobs.clip.notes import Notes


@dataclass(frozen=True, slots=True)
class Subject:
    """The clip to be read.

    Attributes:
        id: its short name.
        path: what the user named.
        folder: absolute path or URI of the folder whose files belong to it; ``None`` for a lone video.
        given: the face boxes given by flag.
        faces_follow: whether it may come without boxes, because faces will be found on its frames.
    """

    id: str
    path: str
    folder: str | None
    given: GivenBoxes
    faces_follow: bool


def whole_clip(subject: Subject, form: str, frames: FrameSource, label: str, kind: ModelKind, notes: Notes) -> Clip:
    """Joins frames with the boxes and the audio that belong to them.

    Args:
        subject: the clip.
        form: ``package``, ``dataset`` or ``frames``.
        frames: the backgrounds.
        label: their name for messages.
        kind: the network that it is read for.
        notes: becomes the clip's lines.

    Raises:
        InputError: there are no boxes, not one for each frame, none but null, or one reaches outside its frame.
    """
    folder = subject.folder
    found = find_boxes(folder, subject.given, notes)
    if found is None and not subject.faces_follow:
        raise no_boxes(subject.path)
    laid = None
    if found is not None:
        laid = found.for_frames(len(frames), label)
        laid = laid.checked_inside(frames.width, frames.height, notes, square=kind.square)
    return Clip(
        id=subject.id,
        path=subject.path,
        form=form,
        frames=frames,
        planes=None,
        boxes=None if laid is None else laid.boxes,
        origins=None if laid is None else laid.origins,
        features=None if folder is None else find_features(folder, kind, notes),
        windows=None,
        window_count=0,
        sound=None if folder is None else find_recording(folder, notes),
        found=tuple(notes.found),
        warnings=tuple(notes.warnings),
    )
