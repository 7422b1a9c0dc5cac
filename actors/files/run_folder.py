"""The folder of one run: the names and patterns of its files, and the file system that it is on."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.ranges import FrameRange
from actors.files import storage
from actors.files.storage import HALF_WRITTEN, StoragePath

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.core.choices import ImageFormat

# The files by which a driver and a node show each other that they see the same folder; see `actors.files.node_check`.
DRIVER_MARK, NODE_MARK = ".driver-", ".node-"
MARK = re.compile(rf"({re.escape(DRIVER_MARK)}|{re.escape(NODE_MARK)})[0-9a-f]{{12}}")

RECORD = "run.json"

# Folder of what was found in footage that came without face boxes.
FACES = "faces"

# What a run writes into its data folders; anything else there is somebody's.
DATA_FILE = re.compile(
    r"frame_\d{6,}\.(png|jpg|webp)|\d{9,}-\d{9,}\.(parquet|mp4)|[0-9a-f]{32}-[0-9a-f]{32}\.npy|" + HALF_WRITTEN.pattern
)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where each file of a run stands. Drivers and workers use the same value.

    Attributes:
        path: the folder itself, with its file system.
    """

    path: StoragePath

    @classmethod
    def at(cls, out: str | os.PathLike[str]) -> RunFolder:
        """The folder at an absolute path or a URI.

        Raises:
            InputError: no file system is known for such a URI, or it cannot be reached.
        """
        return cls(storage.locate(os.fspath(out)))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def record(self) -> StoragePath:
        """The run's record."""
        return self.path / RECORD

    @property
    def video(self) -> StoragePath:
        """The finished video."""
        return self.path / "video.mp4"

    @property
    def report(self) -> StoragePath:
        """The page about the run."""
        return self.path / "report.html"

    @property
    def frames(self) -> StoragePath:
        """Folder of the finished frames."""
        return self.path / "frames"

    @property
    def timings(self) -> StoragePath:
        """Folder of the timing table's fragments."""
        return self.path / "timings"

    @property
    def segments(self) -> StoragePath:
        """Folder of the video segments."""
        return self.path / "segments"

    @property
    def features(self) -> StoragePath:
        """Folder of the audio features that were made of the run's recording."""
        return self.path / "features"

    @property
    def faces(self) -> StoragePath:
        """Folder of the faces that were found for the run."""
        return self.path / FACES

    @property
    def data_folders(self) -> tuple[StoragePath, ...]:
        """The folders that a run writes into."""
        return self.timings, self.frames, self.segments, self.features

    def frame(self, frame: int, image_format: ImageFormat) -> StoragePath:
        """File of one finished frame."""
        return self.frames / f"frame_{frame:06d}.{image_format}"

    def fragment(self, frames: FrameRange) -> StoragePath:
        """Fragment of the timing table for one range."""
        return self.timings / fragment_name(frames)

    def segment(self, frames: FrameRange) -> StoragePath:
        """Video segment of one range."""
        return self.segments / segment_name(frames)

    def make_folders(self, *, frames: bool, segments: bool) -> None:
        """Creates the folders that workers and driver write into."""
        storage.make_folder(self.timings)
        if frames:
            storage.make_folder(self.frames)
        if segments:
            storage.make_folder(self.segments)


def segment_name(frames: FrameRange) -> str:
    """File name of one range's video segment."""
    return f"{frames.id}.mp4"


def fragment_name(frames: FrameRange) -> str:
    """File name of the fragment of a table that holds one range."""
    return f"{frames.id}.parquet"


def segment_range(name: str) -> FrameRange | None:
    """The frames that a segment's name stands for; ``None`` for a name that no worker gives."""
    return _range_of(name, segment_name)


def fragment_range(name: str) -> FrameRange | None:
    """The frames that a fragment's name stands for; ``None`` for a name that no driver gives."""
    return _range_of(name, fragment_name)


def _range_of(name: str, give: Callable[[FrameRange], str]) -> FrameRange | None:
    try:
        frames = FrameRange.parse(name.partition(".")[0])
    except ValueError:
        return None
    return frames if 0 <= frames.start < frames.stop and give(frames) == name else None


def is_data_file(entry: storage.Entry) -> bool:
    """Whether something in one of the data folders has a name that a run gives its files."""
    return not entry.is_folder and DATA_FILE.fullmatch(entry.name) is not None


def new_driver_mark() -> str:
    """The name of a file by which nodes know a driver's folder."""
    return f"{DRIVER_MARK}{uuid.uuid4().hex[:12]}"


def new_node_mark() -> str:
    """The name of a file by which a node sees that it can write into a folder."""
    return f"{NODE_MARK}{uuid.uuid4().hex[:12]}"
