"""Backgrounds as numbered image files: their order and their common size, from the file headers alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.files import files_in, require_content
from jobs.clip.image_metadata import common_picture, read_image_header, require_readable_images, warn_about_images
from jobs.clip.notes import Notes
from jobs.clip.numbering import in_order
from jobs.clip.parallel_reads import read_many

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def image_files(folder: str) -> list[storage.Entry]:
    """The image files of a folder in name order; other and hidden files are left out."""
    return files_in(folder, SUFFIXES)


def read_images(folder: str, files: Sequence[storage.Entry], notes: Notes) -> ImageFrames:
    """The backgrounds in ``files``, sorted by number.

    Args:
        folder: where they lie.
        files: the images.
        notes: gets a warning for everything that they say and that frames do not keep.

    Raises:
        InputError: numbers missing or double, a damaged header, or images of different sizes.
    """
    if not files:
        raise InputError(folder, "holds no image files", f"put numbered {', '.join(SUFFIXES)} files there")
    ordered = in_order(files, folder)
    for file in ordered:
        require_content(file)
    paths = tuple(file.path for file in ordered)
    # Pillow warns of odd EXIF data, which changes no size.
    with warnings.catch_warnings(action="ignore"):
        headers = read_many(read_image_header, paths)
    width, height = headers[0].size
    for path, size in zip(paths, (header.size for header in headers), strict=True):
        if size != (width, height):
            raise InputError(
                path,
                f"{size[0]}x{size[1]}, but the first frame is {width}x{height}",
                "all frames of a clip must have one size; extract them again from one video",
            )
    require_readable_images(paths, headers)
    warn_about_images(storage.name_of(folder), headers, notes)
    return ImageFrames(paths, width, height, common_picture(headers))
