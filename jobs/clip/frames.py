"""Form (d), a video or a folder of numbered images, with the face boxes given by flag or lying in the folder."""

from __future__ import annotations

from actors.core.clip import Clip
from actors.core.kind import ModelKind
from actors.files import storage
from jobs.clip.assembly import Subject, whole_clip
from jobs.clip.backgrounds import Candidates, find_frames, open_video
from jobs.clip.notes import Notes


def read_loose_frames(subject: Subject, there: Candidates, kind: ModelKind, notes: Notes) -> Clip:
    """The clip in a folder of images or with one video; raises `InputError` for anything that cannot be used."""
    frames, label = find_frames(there, notes)
    return whole_clip(subject, "frames", frames, label, kind, notes)


def read_lone_video(subject: Subject, video: str, kind: ModelKind, notes: Notes) -> Clip:
    """The clip made of the video file at ``video`` alone; raises `InputError` for anything that cannot be used."""
    frames = open_video(video, notes)
    return whole_clip(subject, "frames", frames, storage.name_of(video), kind, notes)
