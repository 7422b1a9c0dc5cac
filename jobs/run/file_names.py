"""What a run calls its files: whatever else lies in its folders is somebody's, and is named and left alone."""

from __future__ import annotations

import re

from actors.files import storage
from actors.files.run_layout import features_folder, frames_folder, segments_folder, timings_folder

# What a process leaves half-written when it is killed; see `actors.files.storage.write_atomic`.
HALF = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.partial")

# What a driver and a node show each other, see `held` and `actors.files.node_check`.
MARK = re.compile(r"\.(driver|node)-[0-9a-f]{12}")

# What a run writes into its folders; anything else there is somebody's.
OURS = re.compile(
    r"frame_\d{6,}\.(png|jpg|webp)|\d{9,}-\d{9,}\.(parquet|mp4)|[0-9a-f]{32}-[0-9a-f]{32}\.npy|" + HALF.pattern
)


def folders(out: str) -> tuple[str, ...]:
    """The folders that a run writes into."""
    return timings_folder(out), frames_folder(out), segments_folder(out), features_folder(out)


def is_ours(entry: storage.Entry) -> bool:
    """Whether something in one of these `folders` has a name that a run gives its files."""
    return not entry.is_folder and OURS.fullmatch(entry.name) is not None
