"""Backgrounds as numbered image files: their order and their common size, from the file headers alone."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

from actors import storage
from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from jobs.clip.files import files_in, one_line, readable, require_content
from jobs.clip.many import read_many
from jobs.clip.numbering import in_order

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# Only what OpenCV decodes as well; Pillow's other parsers never see the user's file.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
_ORIENTATION = 0x0112
_SIDEWAYS = range(5, 9)
# What Pillow raises on a damaged header, depending on the format and the place.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, struct.error)


def image_files(folder: str) -> list[storage.Entry]:
    """The image files of a folder in name order; other and hidden files are left out."""
    return files_in(folder, SUFFIXES)


def read_images(folder: str, files: Sequence[storage.Entry]) -> ImageFrames:
    """The backgrounds in ``files``, sorted by number.

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
        sizes = read_many(image_size, paths)
    width, height = sizes[0]
    for path, size in zip(paths, sizes, strict=True):
        if size != (width, height):
            raise InputError(
                path,
                f"{size[0]}x{size[1]}, but the first frame is {width}x{height}",
                "all frames of a clip must have one size; extract them again from one video",
            )
    return ImageFrames(paths, width, height)


def image_size(path: str) -> tuple[int, int]:
    """Width and height in pixels as OpenCV will decode the file, from its header alone.

    OpenCV turns an image as its EXIF orientation says; orientations 5 to 8 lie on their side.

    Raises:
        InputError: the file is not a JPEG, PNG, BMP or WebP image, or its header is damaged.
    """
    with readable(path), storage.open_input(path) as file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                width, height = image.size
                sideways = _orientation(image.info.get("exif")) in _SIDEWAYS
        except (*_DAMAGED, Image.DecompressionBombError) as error:
            reason = "not a known image" if isinstance(error, UnidentifiedImageError) else one_line(error)
            raise InputError(path, f"not a readable image ({reason})", "extract or copy this frame again") from error
    return (height, width) if sideways else (width, height)


def _orientation(exif: object) -> int:
    """The EXIF orientation tag; 1 (upright) where there is none or it makes no sense."""
    if not isinstance(exif, bytes):
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        value = tags.get(_ORIENTATION, 1)
    # Damaged EXIF is no reason to refuse a frame: OpenCV ignores it too.
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) else 1
