"""``package_info.json``: what a package says of its own video, compared with what is there."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from actors.core.clip import FrameSource, VideoFrames
from actors.files import storage
from jobs.clip.files import is_file, load, validated
from jobs.clip.notes import Notes

NAME = "package_info.json"
_LIMIT = 1 << 20
_SAME_RATE = 0.01
_FULL_FRAMES = "full_body_img"


class _Video(BaseModel):
    frame_count: Annotated[int, Field(strict=True, ge=0, lt=1 << 31)] | None = None
    fps: Annotated[float, Field(strict=True, gt=0)] | None = None


class _PackageInfo(BaseModel):
    """The fields that matter here; paths in the file are never followed."""

    videos: dict[str, _Video] = Field(default_factory=dict)


def check_package_info(folder: str, frames: FrameSource, notes: Notes) -> None:
    """Warns where ``package_info.json``, if there is one, counts or times the frames otherwise than they are.

    Raises:
        InputError: the file is malformed.
    """
    path = storage.join(folder, NAME)
    if not is_file(path):
        return
    info = validated(_PackageInfo, load(path, _LIMIT), path, "mend or remove the file")
    notes.recognised(NAME, "read for consistency; its paths are not followed")
    video = info.videos.get(_FULL_FRAMES)
    if video is None:
        return
    if video.frame_count is not None and video.frame_count != len(frames):
        notes.warn(NAME, f"says {video.frame_count} frames, but there are {len(frames)}; it may belong to another clip")
    if (
        video.fps is not None
        and isinstance(frames, VideoFrames)
        and frames.fps
        and abs(video.fps - frames.fps) > _SAME_RATE
    ):
        notes.warn(NAME, f"says {video.fps:g} fps, but the video has {float(frames.fps):g}")
