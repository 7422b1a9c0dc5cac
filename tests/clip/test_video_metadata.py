"""What videos say about their pictures: shown as it is said, or refused with the whole command that converts."""

from __future__ import annotations

import shlex
import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from clip_inputs import HEIGHT, SMALL, WIDTH, picture

from actors.core.choices import Delivery, ImageFormat, Interpolation
from actors.core.clip import FaceBox
from actors.core.errors import InputError
from actors.core.picture_metadata import Picture
from actors.rendering.blocks import BlockRequest, load_block
from actors.rendering.video_frames import decode_video
from jobs.clip.notes import Notes
from jobs.clip.video_metadata import describe, tell
from jobs.clip.video_source import check_video, read_video

PNG = Delivery(ImageFormat.PNG, 0, video=False)


def write(
    path: Path,
    codec: str = "libx264",
    form: str = "yuv420p",
    tags: Mapping[str, int] | None = None,
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(picture(i), format="bgr24").reformat(format=form)
            for name, value in (tags or {}).items():
                if name != "field_order":
                    setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def warnings_of(path: Path) -> list[str]:
    video, notes = read_video(str(path)), Notes()
    tell(str(path), (video.width, video.height), video.picture, notes)
    return notes.warnings


def command_in(text: str) -> list[str]:
    """The words of the command that a message ends with, as a shell takes them."""
    words = shlex.split(text[text.index("ffmpeg -i ") :])
    assert "..." not in text
    return words


BT709 = {
    "colorspace": Colorspace.ITU709,
    "color_primaries": ColorPrimaries.BT709,
    "color_trc": ColorTrc.BT709,
    "color_range": ColorRange.MPEG,
}
BT2020 = {**BT709, "colorspace": Colorspace.BT2020, "color_primaries": ColorPrimaries.BT2020}


def test_what_is_said_is_read_in_one_value(tmp_path: Path) -> None:
    said = read_video(str(write(tmp_path / "a.mp4", tags=BT709, aspect=Fraction(4, 3)))).picture
    assert said == Picture("h264 yuv420p", 8, "bt709", "bt709", "bt709", False, Fraction(4, 3))
    line = describe(said, WIDTH, HEIGHT)
    assert "matrix bt709" in line
    assert "limited range" in line
    assert f"pixels 4:3, shown {round(WIDTH * 4 / 3)}x{HEIGHT}" in line
    unsaid = read_video(str(write(tmp_path / "b.mkv", "ffv1"))).picture
    assert unsaid == Picture(unsaid.stored, full_range=unsaid.full_range)
    assert "read as BT.601" in describe(unsaid, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({**BT2020, "color_trc": ColorTrc.SMPTE2084}, "HDR (PQ)"),
        ({**BT2020, "color_trc": ColorTrc.ARIB_STD_B67}, "HDR (HLG)"),
        ({**BT709, "color_trc": ColorTrc.LINEAR}, "transfer linear"),
        (BT2020, "primaries bt2020"),
        ({**BT709, "colorspace": 8}, "matrix ycgco"),
    ],
)
def test_colours_that_would_come_out_wrong_are_refused_with_the_command(
    tmp_path: Path, tags: Mapping[str, int], named: str
) -> None:
    path = write(tmp_path / "it's deep.mp4", form="yuv420p10le", tags=tags)
    with pytest.raises(InputError) as caught:
        read_video(str(path))
    assert named in caught.value.problem
    words = command_in(str(caught.value))
    assert words[2] == str(path)
    assert words[-1] == "it's deep.converted.mp4"
    assert "zscale" in words[words.index("-vf") + 1]
    assert ("tonemap" in words[words.index("-vf") + 1]) is ("HDR" in named)


def test_what_frames_do_not_keep_is_warned_of(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.mp4", tags={**BT709, "color_primaries": ColorPrimaries.SMPTE432})
    (line,) = warnings_of(wide)
    assert "Display P3" in line
    assert "zscale=p=bt709" in line
    (line,) = warnings_of(write(tmp_path / "deep.mp4", form="yuv420p10le", tags=BT709))
    assert "10 bits" in line
    (line,) = warnings_of(write(tmp_path / "clear.mkv", "ffv1", "yuva420p"))
    assert "transparency" in line
    (line,) = warnings_of(write(tmp_path / "combed.mp4", options={"x264-params": "interlaced=1"}))
    assert "-vf bwdif=mode=send_frame" in line
    fields = write(tmp_path / "fields.mov", "mjpeg", "yuvj420p", {"field_order": 2, "color_range": ColorRange.JPEG})
    assert "-vf bwdif=mode=send_frame" in warnings_of(fields)[0]
    (line,) = warnings_of(write(tmp_path / "narrow.mkv", aspect=Fraction(12, 11)))
    assert f"(12:11); video.mp4 keeps that and is shown {round(WIDTH * 12 / 11)}x{HEIGHT}" in line
    assert warnings_of(write(tmp_path / "plain.mp4", tags=BT709)) == []


def test_transparency_that_lies_beside_the_picture_is_seen(tmp_path: Path) -> None:
    """WebM says it in a tag of the stream; the decoder gives frames without."""
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.metadata["alpha_mode"] = "1"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="bgr24")))
        container.mux(stream.encode(None))
    assert "transparency" in warnings_of(path)[0]


WEIGHTS = {Colorspace.ITU709: (0.2126, 0.0722), Colorspace.ITU601: (0.299, 0.114), 2: (0.299, 0.114)}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("form", ["yuv420p", "yuv444p", "yuv422p10le", "yuv444p10le"])
def test_pixels_are_what_the_matrix_and_the_range_say(tmp_path: Path, form: str, matrix: int, full: bool) -> None:
    """Flat areas, so that no filter of the chroma counts; by the formulas of ITU-R BT.601 and BT.709."""
    red, blue = WEIGHTS[Colorspace(matrix) if matrix != 2 else 2]
    luma, cb, cr = 120, 100, 170
    depth = 10 if "10" in form else 8
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
        frame = av.VideoFrame(WIDTH, HEIGHT, form)
        for plane, level in zip(frame.planes, (luma, cb, cr), strict=True):
            value = np.array(level << (depth - 8), "<u2" if depth > 8 else np.uint8)
            plane.update(np.full(plane.buffer_size // value.itemsize, value).tobytes())
        for owner in (frame, stream.codec_context):
            owner.colorspace, owner.color_range = matrix, ColorRange.JPEG if full else ColorRange.MPEG
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    y = luma / 255 if full else (luma - 16) / 219
    u, v = ((level - 128) / (255 if full else 224) for level in (cb, cr))
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    (shown,) = decode_video(read_video(str(path)))
    wanted = np.clip(np.array([b, g, r]) * 255, 0, 255)
    assert np.abs(shown[8:-8, 8:-8] - wanted).max() < 2.5


def with_matrix(path: Path, matrix: tuple[int, ...]) -> Path:
    """An MP4 with another display matrix in its track's header."""
    content = bytearray(write(path).read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = content.index(upright, content.index(b"tkhd"))
    content[place : place + len(upright)] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


ONE, LAST = 1 << 16, 1 << 30


@pytest.mark.parametrize(
    "matrix",
    [
        (0,) * 9,
        (0, 0, 0, 0, 0, 0, 0, 0, LAST),
        (ONE, 0, 0, 0, ONE, 0, 5 * ONE, -7 * ONE, LAST),
        (2 * ONE, 0, 0, 0, 2 * ONE, 0, 0, 0, LAST),
    ],
    ids=["zero", "nothing to see", "shifted", "scaled"],
)
def test_a_matrix_that_turns_nothing_is_accepted(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    video = read_video(str(with_matrix(tmp_path / "a.mp4", matrix)))
    assert (len(video), video.picture.turned) == (3, "")


@pytest.mark.parametrize(
    ("matrix", "how"),
    [
        ((0, ONE, 0, -ONE, 0, 0, 0, 0, LAST), "turned by"),
        ((-ONE, 0, 0, 0, -ONE, 0, 0, 0, LAST), "turned by"),
        ((-ONE, 0, 0, 0, ONE, 0, 0, 0, LAST), "mirrored"),
        ((ONE, 0, 0, 0, -ONE, 0, 0, 0, LAST), "mirrored"),
    ],
)
def test_a_matrix_that_turns_is_refused_with_the_whole_command(
    tmp_path: Path, matrix: tuple[int, ...], how: str
) -> None:
    path = with_matrix(tmp_path / "a.mp4", matrix)
    with pytest.raises(InputError, match=how) as caught:
        read_video(str(path))
    assert command_in(str(caught.value))[-1] == "a.converted.mp4"


def test_a_video_that_goes_on_in_hdr_is_named_with_the_frame(tmp_path: Path) -> None:
    """Two recordings joined without being encoded again; the beginning is what a reader looks at."""
    path, late = tmp_path / "a.mkv", 0
    with av.open(str(path), "w") as target:
        stream = None
        for name, transfer in (("b.mkv", 1), ("c.mkv", 16)):
            with av.open(str(tmp_path / name), "w") as container:
                part = container.add_stream("mpeg2video", rate=25)
                part.width, part.height, part.pix_fmt = WIDTH, HEIGHT, "yuv420p"
                part.codec_context.color_trc = transfer
                for i in range(5):
                    container.mux(part.encode(av.VideoFrame.from_ndarray(picture(i), format="bgr24")))
                container.mux(part.encode(None))
            with av.open(str(tmp_path / name)) as source:
                stream = stream or target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + late, packet.dts + late, stream
                        target.mux(packet)
            late += 200
    video = read_video(str(path))
    assert len(video) == 10
    with pytest.raises(InputError, match=r"from frame 5 on it is HDR \(PQ\)"):
        check_video(video)
    square = (FaceBox(4, 6, 24, 26),)
    load_block(BlockRequest(2, video.part(2, 3), square, Interpolation.LINEAR, delivery=PNG), SMALL)
    with pytest.raises(InputError, match=r"goes on as HDR \(PQ\)"):
        load_block(BlockRequest(7, video.part(7, 8), square, Interpolation.LINEAR, delivery=PNG), SMALL)


def test_a_video_that_changes_its_size_is_named_with_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    halves = [write(tmp_path / "b.webm", "libvpx"), tmp_path / "c.webm"]
    with av.open(str(halves[1]), "w") as container:
        stream = container.add_stream("libvpx", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH // 2, HEIGHT // 2, "yuv420p"
        for i in range(3):
            small = picture(i, WIDTH // 2, HEIGHT // 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="bgr24")))
        container.mux(stream.encode(None))
    with av.open(str(path), "w") as target, av.open(str(halves[0])) as first, av.open(str(halves[1])) as second:
        stream = target.add_stream_from_template(first.streams.video[0])
        for late, source in ((0, first), (120, second)):
            for packet in source.demux(video=0):
                if packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts, packet.stream = packet.pts + late, packet.dts + late, stream
                    target.mux(packet)
    video = read_video(str(path))
    assert len(video) == 6
    with pytest.raises(InputError, match=f"frame 3 is {WIDTH // 2}x{HEIGHT // 2}, the first is {WIDTH}x{HEIGHT}"):
        check_video(video)
    request = BlockRequest(2, video.part(2, 5), (FaceBox(4, 6, 24, 26),) * 3, Interpolation.LINEAR, delivery=PNG)
    with pytest.raises(InputError, match="frame 3 decodes to"):
        load_block(request, SMALL)
    check_video(read_video(str(halves[0])))


def test_the_filters_of_commands_that_ffmpeg_always_has_exist() -> None:
    assert {"bwdif", "tonemap", "pad", "format"} <= av.filter.filters_available
