"""What an image's header says about its picture, and the warnings and refusals that follow."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import IO

from PIL import Image, UnidentifiedImageError

from actors.core.errors import InputError, error_text
from actors.core.picture_metadata import FRAME_DEPTH, Picture
from actors.files import storage
from jobs.clip.ffmpeg_commands import TONE_MAP_STILL, still_conversion
from jobs.clip.files import as_input_errors
from jobs.clip.notes import Notes
from jobs.clip.video_metadata import HDR, PRIMARIES, READ_TRANSFERS, TRANSFERS

# Only what OpenCV decodes as well; Pillow's other parsers never see the user's file.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
_ORIENTATION = 0x0112
_SIDEWAYS = range(5, 9)
# What Pillow raises on a damaged header, depending on the format and the place.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, struct.error)

_PNG_SIGNATURE = 8
_CHUNK = struct.Struct(">I4s")
_MOST_CHUNKS = 64
# Red, green and blue of sRGB as ICC profiles give them (adapted to D50), in 65536ths, and how far roundings go.
_SRGB = ((28578, 14581, 912), (25241, 46981, 6362), (9376, 3972, 46799))
_ROUNDINGS = 400
_ICC_HEADER, _ICC_TAG, _ICC_XYZ = 128, struct.Struct(">4sII"), struct.Struct(">3i")
_MOST_TAGS = 100
_MOST_DENSE = 1 << 20
# How much nearer to 1 than sRGB's a gamma is before it is another one (PNG 3, 11.3.2.2), and sRGB's primaries as a cHRM
# chunk gives them, red first, with how far roundings and standard definition's own primaries lie from them.
_SRGB_GAMMA, _OTHER_GAMMA = 1 / 2.2, 0.15
_SRGB_CHROMATICITY, _OTHER_CHROMATICITY = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06), 0.04
# Densities are rounded to whole pixels per metre or inch.
_SQUARE = Fraction(1, 50)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """One image file.

    Attributes:
        size: width and height in pixels as OpenCV will decode it.
        picture: what it says about its pixels.
        density: how much closer its columns stand than its rows, as it says; 1 where it does not.
    """

    size: tuple[int, int]
    picture: Picture
    density: Fraction = Fraction(1)


def read_image_header(path: storage.AnyPath) -> ImageHeader:
    """What an image says about itself.

    OpenCV turns an image as its EXIF orientation says; orientations 5 to 8 lie on their side.

    Raises:
        InputError: the file is not a JPEG, PNG, BMP or WebP image, holds several pictures, or its header is damaged.
    """
    name = str(path)
    with as_input_errors(name), storage.open_input(path) as file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                width, height = image.size
                sideways = _orientation(image.info.get("exif")) in _SIDEWAYS
                several = getattr(image, "n_frames", 1) if image.format in {"PNG", "WEBP"} else 1
                picture, density = _picture(image), _density(image)
                if image.format == "PNG":
                    picture = _with_code_points(picture, file)
        except (*_DAMAGED, Image.DecompressionBombError) as error:
            reason = "not a known image" if isinstance(error, UnidentifiedImageError) else error_text(error)
            raise InputError(name, f"not a readable image ({reason})", "extract or copy this frame again") from error
    if several > 1:
        raise InputError(name, f"is an animation of {several} pictures", "write each of them as a numbered image")
    return ImageHeader((height, width) if sideways else (width, height), picture, density)


def image_size(path: storage.AnyPath) -> tuple[int, int]:
    """Width and height in pixels as OpenCV will decode the file, by its header; raises as `read_image_header`."""
    return read_image_header(path).size


def common_picture(headers: Sequence[ImageHeader]) -> Picture:
    """What a clip's images say; of several that say different things, whatever frames do not keep."""
    pictures = [header.picture for header in headers]
    wide = [picture.primaries for picture in pictures if picture.primaries not in {None, "bt709"}]
    return replace(
        pictures[0],
        stored=" and ".join(dict.fromkeys(picture.stored for picture in pictures)),
        depth=max(picture.depth for picture in pictures),
        primaries=wide[0] if wide else pictures[0].primaries,
        alpha=any(picture.alpha for picture in pictures),
    )


def require_readable_images(paths: Sequence[str], headers: Sequence[ImageHeader]) -> None:
    """Checks that the pixels of images are shown as they are stored.

    Raises:
        InputError: the first whose are not; names the command that converts it.
    """
    for path, header in zip(paths, headers, strict=True):
        transfer = header.picture.transfer
        if transfer in HDR:
            command = still_conversion(path, TONE_MAP_STILL)
            raise InputError(path, f"is {HDR[transfer]}, which is not rendered", f"tone-map each image: {command}")


def warn_about_images(name: str, headers: Sequence[ImageHeader], notes: Notes) -> None:
    """Warns of everything that images say and that finished frames do not keep.

    Args:
        name: of their folder, for messages.
        headers: what each says.
        notes: gets the warnings.
    """
    dense = sorted({header.density for header in headers if abs(header.density - 1) > _SQUARE})
    kept = {
        "have transparency, which is dropped: the colours below it are shown opaque": lambda header: (
            header.picture.alpha
        ),
        f"have more than {FRAME_DEPTH} bits for each colour; frames are made with {FRAME_DEPTH}": lambda header: (
            header.picture.depth > FRAME_DEPTH
        ),
        "have colours that are not sRGB's, by their profile, and are rendered as if they were; save them as sRGB": (
            lambda header: header.picture.primaries not in {None, "bt709"}
        ),
        "say that their brightness is not coded as sRGB's is, and are rendered as if it were; save them as sRGB": (
            lambda header: header.picture.transfer not in READ_TRANSFERS
        ),
        "are CMYK, which is made RGB without a profile; save them as sRGB": lambda header: (
            header.picture.matrix == "cmyk"
        ),
        f"say that their pixels are not square ({', '.join(map(str, dense))}), and are taken as if they were": (
            lambda header: header.density in dense
        ),
    }
    for what, concerns in kept.items():
        count = sum(map(concerns, headers))
        if count:
            notes.warn(name, f"{count} of {len(headers)} images {what}")


def _picture(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile")
    # Of a PNG's mode Pillow keeps eight bits; its decoder's name says how many there are.
    deep = image.mode.startswith("I") or any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    primaries = None
    if isinstance(profile, bytes):
        primaries = "bt709" if _is_srgb(profile) else "of a profile"
    elif _is_other(image.info.get("chromaticity"), _SRGB_CHROMATICITY) and "srgb" not in image.info:
        primaries = "of its own"
    return Picture(
        stored=f"{image.format} {image.mode}",
        depth=2 * FRAME_DEPTH if deep else FRAME_DEPTH,
        matrix="cmyk" if image.mode == "CMYK" else "rgb",
        primaries=primaries,
        transfer=None if profile or "srgb" in image.info else _transfer(image.info.get("gamma")),
        alpha="A" in image.mode or "transparency" in image.info,
    )


def _transfer(gamma: object) -> str | None:
    """What a PNG's gAMA chunk says; ``None`` where that is sRGB's, near enough, or makes no sense."""
    if not isinstance(gamma, float) or not 0 < gamma < 10 or abs(gamma - _SRGB_GAMMA) < _OTHER_GAMMA:
        return None
    return f"gamma {gamma:g}"


def _is_other(given: object, srgb: tuple[float, ...]) -> bool:
    """Whether a PNG's cHRM chunk (white, red, green, blue) says other primaries."""
    if not isinstance(given, tuple) or len(given) != 2 + len(srgb):
        return False
    return any(abs(side - wanted) > _OTHER_CHROMATICITY for side, wanted in zip(given[2:], srgb, strict=True))


def _density(image: Image.Image) -> Fraction:
    # PNG may say of its densities only how they stand to each other.
    density = image.info.get("jfif_density") or image.info.get("dpi") or image.info.get("aspect")
    if not isinstance(density, tuple) or not all(0 < side < _MOST_DENSE for side in density):
        return Fraction(1)
    across, down = map(Fraction, density)
    return (across / down).limit_denominator(100) or Fraction(1)


def _with_code_points(picture: Picture, file: IO[bytes]) -> Picture:
    """The picture with what a PNG's cICP chunk says of it, which comes before its pixels (PNG 3, 11.3.2.6)."""
    offset = _PNG_SIGNATURE
    for _ in range(_MOST_CHUNKS):
        file.seek(offset)
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            break
        length, kind = _CHUNK.unpack(head)
        if kind == b"IDAT":
            break
        if kind == b"cICP":
            points = file.read(2)
            if len(points) == len("pt"):
                return replace(picture, primaries=PRIMARIES.get(points[0]), transfer=TRANSFERS.get(points[1]))
        offset += _CHUNK.size + length + 4
    return picture


def _is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile has sRGB's primaries; also where it is no profile of three primaries at all (greys)."""
    tags = profile[_ICC_HEADER : _ICC_HEADER + 4]
    found: dict[bytes, tuple[int, ...]] = dict.fromkeys((b"rXYZ", b"gXYZ", b"bXYZ"), ())
    for place in range(min(int.from_bytes(tags, "big"), _MOST_TAGS)):
        entry = profile[_ICC_HEADER + 4 + place * _ICC_TAG.size :][: _ICC_TAG.size]
        if len(entry) < _ICC_TAG.size:
            break
        name, offset, _ = _ICC_TAG.unpack(entry)
        value = profile[offset + 8 : offset + 8 + _ICC_XYZ.size]
        if name in found and len(value) == _ICC_XYZ.size:
            found[name] = _ICC_XYZ.unpack(value)
    return all(
        abs(is_so - wanted) < _ROUNDINGS
        for primary, srgb in zip(found.values(), _SRGB, strict=True)
        for is_so, wanted in zip(primary, srgb if primary else (), strict=True)
    )


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
