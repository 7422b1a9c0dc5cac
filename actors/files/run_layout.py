"""Where things stand inside a run's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.files import storage

if TYPE_CHECKING:
    from actors.core.choices import ImageFormat
    from actors.core.ranges import FrameRange


def frames_folder(out: str) -> str:
    """Folder of the finished frames."""
    return storage.join(out, "frames")


def frame_path(out: str, frame: int, image_format: ImageFormat) -> str:
    """File of one finished frame."""
    return storage.join(frames_folder(out), f"frame_{frame:06d}.{image_format}")


def timings_folder(out: str) -> str:
    """Folder of the timing table's fragments."""
    return storage.join(out, "timings")


def timings_path(out: str, frames: FrameRange) -> str:
    """Fragment of the timing table for one range."""
    return storage.join(timings_folder(out), f"{frames.id}.parquet")


def segments_folder(out: str) -> str:
    """Folder of the video segments."""
    return storage.join(out, "segments")


def segment_name(frames: FrameRange) -> str:
    """File name of one range's video segment."""
    return f"{frames.id}.mp4"


def segment_path(out: str, frames: FrameRange) -> str:
    """Video segment of one range."""
    return storage.join(segments_folder(out), segment_name(frames))


def features_folder(out: str) -> str:
    """Folder of the audio features that were made of the run's recording."""
    return storage.join(out, "features")


def video_path(out: str) -> str:
    """The finished video."""
    return storage.join(out, "video.mp4")


def record_path(out: str) -> str:
    """The run's record."""
    return storage.join(out, "run.json")


def report_path(out: str) -> str:
    """The page about the run."""
    return storage.join(out, "report.html")
