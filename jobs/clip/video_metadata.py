"""What a video says about its pictures, and the warnings and refusals that follow."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
from av.buffer import Buffer
from av.video.stream import VideoStream

from actors.core.errors import InputError
from actors.core.picture_metadata import FRAME_DEPTH, Picture
from actors.files import storage
from jobs.clip.ffmpeg_commands import DEINTERLACE, TO_BT709, TONE_MAP, conversion
from jobs.clip.notes import Notes

# ITU-T H.273 gives these things numbers, FFmpeg names; 2 says that nothing is said.
_MATRICES: dict[int, str | None] = {
    0: "rgb",
    1: "bt709",
    2: None,
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
    15: "ipt-c2",
}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
# FFmpeg's order of fields: 0 where nothing says it, above 1 for two fields in a picture.
_PROGRESSIVE = 1
# Y'CbCr that swscale makes RGB of.
_READ_MATRICES: set[str | None] = {None, "rgb", "bt709", "fcc", "bt601", "smpte240m", "bt2020nc"}
# What screens show much like BT.709, and players leave as it is.
READ_TRANSFERS: set[str | None] = {
    None,
    *("bt709", "gamma22", "gamma28", "smpte170m", "smpte240m", "iec61966-2-4", "bt1361e", "iec61966-2-1"),
    *("bt2020-10", "bt2020-12"),
}
HDR = {"smpte2084": "HDR (PQ)", "arib-std-b67": "HDR (HLG)"}
# Their colours differ from BT.709's by less than most screens do.
_READ_PRIMARIES: set[str | None] = {None, "bt709", "bt470bg", "smpte170m", "smpte240m", "ebu3213"}
# Their colours come out paler than they are meant.
_WIDE = {"smpte432": "Display P3", "smpte431": "DCI P3", "smpte428": "XYZ", "film": "film's", "bt470m": "NTSC 1953's"}


def stream_picture(stream: VideoStream, frame: av.VideoFrame) -> Picture:
    """What a video says about its pictures.

    Args:
        stream: tells what the container says.
        frame: its first frame, which has what the container and the stream itself say.
    """
    form = frame.format
    matrix = "rgb" if form.is_rgb else _MATRICES.get(int(frame.colorspace), f"number {int(frame.colorspace)}")
    if "DOVI_METADATA" in frame.side_data and int(frame.color_trc) not in TRANSFERS:
        # Dolby Vision without another layer: the numbers are of a space of its own.
        matrix = "dolby-vision"
    # WebM keeps transparency beside the picture, which decoders leave there; what says so is written in either case.
    beside = any((name.lower(), value) == ("alpha_mode", "1") for name, value in stream.metadata.items())
    return Picture(
        stored=f"{stream.codec_context.codec.canonical_name} {form.name}",
        depth=max((component.bits for component in form.components), default=8),
        matrix=matrix,
        primaries=PRIMARIES.get(int(frame.color_primaries)),
        transfer=TRANSFERS.get(int(frame.color_trc)),
        # Motion JPEG's own formats use all codes.
        full_range=True if form.name.startswith("yuvj") else {1: False, 2: True}.get(int(frame.color_range)),
        aspect=_aspect(stream),
        # Of codecs that do not say it in their frames the container does.
        interlaced=frame.interlaced_frame or int(stream.codec_context.field_order) > _PROGRESSIVE,
        alpha=beside or any(component.is_alpha for component in form.components),
        turned=_turned(frame),
    )


def require_readable(path: str, picture: Picture) -> None:
    """Checks that frames can be made as players show them.

    Raises:
        InputError: they cannot; names the command that converts.
    """
    if picture.turned:
        raise InputError(
            path, f"its frames are shown {picture.turned}", f"make the pixels stand upright: {conversion(path)}"
        )
    if picture.transfer in HDR:
        command = conversion(path, TONE_MAP, tagged=True)
        raise InputError(path, f"is {HDR[picture.transfer]}, which is not rendered", f"tone-map it: {command}")
    checked = (
        ("matrix", picture.matrix, _READ_MATRICES),
        ("transfer", picture.transfer, READ_TRANSFERS),
        ("primaries", picture.primaries, {*_READ_PRIMARIES, *_WIDE}),
    )
    odd = [f"{what} {value}" for what, value, read in checked if value not in read]
    if odd:
        command = conversion(path, TO_BT709, tagged=True)
        raise InputError(path, f"its colours are not rendered ({', '.join(odd)})", f"convert it: {command}")


def tell(path: str, frames: tuple[int, int], picture: Picture, notes: Notes) -> None:
    """Warns of everything that a video says and that finished frames do not keep.

    Args:
        path: the video.
        frames: width and height of its frames in pixels.
        picture: what it says.
        notes: gets the warnings.
    """
    name = storage.name_of(path)
    if picture.primaries in _WIDE:
        wide = _WIDE[picture.primaries]
        command = conversion(path, TO_BT709, tagged=True)
        notes.warn(name, f"its colours are {wide}, they are rendered as if BT.709 and look paler; {command} converts")
    if picture.interlaced:
        notes.warn(name, f"interlaced, so moving edges have combs; {conversion(path, DEINTERLACE)} removes them")
    tell_shape(name, frames, picture, notes)
    if picture.depth > FRAME_DEPTH:
        notes.warn(name, f"{picture.depth} bits for each colour; frames are made with {FRAME_DEPTH}")
    if picture.alpha:
        notes.warn(name, "has transparency, which is dropped: the colours below it are shown opaque")


def tell_shape(name: str, frames: tuple[int, int], picture: Picture, notes: Notes) -> None:
    """Says what becomes of pixels that are not square."""
    if picture.aspect != 1:
        wide, high = picture.shown(*frames)
        notes.warn(
            name,
            f"its pixels are not square ({picture.aspect.numerator}:{picture.aspect.denominator}); video.mp4 keeps that"
            f" and is shown {wide}x{high}, image files hold the pixels as they are",
        )


def describe(picture: Picture, width: int, height: int) -> str:
    """One line on what a clip says about its pixels."""
    unsaid = "not said (read as BT.601)"
    colours = [
        f"matrix {picture.matrix or unsaid}",
        f"primaries {picture.primaries or 'not said'}",
        f"transfer {picture.transfer or 'not said'}",
    ]
    parts = [f"{picture.stored}, {picture.depth} bits"]
    if picture.matrix != "rgb" or picture.primaries or picture.transfer:
        parts.extend(colours)
    if picture.full_range is not None:
        parts.append("full range" if picture.full_range else "limited range")
    if picture.aspect != 1:
        wide, high = picture.shown(width, height)
        parts.append(f"pixels {picture.aspect.numerator}:{picture.aspect.denominator}, shown {wide}x{high}")
    parts.append("interlaced" if picture.interlaced else "")
    parts.append("with transparency" if picture.alpha else "")
    return ", ".join(part for part in parts if part)


def _aspect(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio
    return Fraction(aspect) if aspect else Fraction(1)


def _turned(frame: av.VideoFrame) -> str:
    """How a display matrix turns what is stored; shifts, and a matrix that would leave nothing to see, turn nothing."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, Buffer):
        return ""
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    across = a * d - b * c
    if across == 0 or (b == c == 0 and a > 0 and d > 0):
        return ""
    if across < 0:
        return "mirrored"
    return f"turned by {frame.rotation} degrees"
