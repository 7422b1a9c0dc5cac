"""FFmpeg commands that convert what is not read into what is read."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

# Visually lossless, so that a face is rendered on what it was filmed with.
_ENCODED = "-c:v libx264 -crf 12 -pix_fmt yuv420p"
_TAGGED = "-colorspace bt709 -color_primaries bt709 -color_trc bt709"

TONE_MAP = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)
TONE_MAP_STILL = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=iec61966-2-1,format=rgb24"
)
TO_BT709 = "zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p"
DEINTERLACE = "bwdif=mode=send_frame"
# H.264 in 4:2:0 needs even sides, which animations seldom have.
EVEN_SIDES = "pad=ceil(iw/2)*2:ceil(ih/2)*2"


def conversion(path: str, filters: str = "", *, tagged: bool = False) -> str:
    """The command that makes an MP4 of a video which is read as it is.

    Args:
        path: the video.
        filters: FFmpeg's filters that the pictures go through.
        tagged: whether the result is to say that it is BT.709.
    """
    target = f"{PurePosixPath(path).stem}.converted.mp4"
    through = f"-vf {shlex.quote(filters)} " if filters else ""
    said = f" {_TAGGED}" if tagged else ""
    return f"ffmpeg -i {shlex.quote(path)} {through}{_ENCODED}{said} -c:a aac {shlex.quote(target)}"


def reencoded(path: str) -> str:
    """What to do about a video whose packets are not as they should be."""
    return f"re-encode it: {conversion(path)}"


def still_conversion(path: str, filters: str) -> str:
    """The command that makes a PNG of an image which is read as it is."""
    return f"ffmpeg -i {shlex.quote(path)} -vf {shlex.quote(filters)} {shlex.quote(PurePosixPath(path).stem)}.sdr.png"
