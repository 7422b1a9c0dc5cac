"""Face parsings: one PNG for each background that says by colour what is in front of the face."""

from __future__ import annotations

from actors.core.clip import FrameSource, ImageFrames
from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.files import entry_at, files_in, require_content
from jobs.clip.image_metadata import image_size
from jobs.clip.numbering import in_order
from jobs.clip.parallel_reads import read_many

_FIX = "write one PNG of the frame's size for each background, numbered like them"


def read_parsing(folder: str, frames: FrameSource) -> ImageFrames:
    """The parsings in a folder, sorted by number and paired with the backgrounds by position.

    Args:
        folder: as the user gave it.
        frames: the backgrounds.

    Raises:
        InputError: there is no such folder, it holds no PNG files or not one for each background, numbers are missing
            or double, or a file is no image of the frames' size.
    """
    where = storage.resolve(folder)
    found = entry_at(where)
    if found is None or not found.is_folder:
        problem = "there is no such folder" if found is None else "is not a folder"
        raise InputError(folder, problem, "name the folder of the parsing masks with --parsing")
    files = files_in(where, (".png",))
    if not files:
        raise InputError(folder, "holds no .png files", _FIX)
    ordered = in_order(files, where)
    if len(ordered) != len(frames):
        raise InputError(folder, f"{len(ordered)} parsing masks, but there are {len(frames)} backgrounds", _FIX)
    for file in ordered:
        require_content(file)
    paths = tuple(file.path for file in ordered)
    for path, (width, height) in zip(paths, read_many(image_size, paths), strict=True):
        if (width, height) != (frames.width, frames.height):
            raise InputError(path, f"{width}x{height}, but the frames are {frames.width}x{frames.height}", _FIX)
    return ImageFrames(paths, frames.width, frames.height)
