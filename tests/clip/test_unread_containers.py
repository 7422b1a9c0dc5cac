"""Files that are no clip are told for what they are, with the command that makes one of them."""

from __future__ import annotations

import shlex
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clip_inputs import HEIGHT, WIDTH, picture, refused, write_images, write_video
from PIL import Image

from actors.core.clip import FaceBox
from jobs.clip.unread_containers import foreign

RECT = FaceBox(4, 6, 24, 26)
VIDEOS = [
    ("a.flv", "flv", "libx264", "a Flash video"),
    ("a.ts", "mpegts", "libx264", "an MPEG transport stream"),
    ("a.m2ts", "mpegts", "libx264", "an MPEG transport stream"),
    ("a.wmv", "asf", "wmv2", "a Windows Media file"),
    ("a.mpg", "mpeg", "mpeg2video", "an MPEG program stream"),
    ("a.m2v", "mpeg2video", "mpeg2video", "a bare MPEG video stream"),
    ("a.mxf", "mxf", "mpeg2video", "an MXF file"),
    ("a.264", "h264", "libx264", "a bare H.264 stream"),
    ("a.265", "hevc", "libx265", "a bare HEVC stream"),
    ("a.ivf", "ivf", "libvpx", "an IVF file"),
    ("a.nut", "nut", "mpeg4", "a NUT file"),
    ("a.y4m", "yuv4mpegpipe", "rawvideo", "raw video"),
    ("a.gif", "gif", "gif", "a GIF"),
]


def write_foreign(path: Path, container: str, codec: str) -> Path:
    options = {"mpegts_m2ts_mode": "1"} if path.suffix == ".m2ts" else {}
    with av.open(str(path), "w", format=container, options=options) as target:
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = target.add_stream(codec, rate=Fraction(25), options=quiet)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb8" if codec == "gif" else "yuv420p"
        for i in range(6):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format="bgr24")))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("disguised", [False, True])
@pytest.mark.parametrize(("name", "container", "codec", "what"), VIDEOS)
def test_another_container_is_named_with_the_command(
    tmp_path: Path, name: str, container: str, codec: str, what: str, disguised: bool
) -> None:
    path = write_foreign(tmp_path / name, container, codec)
    if disguised:
        path = path.rename(tmp_path / "a clip.mp4")
    error = refused(path, box=RECT)
    assert f"is {what}" in error.problem
    words = shlex.split(error.fix.partition("convert it: ")[2])
    assert words[:3] == ["ffmpeg", "-i", str(path)]
    assert words[-1] == f"{path.stem}.converted.mp4"


@pytest.mark.parametrize("name", ["a.flv", "a.gif", "a.ts"])
def test_in_a_folder_too(tmp_path: Path, name: str) -> None:
    (form,) = (video for video in VIDEOS if video[0] == name)
    path = write_foreign(tmp_path / name, *form[1:3])
    error = refused(tmp_path, box=RECT)
    assert error.subject == str(path)
    assert "ffmpeg -i" in error.fix


def test_a_folder_of_other_images_is_told_how_to_convert_them_all(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.tif")
    error = refused(tmp_path, box=RECT)
    assert "a still image (TIFF)" in error.problem
    assert f'convert all 3: cd {tmp_path} && for f in *.tif; do ffmpeg -i "$f" "${{f%.*}}.png"; done' in error.fix


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_one_image_is_no_clip_but_can_become_one(tmp_path: Path, suffix: str) -> None:
    (path,) = write_images(tmp_path, 1, pattern=f"{{}}.{suffix}")
    error = refused(path, box=RECT)
    assert "a still image" in error.problem
    assert f"mkdir clip && ffmpeg -i {path} clip/0.png" in error.fix


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif", b"avis"])
def test_images_in_the_clothes_of_an_mp4_are_told(brand: bytes) -> None:
    kind = foreign(b"\0\0\0\x1cftyp" + brand)
    assert kind is not None
    assert "HEIF" in kind.name or "AVIF" in kind.name


def test_what_is_read_is_not_foreign(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mov", "a.mkv", "a.avi", "a.webm", "a.3gp"):
        codec = {"a.avi": "mpeg4", "a.webm": "libvpx", "a.3gp": "mpeg4"}.get(name, "libx264")
        assert foreign(write_video(tmp_path / name, 3, codec=codec, b_frames=0).read_bytes()[:1024]) is None
    # A QuickTime file may begin with the length of a large box.
    assert foreign(b"\0\0\0\1mdat\0\0\0\0\0\0\0\x10") is None
    assert foreign(b"") is None
