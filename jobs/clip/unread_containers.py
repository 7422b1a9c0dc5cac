"""Video files that are not read: their formats, recognised by their first bytes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum, auto

from actors.core.errors import InputError
from actors.files import storage
from jobs.clip.ffmpeg_commands import EVEN_SIDES, conversion
from jobs.clip.files import as_input_errors, files_in

# How files are called that a folder may hold in place of a clip's frames.
SUFFIXES = (
    *(".ts", ".m2ts", ".mts", ".flv", ".wmv", ".asf", ".mpg", ".mpeg", ".vob", ".ogv", ".rm", ".mxf", ".y4m", ".gif"),
    *(".heic", ".heif", ".avif", ".tif", ".tiff", ".jp2", ".exr"),
)
# Enough for a few packets of a transport stream.
HEAD_BYTES = 1024

_TS_PACKET, _M2TS_PACKET = 188, 192
_ASF = bytes.fromhex("3026b2758e66cf11")
_MXF = bytes.fromhex("060e2b34")


class Holds(Enum):
    """What is in a foreign file, which decides what to do with it."""

    VIDEO = auto()
    ANIMATION = auto()
    STILL = auto()
    SOUND = auto()
    PLAYLIST = auto()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A kind of file that is no clip: its name with an article, and what it holds."""

    name: str
    holds: Holds


_BEGINNINGS = {
    b"FLV\x01": Foreign("a Flash video (FLV)", Holds.VIDEO),
    _ASF: Foreign("a Windows Media file (ASF)", Holds.VIDEO),
    b"\0\0\1\xba": Foreign("an MPEG program stream", Holds.VIDEO),
    b"\0\0\1\xb3": Foreign("a bare MPEG video stream", Holds.VIDEO),
    b"OggS": Foreign("an Ogg file", Holds.VIDEO),
    b".RMF": Foreign("a RealMedia file", Holds.VIDEO),
    _MXF: Foreign("an MXF file", Holds.VIDEO),
    b"YUV4MPEG2": Foreign("raw video (Y4M)", Holds.VIDEO),
    b"DKIF": Foreign("an IVF file", Holds.VIDEO),
    b"nut/multimedia": Foreign("a NUT file", Holds.VIDEO),
    # A parameter set or a delimiter comes first. An MP4 may begin with the same four bytes, and then letters.
    **dict.fromkeys(
        (b"\0\0\0\1\x67", b"\0\0\0\1\x27", b"\0\0\0\1\x09", b"\0\0\1\x67", b"\0\0\1\x09"),
        Foreign("a bare H.264 stream", Holds.VIDEO),
    ),
    **dict.fromkeys((b"\0\0\0\1\x40\1", b"\0\0\0\1\x46\1"), Foreign("a bare HEVC stream", Holds.VIDEO)),
    b"GIF8": Foreign("a GIF", Holds.ANIMATION),
    b"\xff\xd8\xff": Foreign("a still image (JPEG)", Holds.STILL),
    b"\x89PNG": Foreign("a still image (PNG)", Holds.STILL),
    b"BM": Foreign("a still image (BMP)", Holds.STILL),
    b"II*\0": Foreign("a still image (TIFF)", Holds.STILL),
    b"MM\0*": Foreign("a still image (TIFF)", Holds.STILL),
    b"8BPS": Foreign("a Photoshop file", Holds.STILL),
    b"\x76\x2f\x31\x01": Foreign("a still image (OpenEXR)", Holds.STILL),
    b"\0\0\0\x0cjP  ": Foreign("a still image (JPEG 2000)", Holds.STILL),
    b"ID3": Foreign("a recording (MP3)", Holds.SOUND),
    b"fLaC": Foreign("a recording (FLAC)", Holds.SOUND),
    b"#EXTM3U": Foreign("a playlist", Holds.PLAYLIST),
    b"ffconcat": Foreign("a playlist", Holds.PLAYLIST),
}
_RIFF = {
    b"WEBP": Foreign("a still image or an animation (WebP)", Holds.STILL),
    b"WAVE": Foreign("a recording (WAV)", Holds.SOUND),
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1"), Foreign("a still image (HEIF)", Holds.STILL)),
    b"avif": Foreign("a still image (AVIF)", Holds.STILL),
    b"avis": Foreign("an animation (AVIF)", Holds.ANIMATION),
}


def foreign(head: bytes) -> Foreign | None:
    """What a file is that begins so; ``None`` where it may be a video that is read, or nothing tells.

    Args:
        head: its first `HEAD_BYTES` bytes, or all of them.
    """
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    for packet, skipped in ((_TS_PACKET, 0), (_M2TS_PACKET, 4)):
        syncs = head[skipped::packet]
        if len(syncs) > 1 and set(syncs) == {0x47}:
            return Foreign("an MPEG transport stream", Holds.VIDEO)
    return None


def refusal(path: str, kind: Foreign) -> InputError:
    """What is said of such a file where a clip was asked for, with the command that makes one of it."""
    match kind.holds:
        case Holds.VIDEO:
            return InputError(path, f"is {kind.name}, which is not read", f"convert it: {conversion(path)}")
        case Holds.ANIMATION:
            command = conversion(path, EVEN_SIDES)
            return InputError(path, f"is {kind.name}, which is not read", f"convert it: {command}")
        case Holds.STILL:
            command = f"mkdir clip && ffmpeg -i {shlex.quote(path)} clip/0.png"
            return InputError(
                path,
                f"is {kind.name}, not a video or a folder",
                f"make a folder of one image, and name that: {command}",
            )
        case Holds.SOUND:
            fix = "name a video or a folder of images, and give the recording with --audio"
            return InputError(path, f"is {kind.name}, which has no pictures", fix)
        case Holds.PLAYLIST:
            return InputError(path, f"is {kind.name}, which only names other files", "name the video itself")


def refuse_in_folder(folder: str) -> None:
    """Says of a folder without frames what stands there in their place.

    Raises:
        InputError: there is a file of a kind that is not read.
    """
    files = files_in(folder, SUFFIXES)
    for file in files:
        with as_input_errors(file.path), storage.open_input(file.path) as opened:
            kind = foreign(opened.read(HEAD_BYTES))
        if kind is None:
            continue
        if kind.holds is not Holds.STILL:
            raise refusal(file.path, kind)
        suffix = file.name.rpartition(".")[2]
        every = f'for f in *.{suffix}; do ffmpeg -i "$f" "${{f%.*}}.png"; done'
        raise InputError(
            file.path,
            f"is {kind.name}, which is not read",
            f"convert all {len(files)}: cd {shlex.quote(folder)} && {every}",
        )
