"""Segments and the video they join to: every frame, at its time, in its colours, as long as the sound."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from actors.core.pixels import Image
from actors.core.yuv import to_yuv420
from actors.rendering.video_segments import REORDERED_FRAMES, SegmentEncoder
from jobs.audio.soundtrack import RATE, cut_chunks
from jobs.run.mux import join

WIDTH, HEIGHT, FPS = 192, 128, 25
SAMPLES_PER_FRAME = RATE // FPS


def picture(index: int) -> Image:
    """Soft shapes that drift, and a bar of squares that spells the frame's number in binary."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    waves = [128 + 70 * np.sin(x / (31 + 9 * c) + index / 9 + 2 * c) * np.cos(y / 37 - index / 11) for c in range(3)]
    image = np.stack(waves, axis=2).astype(np.uint8)
    for bit in range(8):
        image[:16, 16 * bit : 16 * bit + 16] = 235 if index >> bit & 1 else 20
    return image


def number_in(image: Image) -> int:
    return sum(1 << bit for bit in range(8) if image[4:12, 16 * bit + 4 : 16 * bit + 12].mean() > 128)


def encode(start: int, stop: int) -> bytes:
    encoder = SegmentEncoder(WIDTH, HEIGHT, Fraction(FPS))
    for index in range(start, stop):
        encoder.add(to_yuv420(picture(index)))
    return encoder.finish()


def write_segments(folder: Path, *bounds: tuple[int, int]) -> list[str]:
    paths = [folder / f"{start:09d}-{stop:09d}.mp4" for start, stop in bounds]
    for path, (start, stop) in zip(paths, bounds, strict=True):
        path.write_bytes(encode(start, stop))
    return [str(path) for path in paths]


@dataclass(frozen=True)
class Video:
    """A video as a player sees it."""

    times: list[Fraction]
    images: list[Image]
    stream: dict[str, object]
    duration: Fraction
    sound: NDArray[np.float32] | None
    sound_duration: Fraction
    container_seconds: Fraction


def play(path: Path) -> Video:
    times, images, parts = [], [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        facts: dict[str, object] = {
            "codec": context.name,
            "pix_fmt": context.pix_fmt,
            "size": (context.width, context.height),
            "rate": stream.average_rate,
            "frames": stream.frames,
            "range": context.color_range,
            "space": context.colorspace,
            "primaries": context.color_primaries,
            "trc": context.color_trc,
        }
        duration = (stream.duration or 0) * Fraction(stream.time_base or 0)
        length = Fraction(container.duration or 0, av.time_base)
        for frame in container.decode(video=0):
            times.append((frame.pts or 0) * Fraction(frame.time_base or 0))
            images.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
    sound_duration = Fraction(0)
    with av.open(str(path)) as container:
        if container.streams.audio:
            voice = container.streams.audio[0]
            sound_duration = (voice.duration or 0) * Fraction(voice.time_base or 0)
            parts = [frame.to_ndarray() for frame in container.decode(voice)]
    sound = np.concatenate(parts, axis=1).astype(np.float32) if parts else None
    return Video(times, images, facts, duration, sound, sound_duration, length)


def decoded_planes(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame's samples as they stand in the stream, ``(3 H / 2, W)``."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(), np.uint8) for frame in container.decode(video=0)]


def parameter_sets(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def header_fields(path: Path) -> dict[str, int]:
    """What FFmpeg reads in the stream's sequence parameter set."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    try:
        with av.open(str(path)) as container, av.logging.Capture() as lines:
            stream = container.streams.video[0]
            tracer = BitStreamFilterContext("trace_headers", stream)
            tracer.filter(next(container.demux(stream)))
    finally:
        av.logging.set_level(level)
    text = "".join(line for _, _, line in lines)
    return {name: int(value) for name, value in re.findall(r"^\d+ +(\w+) .*= (-?\d+)$", text, re.MULTILINE)}


def encode_otherwise(path: Path, options: dict[str, str], planes: list[NDArray[np.uint8]]) -> None:
    """Encodes samples with x264 and other settings than ours."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = planes[0].shape[1], planes[0].shape[0] * 2 // 3, "yuv420p"
        for one in planes:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(one, format="yuv420p")))
        container.mux(stream.encode(None))


def tone(frames: float, channels: int = 1) -> NDArray[np.float32]:
    """A rising tone, so that a shift can be told; channels differ in loudness."""
    t = np.arange(round(frames * SAMPLES_PER_FRAME)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * (150 + 200 * t) * t)
    return np.stack([wave / (1 + channel) for channel in range(channels)]).astype(np.float32)


def times_of(count: int) -> list[Fraction]:
    return [Fraction(index, FPS) for index in range(count)]


def check_pictures(video: Video, count: int) -> None:
    assert video.times == times_of(count)
    assert [number_in(image) for image in video.images] == list(range(count))
    for index, image in enumerate(video.images):
        difference = np.abs(image.astype(int) - picture(index))
        # The bar has hard edges that chroma subsampling blurs; the shapes below must be close.
        assert difference[24:].mean() < 2.0, f"frame {index} is off by {difference[24:].mean():.2f} levels"
    assert video.duration == Fraction(count, FPS)


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three ranges, the second of one frame."""
    return write_segments(tmp_path_factory.mktemp("segments"), (0, 23), (23, 24), (24, 40))


def test_a_segment_plays_alone(segments: list[str]) -> None:
    video = play(Path(segments[0]))
    check_pictures(video, 23)
    assert video.sound is None


def test_segments_join_to_one_video(tmp_path: Path, segments: list[str]) -> None:
    target = tmp_path / "video.mp4"
    join(target, segments, None, FPS)
    video = play(target)
    check_pictures(video, 40)
    assert video.stream["frames"] == 40
    assert video.stream["rate"] == FPS
    assert video.container_seconds == Fraction(40, FPS)
    assert video.sound is None


def test_the_shape_of_pixels_is_kept(tmp_path: Path) -> None:
    encoder = SegmentEncoder(WIDTH, HEIGHT, Fraction(FPS), Fraction(4, 3))
    for _ in range(3):
        encoder.add(np.full((HEIGHT * 3 // 2, WIDTH), 100, np.uint8))
    segment = tmp_path / "0.mp4"
    segment.write_bytes(encoder.finish())
    join(tmp_path / "video.mp4", [str(segment)] * 2, None, FPS)
    for path in (segment, tmp_path / "video.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            assert stream.sample_aspect_ratio == Fraction(4, 3)
            assert stream.codec_context.sample_aspect_ratio == Fraction(4, 3)
            assert (frame.width, frame.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("which", ["segment", "video"])
def test_colours_are_tagged(tmp_path: Path, segments: list[str], which: str) -> None:
    path = Path(segments[0])
    if which == "video":
        path = tmp_path / "video.mp4"
        join(path, segments, None, FPS)
    facts = play(path).stream
    assert facts["codec"] == "h264"
    assert facts["pix_fmt"] == "yuv420p"
    assert facts["size"] == (WIDTH, HEIGHT)
    assert facts["range"] == ColorRange.MPEG
    assert facts["space"] == Colorspace.ITU709
    assert facts["primaries"] == ColorPrimaries.BT709
    assert facts["trc"] == ColorTrc.BT709


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (99, 99, 99)])
def test_plain_colours_survive(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    encoder = SegmentEncoder(64, 48, Fraction(FPS))
    for _ in range(3):
        encoder.add(to_yuv420(np.full((48, 64, 3), colour, np.uint8)))
    path = tmp_path / "plain.mp4"
    path.write_bytes(encoder.finish())
    for image in play(path).images:
        assert np.abs(image.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (60, 150, 90)])
def test_the_samples_are_those_of_bt_709(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    """ITU-R BT.709-6, 8 bit: Y' = 16 + 219 E'y; Cb, Cr = 128 + 224 E'c."""
    blue, green, red = (level / 255 for level in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = (16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748)
    encoder = SegmentEncoder(64, 48, Fraction(FPS))
    encoder.add(to_yuv420(np.full((48, 64, 3), colour, np.uint8)))
    path = tmp_path / "plain.mp4"
    path.write_bytes(encoder.finish())
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).to_ndarray(format="yuv420p")
    found = (planes[:48].mean(), planes[48:60].mean(), planes[60:].mean())
    assert found == pytest.approx(expected, abs=1.5)


def test_samples_are_coded_as_they_are(tmp_path: Path) -> None:
    """Nothing between us and the encoder squeezes or shifts them, even those that BT.709 does not use."""
    encoder = SegmentEncoder(64, 48, Fraction(FPS))
    planes = np.full((72, 64), 3, np.uint8)
    planes[48:60], planes[60:] = 252, 1
    encoder.add(planes)
    path = tmp_path / "plain.mp4"
    path.write_bytes(encoder.finish())
    (found,) = decoded_planes(path)
    assert np.abs(found.astype(int) - planes).max() <= 1


def test_the_picture_is_not_darkened(segments: list[str]) -> None:
    # The shapes below the bar: at its hard edges the coder's own errors are larger.
    errors = []
    for index, planes in enumerate(decoded_planes(Path(segments[0]))):
        luma = picture(index)[24:] @ np.array([0.0722, 0.7152, 0.2126])
        errors.append((planes[24:HEIGHT] - (16 + 219 / 255 * luma)).mean())
    assert abs(float(np.mean(errors))) < 0.2


def test_chroma_stands_where_it_is_said_to(segments: list[str]) -> None:
    """Table E-1 and clause E.2.1 of ITU-T H.264: type 1 is the middle of the 2 x 2 pixels."""
    fields = header_fields(Path(segments[0]))
    assert fields["chroma_sample_loc_type_top_field"] == fields["chroma_sample_loc_type_bottom_field"] == 1


def test_decoders_hold_back_as_many_frames_as_joining_allows_for(segments: list[str]) -> None:
    assert header_fields(Path(segments[0]))["max_num_reorder_frames"] == REORDERED_FRAMES


def test_the_encoder_does_what_it_was_told(segments: list[str]) -> None:
    """x264 writes its settings into the stream; a misspelt option would only be a line in the log."""
    content = Path(segments[0]).read_bytes()
    told = re.search(rb"x264 - core [^\0]*? options: ([^\0]*)\0?", content)
    assert told
    words = set(told[1].decode("ascii", "replace").split())
    assert words >= {"threads=1", "sliced_threads=0", "rc=cqp", "qp=17", "chroma_qp_offset=-3"}
    assert words >= {"scenecut=0", "b_adapt=0", "weightp=0", "mbtree=0", "bframes=3", "b_pyramid=2", "open_gop=0"}


def test_quality_is_not_below_the_encoders_visually_lossless(tmp_path: Path, segments: list[str]) -> None:
    """What videos had before settings were chosen for speed: x264's veryfast at crf 18."""

    def quality(path: Path) -> float:
        pairs = zip(decoded_planes(path), wanted, strict=True)
        return -float(np.mean([np.square(found.astype(float) - planes).mean() for found, planes in pairs]))

    wanted = [to_yuv420(picture(index)) for index in range(23)]
    other = tmp_path / "other.mp4"
    encode_otherwise(other, {"preset": "veryfast", "crf": "18"}, wanted)
    assert quality(Path(segments[0])) >= quality(other)


@pytest.mark.parametrize("size", [(64, 50), (66, 48), (34, 34), (16, 16)])
def test_sides_need_only_be_even(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    encoder = SegmentEncoder(width, height, Fraction(FPS))
    expected = [np.ascontiguousarray(picture(index)[24 : 24 + height, :width]) for index in range(5)]
    for image in expected:
        encoder.add(to_yuv420(image))
    path = tmp_path / "small.mp4"
    path.write_bytes(encoder.finish())
    video = play(path)
    assert video.stream["size"] == size
    for found, image in zip(video.images, expected, strict=True):
        assert np.abs(found.astype(int) - image).mean() < 2.5


@pytest.mark.parametrize("height", [48, 50])
def test_frames_are_taken_over_at_once(tmp_path: Path, height: int) -> None:
    """B-frames are coded late; by then the caller may have written the next frame into the same array."""
    images = [np.ascontiguousarray(picture(index)[:height, :128]) for index in range(9)]
    encoder = SegmentEncoder(128, height, Fraction(FPS))
    planes = np.empty((height * 3 // 2, 128), np.uint8)
    for image in images:
        planes[:] = to_yuv420(image)
        encoder.add(planes)
    planes[:] = 0
    path = tmp_path / "reused.mp4"
    path.write_bytes(encoder.finish())
    assert [number_in(image) for image in play(path).images] == list(range(9))


@pytest.mark.parametrize("shape", [(HEIGHT * 3 // 2, WIDTH + 2), (HEIGHT * 3 // 2 - 3, WIDTH), (HEIGHT, WIDTH, 3)])
def test_frames_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    encoder = SegmentEncoder(WIDTH, HEIGHT, Fraction(FPS))
    with pytest.raises(ValueError, match="shape"):
        encoder.add(np.zeros(shape, np.uint8))


def test_opencv_reads_the_same_frames(tmp_path: Path, segments: list[str]) -> None:
    target = tmp_path / "video.mp4"
    join(target, segments, [tone(40)], FPS)
    capture = cv2.VideoCapture(str(target))
    seen = []
    while True:
        there, image = capture.read()
        if not there:
            break
        seen.append(number_in(np.asarray(image, np.uint8)))
    assert seen == list(range(40))
    assert capture.get(cv2.CAP_PROP_FPS) == FPS


def test_every_joint_is_exact_wherever_it_lies(tmp_path: Path) -> None:
    """Short segments in every length that B-frames treat differently."""
    bounds, start = [], 0
    for length in (1, 2, 3, 4, 5, 1, 1, 9, 2):
        bounds.append((start, start + length))
        start += length
    target = tmp_path / "video.mp4"
    join(target, write_segments(tmp_path, *bounds), [tone(start)], FPS)
    check_pictures(play(target), start)


def test_segments_of_every_length_have_the_same_parameters(tmp_path: Path) -> None:
    """One set of parameters stands in front of the whole video, the first segment's."""
    bounds = [(0, length) for length in (1, 2, 3, 4, 5, 8, 64)]
    paths = write_segments(tmp_path, *bounds)
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    encoder = SegmentEncoder(WIDTH, HEIGHT, Fraction(FPS))
    for turn in range(6):
        encoder.add(np.roll(noise, 3 * turn, 1))
    other = tmp_path / "noise.mp4"
    other.write_bytes(encoder.finish())
    found = {parameter_sets(path) for path in [*map(Path, paths), other]}
    assert len(found) == 1
    assert found != {b""}


def test_segments_of_other_settings_are_refused(tmp_path: Path, segments: list[str]) -> None:
    """As an earlier version wrote them: joined, they would play and look broken."""
    other = tmp_path / "other.mp4"
    encode_otherwise(other, {"preset": "veryfast", "crf": "18"}, [to_yuv420(picture(index)) for index in range(23, 26)])
    with pytest.raises(ValueError, match="other settings"):
        join(tmp_path / "video.mp4", [segments[0], str(other)], None, FPS)


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_of_hardly_any_frames(tmp_path: Path, count: int) -> None:
    target = tmp_path / "video.mp4"
    join(target, write_segments(tmp_path, (0, count)), [tone(count)], FPS)
    video = play(target)
    check_pictures(video, count)
    assert video.sound_duration == Fraction(count, FPS)


@pytest.mark.parametrize("channels", [1, 2])
def test_picture_and_sound_are_equally_long_and_in_step(tmp_path: Path, segments: list[str], channels: int) -> None:
    target = tmp_path / "video.mp4"
    sound = tone(40, channels)
    join(target, segments, [sound], FPS)
    video = play(target)
    check_pictures(video, 40)
    assert video.sound_duration == video.duration == Fraction(40, FPS)
    assert video.sound is not None
    assert video.sound.shape[0] == channels
    # Decoders may keep the coder's padding at the end; what is there begins on time and is the tone.
    assert video.sound.shape[1] >= sound.shape[1]
    heard = video.sound[:, : sound.shape[1]]
    inner = slice(4096, -4096)
    assert np.abs(heard[:, inner] - sound[:, inner]).max() < 0.05


@pytest.mark.parametrize("frames", [0.0, 17.3, 40.0, 55.5])
def test_sound_of_any_length_is_cut_or_padded_to_the_picture(
    tmp_path: Path, segments: list[str], frames: float
) -> None:
    target = tmp_path / "video.mp4"
    join(target, segments, cut_chunks([tone(frames)], 0, 40, FPS), FPS)
    video = play(target)
    assert video.sound_duration == video.duration == Fraction(40, FPS)
    assert video.sound is not None
    silent = video.sound[0, round((frames + 4) * SAMPLES_PER_FRAME) : 40 * SAMPLES_PER_FRAME]
    assert np.abs(silent).max(initial=0.0) < 0.01


def test_the_index_stands_in_front(tmp_path: Path, segments: list[str]) -> None:
    target = tmp_path / "video.mp4"
    join(target, segments, [tone(40)], FPS)
    content = target.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_picture_and_sound_are_interleaved(tmp_path: Path) -> None:
    """A player that reads on must not have to look further ahead than a second."""
    target = tmp_path / "video.mp4"
    join(target, write_segments(tmp_path, (0, 60), (60, 120)), [tone(120)], FPS)
    latest: dict[str, float] = {}
    with av.open(str(target)) as container:
        # In the order of the file.
        packets = sorted(
            (packet for packet in container.demux() if packet.size and packet.pos is not None), key=lambda p: p.pos or 0
        )
        for packet in packets:
            latest[packet.stream.type] = float((packet.dts or 0) * (packet.time_base or 0))
            if len(latest) == 2:
                assert abs(latest["video"] - latest["audio"]) < 1.2


def test_joining_is_repeatable(tmp_path: Path, segments: list[str]) -> None:
    """Segments are deterministic, so a resumed run gives the same video."""
    assert encode(0, 23) == Path(segments[0]).read_bytes()
    for name in ("a.mp4", "b.mp4"):
        join(tmp_path / name, segments, [tone(40)], FPS)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_nothing_to_join_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to join"):
        join(tmp_path / "video.mp4", [], None, FPS)


def test_a_missing_segment_is_an_error(tmp_path: Path, segments: list[str]) -> None:
    with pytest.raises(OSError, match="gone"):
        join(tmp_path / "video.mp4", [segments[0], str(tmp_path / "gone.mp4")], None, FPS)
