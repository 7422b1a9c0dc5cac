"""Which full frames a clip folder holds, and which of several are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from actors.core.clip import FrameSource, ImageFrames, VideoFrames
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.files import storage
from actors.files.media_tracks import LATEST_START
from jobs.clip.files import is_file
from jobs.clip.images import image_files, read_images
from jobs.clip.notes import Notes
from jobs.clip.unread_containers import refuse_in_folder
from jobs.clip.video_metadata import tell
from jobs.clip.video_source import read_video, video_files

IMAGE_FOLDER = "full_body_img"
PACKAGE_VIDEO = "full_body_video.mp4"
# What `mouthpiece prepare` writes beside a copy of footage.
CONTACT_SHEET = "contact_sheet.jpg"
_SAME_RATE = Fraction(1, 100)
_LOOSE = "images in the folder itself"
# The package's other videos hold crops and masks; they are lossy re-encodes, so both are recomputed.
_DERIVED = frozenset({"crops_328_video.mp4", "rois_320_video.mp4", "model_inputs_video.mp4"})


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everything in a folder that could be its full frames.

    Attributes:
        folder: absolute path or URI.
        numbered: images in ``full_body_img/``.
        package_video: whether ``full_body_video.mp4`` is there.
        loose: images in the folder itself.
        videos: names of its other videos.
        derived: names of the package's crop and mask videos.
    """

    folder: str
    numbered: tuple[storage.Entry, ...]
    package_video: bool
    loose: tuple[storage.Entry, ...]
    videos: tuple[str, ...]
    derived: tuple[str, ...]

    @property
    def any_frames(self) -> bool:
        """Whether something here is taken for full frames."""
        return bool(self.numbered or self.package_video or self.loose or self.videos)


def candidates(folder: str) -> Candidates:
    """Looks through a folder by name alone; opens no file."""
    names = [video.name for video in video_files(folder) if video.name != PACKAGE_VIDEO]
    return Candidates(
        folder=folder,
        numbered=tuple(image_files(storage.join(folder, IMAGE_FOLDER))),
        package_video=is_file(storage.join(folder, PACKAGE_VIDEO)),
        loose=tuple(image for image in image_files(folder) if image.name != CONTACT_SHEET),
        videos=tuple(name for name in names if name not in _DERIVED),
        derived=tuple(name for name in names if name in _DERIVED),
    )


def find_frames(there: Candidates, notes: Notes) -> tuple[FrameSource, str]:
    """The full frames of a folder and their name for messages.

    In order: ``full_body_img/``, ``full_body_video.mp4``, images in the folder itself, its only other video.

    Args:
        there: what the folder holds.
        notes: gets a line for every candidate, used or not.

    Raises:
        InputError: there are none, they cannot be read, or several videos are equally likely.
    """
    images = f"{IMAGE_FOLDER}/"
    # In order of precedence: how each kind of frames is named, and how it is read.
    choices: list[tuple[str, Callable[[], FrameSource]]] = []
    if there.numbered:
        path = storage.join(there.folder, IMAGE_FOLDER)
        choices.append((images, lambda: _open_images(path, there.numbered, images, notes)))
    if there.package_video:
        choices.append((PACKAGE_VIDEO, lambda: open_video(storage.join(there.folder, PACKAGE_VIDEO), notes)))
    if there.loose:
        choices.append((_LOOSE, lambda: _open_images(there.folder, there.loose, _LOOSE, notes)))
    if there.videos:
        choices.append((", ".join(there.videos), lambda: _open_only(there, notes)))
    if not choices:
        refuse_in_folder(there.folder)
        raise InputError(
            there.folder,
            "holds no full frames",
            f"put {images} or {PACKAGE_VIDEO} there, or name a video or a folder of images",
        )
    (label, read), *others = choices
    frames = read()
    for name, _ in others:
        notes.passed_over(name, f"{label} comes first")
    for name in there.derived:
        notes.passed_over(name, "crop and mask are recomputed from full frames")
    return frames, label


def open_video(path: str, notes: Notes) -> VideoFrames:
    """Reads a video's description."""
    frames = read_video(path)
    name = storage.name_of(path)
    rate = "unknown frame rate" if frames.fps is None else f"{float(frames.fps):g} fps"
    notes.recognised(name, f"{len(frames)} background frames, {frames.width}x{frames.height}, {rate}")
    tell(path, (frames.width, frames.height), frames.picture, notes)
    return frames


def clock_warnings(frames: FrameSource | None, kind: ModelKind) -> list[str]:
    """What becomes of a video's own clock where its frames pair by index."""
    found = [rate_warning(frames, kind)]
    if isinstance(frames, VideoFrames) and frames.delay * kind.fps >= 1:
        found.append(
            f"{frames.path.rsplit('/', 1)[-1]}: its picture begins {float(frames.delay):.2f} s after its sound; frames"
            " pair by index, so it is shown that much too early; --retime pairs by time"
        )
    return [line for line in found if line]


def rate_warning(frames: FrameSource | None, kind: ModelKind) -> str | None:
    """What becomes of a video at another frame rate than the kind's where its frames pair by index, if it is one."""
    # Containers with coarse clocks state 25 fps as 24.998 or so.
    if not isinstance(frames, VideoFrames) or frames.fps is None or abs(frames.fps - kind.fps) <= _SAME_RATE:
        return None
    name, speed = storage.name_of(frames.path), float(kind.fps / frames.fps)
    return (
        f"{name}: {float(frames.fps):g} fps; frames are made at {kind.fps} fps and each pairs by index, so the "
        f"background moves at {speed:.2f} times its speed; --retime pairs by time"
    )


def needs_retiming(frames: FrameSource | None, kind: ModelKind) -> bool:
    """Whether a video has another frame rate than the kind, or one that varies.

    It varies where a frame is shown more than half a frame away from its place in an even row.
    """
    if not isinstance(frames, VideoFrames) or frames.delay > LATEST_START:
        return False
    if rate_warning(frames, kind):
        return True
    first = frames.timestamps[0]
    return any(
        abs((timestamp - first) * frames.time_base * kind.fps - i) > Fraction(1, 2)
        for i, timestamp in enumerate(frames.timestamps)
    )


def _open_only(there: Candidates, notes: Notes) -> VideoFrames:
    if len(there.videos) > 1:
        raise InputError(there.folder, f"holds {len(there.videos)} videos", "name one of them instead of the folder")
    return open_video(storage.join(there.folder, there.videos[0]), notes)


def _open_images(path: str, files: tuple[storage.Entry, ...], name: str, notes: Notes) -> ImageFrames:
    frames = read_images(path, files, notes)
    notes.recognised(name, f"{len(frames)} background images, {frames.width}x{frames.height}")
    return frames
