"""Blocks of backgrounds: the same pixels whatever they come from and wherever the block begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import reference

from actors import storage
from actors.backgrounds import BlockRequest, load_block
from actors.core.clip import FaceRect, ImageFrames, PlaneFile, VideoFrames
from actors.core.errors import InputError, StoppedError
from actors.core.pixels import Image, Interpolation
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip.video import read_video
from jobs.digest import witnessed

WIDTH, HEIGHT, COUNT = 96, 64, 30
CUBIC, LINEAR = Interpolation.CUBIC, Interpolation.LINEAR


def picture(index: int) -> Image:
    """Slopes that move, each colour its own way."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [x * 2 + index * 3, y * 3 + index * 5, x + y + index * 7]
    return np.stack([np.abs(plane % 510 - 255) for plane in planes], axis=2).astype(np.uint8)


def square(index: int) -> FaceRect:
    side = 30 + index % 5
    return FaceRect(index, 10, index + side, 10 + side)


def rects(start: int, stop: int) -> tuple[FaceRect, ...]:
    return tuple(square(i) for i in range(start, stop))


def crop_of(frame: Image, rect: FaceRect, interpolation: Interpolation) -> Image:
    return reference.network_input(frame, (rect.x0, rect.y0, rect.x1, rect.y1), interpolation.value)[1]


def write_images(folder: Path, suffix: str, count: int = 6) -> ImageFrames:
    paths = [folder / f"{i}.{suffix}" for i in range(count)]
    for i, path in enumerate(paths):
        assert cv2.imwrite(str(path), picture(i))
    return ImageFrames(tuple(map(str, paths)), WIDTH, HEIGHT)


def write_video(path: Path, codec: str, options: dict[str, str], moments: Sequence[int] = range(COUNT)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i, moment in enumerate(moments):
            frame = av.VideoFrame.from_ndarray(picture(i), format="bgr24")
            frame.pts, frame.time_base = moment, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def in_sequence(path: Path) -> list[Image]:
    """Every frame, decoded from the first to the last by OpenCV."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(np.asarray(frame, np.uint8))


def nearest(frame: Image) -> int:
    """Which of the pictures a decoded frame is."""
    return int(np.argmin([np.abs(frame.astype(int) - picture(i)).mean() for i in range(COUNT)]))


def require_parts(video: VideoFrames, whole: Sequence[Image]) -> None:
    """Wherever a block begins, its pictures are those that the whole file gives when it is decoded in sequence."""
    count = len(whole)
    assert len(video) == count
    pieces = [(0, count), (count - 1, count), *((a, a + 1) for a in range(0, count, 4))]
    pieces += [(a, min(a + 7, count)) for a in range(0, count, 3)]
    for start, stop in pieces:
        request = BlockRequest(start, video.part(start, stop), rects(start, stop), CUBIC, True)
        block, _ = load_block(request, UNET_328)
        assert block.frames is not None
        assert block.crops is not None
        assert np.array_equal(block.frames, np.stack(whole[start:stop])), (start, stop)
        assert np.array_equal(block.crops[-1], crop_of(whole[stop - 1], square(stop - 1), CUBIC))


def refusal(source: ImageFrames | VideoFrames | PlaneFile, count: int) -> InputError:
    with pytest.raises(InputError) as caught:
        load_block(BlockRequest(0, source, rects(0, count), CUBIC, True), UNET_328)
    assert "\n" not in str(caught.value)
    return caught.value


def require_changed(source: ImageFrames | VideoFrames | PlaneFile, path: Path) -> None:
    """Nothing is made of a file that is not what was read before; what it was is a stop, not a bad input."""
    with pytest.raises(StoppedError, match="changed while the run lived") as caught:
        load_block(BlockRequest(0, source, rects(0, len(source)), CUBIC, True), UNET_328)
    assert str(path) in caught.value.reason


@pytest.mark.parametrize("interpolation", [CUBIC, LINEAR])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_images_are_decoded_and_cropped(tmp_path: Path, suffix: str, interpolation: Interpolation) -> None:
    source = write_images(tmp_path, suffix)
    request = BlockRequest(2, source.part(2, 5), rects(2, 5), interpolation, True)
    block, receipt = load_block(request, UNET_328)
    frames = [np.asarray(cv2.imread(source.paths[i]), np.uint8) for i in range(2, 5)]
    assert (block.first, block.rects, block.planes) == (2, rects(2, 5), None)
    assert block.frames is not None
    assert block.crops is not None
    assert np.array_equal(block.frames, np.stack(frames))
    crops = [crop_of(frame, square(2 + i), interpolation) for i, frame in enumerate(frames)]
    assert np.array_equal(block.crops, np.stack(crops))
    assert block.frames.dtype == np.uint8
    assert block.crops.dtype == np.uint8
    assert block.backings is not None
    kept = sum(backing.nbytes for backing in block.backings)
    assert receipt.bytes == block.frames.nbytes + block.crops.nbytes + kept
    assert receipt.seconds > 0


def test_frames_are_left_out_where_they_are_not_needed(tmp_path: Path) -> None:
    source = write_images(tmp_path, "png", 3)
    whole, _ = load_block(BlockRequest(0, source, rects(0, 3), CUBIC, True), UNET_328)
    block, receipt = load_block(BlockRequest(0, source, rects(0, 3), CUBIC, False), UNET_328)
    assert block.frames is None
    assert block.crops is not None
    assert np.array_equal(block.crops, np.asarray(whole.crops))
    assert receipt.bytes == 3 * 328 * 328 * 3


def test_pictures_without_colour_become_three_planes(tmp_path: Path) -> None:
    grey = picture(0)[:, :, 0]
    path = tmp_path / "0.png"
    assert cv2.imwrite(str(path), grey)
    block, _ = load_block(BlockRequest(0, ImageFrames((str(path),), WIDTH, HEIGHT), rects(0, 1), CUBIC, True), UNET_328)
    assert block.frames is not None
    assert np.array_equal(block.frames[0], np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
@pytest.mark.parametrize("keep", [0.0, 0.4, 0.95])
def test_a_truncated_image_is_named(tmp_path: Path, suffix: str, keep: float) -> None:
    source = write_images(tmp_path, suffix, 3)
    path = Path(source.paths[1])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    error = refusal(source, 3)
    assert error.subject == str(path)
    assert error.problem == "is not a whole image"


def test_an_image_that_is_gone_or_no_image_is_named(tmp_path: Path) -> None:
    source = write_images(tmp_path, "png", 3)
    Path(source.paths[2]).write_text("a letter")
    assert refusal(source, 3).subject == source.paths[2]
    Path(source.paths[1]).unlink()
    error = refusal(source, 3)
    assert error.subject == source.paths[1]
    assert "cannot be read" in error.problem


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH - 1), (HEIGHT + 2, WIDTH), (WIDTH, HEIGHT)])
def test_an_image_of_another_size_is_named_with_both_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    source = write_images(tmp_path, "png", 3)
    assert cv2.imwrite(source.paths[1], np.zeros((*size, 3), np.uint8))
    error = refusal(source, 3)
    assert error.subject == source.paths[1]
    assert f"{size[1]}x{size[0]}" in error.problem
    assert f"{WIDTH}x{HEIGHT}" in error.problem


KINDS = {
    "closed.mp4": ("libx264", {"g": "8", "bf": "2"}),
    "open.mp4": ("libx264", {"x264-params": "open-gop=1:keyint=6:min-keyint=6:bframes=3:b-pyramid=normal:scenecut=0"}),
    "single.mp4": ("libx264", {"g": "300", "bf": "3"}),
    "plain.mkv": ("libx264", {"g": "5", "bf": "0"}),
    "old.avi": ("mpeg4", {"g": "9", "bf": "2"}),
    # AVI has no times of presentation, and FFmpeg's guesses are those of decoding.
    "reordered.avi": ("libx264", {"g": "9", "bf": "3"}),
    "reordered-open.avi": (
        "libx264",
        {"x264-params": "open-gop=1:keyint=6:min-keyint=6:bframes=3:b-pyramid=normal:scenecut=0"},
    ),
    "second.avi": ("mpeg2video", {"g": "9", "bf": "2", "b": "4M"}),
    # No keyframe shows a whole picture but the first.
    "refreshed.mkv": ("libx264", {"x264-params": "intra-refresh=1:keyint=8:bframes=2"}),
    "hevc.mkv": ("libx265", {"x265-params": "keyint=6:min-keyint=6:bframes=3:open-gop=1:scenecut=0:log-level=none"}),
    "references.webm": ("libvpx-vp9", {"g": "10", "auto-alt-ref": "1", "lag-in-frames": "12"}),
}


def hide(path: Path, hidden: Path, bit: int, places: Sequence[int]) -> Path:
    """A copy of a video whose packets at some places are only referred to, in WebM at the time of the frame behind."""
    with av.open(str(path)) as source, av.open(str(hidden), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for place, packet in enumerate(packets):
            content = bytearray(bytes(packet))
            later = packets[place + 1] if place in places and hidden.suffix == ".webm" else packet
            if place in places:
                content[0] &= ~bit
            copy = av.Packet(bytes(content))
            copy.pts, copy.dts, copy.time_base = later.pts, later.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            target.mux(copy)
    return hidden


@pytest.mark.parametrize("name", KINDS)
def test_any_part_of_a_video_is_the_same_as_decoding_from_the_start(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, *KINDS[name])
    whole = in_sequence(path)
    video = read_video(str(path))
    assert len(whole) == len(video) == COUNT
    # And in the order in which it was filmed.
    assert [nearest(frame) for frame in whole] == list(range(COUNT))
    require_parts(video, whole)


# WebM's own muxer would put VP9's into one packet with the frame behind.
@pytest.mark.parametrize(
    ("name", "codec", "bit", "places"),
    [("b.webm", "libvpx", 0x10, (1, 7, 12, 20)), ("b.avi", "libvpx-vp9", 0x02, (10, 20))],
    ids=["vp8", "vp9"],
)
def test_packets_that_are_only_referred_to_are_no_frames(
    tmp_path: Path, name: str, codec: str, bit: int, places: tuple[int, ...]
) -> None:
    path = hide(write_video(tmp_path / "a.webm", codec, {"g": "10"}), tmp_path / name, bit, places)
    video = read_video(str(path))
    assert video.packets.stop == COUNT
    whole = in_sequence(path)
    assert [nearest(frame) for frame in whole] == [i for i in range(COUNT) if i not in places]
    require_parts(video, whole)


def test_moments_at_which_an_avi_shows_the_same_frame_are_no_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", "mpeg4", {"g": "8"}, moments=[*range(10), *range(20, 40)])
    video = read_video(str(path))
    assert video.timestamps == (*range(10), *range(20, 40))
    require_parts(video, in_sequence(path))


def test_frames_at_the_same_time_are_shown_as_they_are_decoded(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "a.mkv", "libx264", {"g": "8", "bf": "2"})
    path = tmp_path / "b.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None:
                packet.pts -= 40 * (packet.pts in {200, 440})
                packet.stream = stream
                target.mux(packet)
    video = read_video(str(path))
    assert len(set(video.timestamps)) == COUNT - 2
    require_parts(video, in_sequence(plain))


def test_a_video_and_its_own_frames_as_images_are_the_same_block(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    paths = [tmp_path / f"{i}.png" for i in range(COUNT)]
    for image, frame in zip(paths, in_sequence(path), strict=True):
        assert cv2.imwrite(str(image), frame)
    images = ImageFrames(tuple(map(str, paths)), WIDTH, HEIGHT)
    for source in (images, read_video(str(path))):
        block, _ = load_block(BlockRequest(9, source.part(9, 20), rects(9, 20), CUBIC, True), UNET_328)
        assert block.frames is not None
        assert np.array_equal(block.frames, np.stack(in_sequence(path)[9:20]))


def test_nothing_is_made_of_images_that_are_not_what_was_seen(tmp_path: Path) -> None:
    source = witnessed(write_images(tmp_path, "bmp"))
    masks = witnessed(write_images(tmp_path, "png"))
    request = BlockRequest(0, source, rects(0, 6), CUBIC, True, parsing=masks)
    before, _ = load_block(request, UNET_328)
    for path in (source.paths[4], masks.paths[1]):
        content = Path(path).read_bytes()
        # Another picture of the same size, in the same number of bytes where that is how pictures are stored.
        assert cv2.imwrite(path, picture(9))
        with pytest.raises(StoppedError, match="changed while the run lived") as caught:
            load_block(request, UNET_328)
        assert path in caught.value.reason
        Path(path).write_bytes(content)
    # A part holds what was seen of its own images, and what is back as it was serves again.
    block, _ = load_block(replace(request, source=source.part(2, 6), rects=rects(2, 6), parsing=None), UNET_328)
    assert np.array_equal(np.asarray(block.frames), np.asarray(before.frames)[2:])


def test_nothing_is_made_of_a_video_with_one_other_byte(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    video = read_video(str(path))
    whole = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position = (packets[12].pos or 0) + packets[12].size - 1
    damaged = bytearray(whole)
    damaged[position] ^= 1
    path.write_bytes(damaged)
    require_changed(video.part(video.places.index(12), COUNT), path)
    # What lies before it is what it was.
    block, _ = load_block(BlockRequest(0, video.part(0, 6), rects(0, 6), CUBIC, True), UNET_328)
    path.write_bytes(whole)
    assert np.array_equal(np.asarray(block.frames), np.stack(in_sequence(path)[:6]))


def test_nothing_is_made_of_a_video_whose_header_says_something_else(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    video = read_video(str(path))
    content = bytearray(path.read_bytes())
    # The profile that the decoder is told, before any packet.
    content[content.index(b"avcC") + 6] ^= 1
    path.write_bytes(content)
    require_changed(video.part(0, 3), path)


def test_nothing_is_made_of_a_video_in_the_place_of_another(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", *KINDS["plain.mkv"])
    video = read_video(str(path))
    write_video(path, "libx264", {"g": "5", "bf": "0", "crf": "30"})
    require_changed(video.part(10, 12), path)


def test_a_video_that_has_become_shorter_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", *KINDS["plain.mkv"])
    video = read_video(str(path))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    require_changed(video.part(20, COUNT), path)


def test_a_video_that_is_gone_or_no_video_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    video = read_video(str(path)).part(0, 2)
    path.write_bytes(b"no video" * 100)
    require_changed(video, path)
    path.unlink()
    error = refusal(video, 2)
    assert error.subject == str(path)
    assert "cannot be read" in error.problem


def test_a_video_of_another_size_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    error = refusal(replace(read_video(str(path)).part(0, 2), width=128), 2)
    assert f"{WIDTH}x{HEIGHT}" in error.problem


def test_a_frame_that_the_video_does_not_have_is_an_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", *KINDS["closed.mp4"])
    video = read_video(str(path))
    nowhere = (len(video),)
    error = refusal(replace(video, timestamps=nowhere, places=nowhere), 1)
    assert "do not decode" in error.problem


SMALL = replace(UNET_328, name="small", crop=24, inner=16, mask=(2, 2, 12, 12))


def write_planes(path: Path, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    planes = np.random.default_rng(4).random((count, 6, 16, 16), np.float32)
    path.write_bytes(planes.astype("<f4").tobytes())
    return planes


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (0, 1), (4, 7), (8, 9)])
def test_planes_are_read_from_their_place(tmp_path: Path, start: int, stop: int) -> None:
    path = tmp_path / "visual_input.bin"
    planes = write_planes(path, 9)
    source = PlaneFile(str(path), 0, 9).part(start, stop)
    block, receipt = load_block(BlockRequest(start, source, (), CUBIC, False), SMALL)
    assert (block.first, block.rects, block.frames, block.crops) == (start, (), None, None)
    assert block.planes is not None
    assert block.planes.dtype == np.float32
    assert np.array_equal(block.planes, planes[start:stop])
    assert receipt.bytes == block.planes.nbytes


def test_nothing_is_made_of_planes_written_after_they_were_seen(tmp_path: Path) -> None:
    path = tmp_path / "visual_input.bin"
    write_planes(path, 3)
    source = PlaneFile(str(path), 0, 3, storage.stamp(str(path)))
    load_block(BlockRequest(1, source.part(1, 3), (), CUBIC, False), SMALL)
    content = path.read_bytes()
    path.write_bytes(content[::-1])
    os.utime(path, ns=(0, (source.stamp or (0, 0))[1] + 1))
    with pytest.raises(StoppedError, match="changed while the run lived"):
        load_block(BlockRequest(1, source.part(1, 3), (), CUBIC, False), SMALL)


def test_a_plane_file_that_has_become_shorter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "visual_input.bin"
    write_planes(path, 3)
    path.write_bytes(path.read_bytes()[:-1])
    sources: Sequence[PlaneFile] = (PlaneFile(str(path), 0, 3), PlaneFile(str(path), 2, 1), PlaneFile(str(path), 5, 1))
    for source in sources:
        with pytest.raises(InputError, match="shorter") as caught:
            load_block(BlockRequest(source.first, source, (), CUBIC, False), SMALL)
        assert caught.value.subject == str(path)
    block, _ = load_block(BlockRequest(0, PlaneFile(str(path), 0, 2), (), CUBIC, False), SMALL)
    assert block.planes is not None


def test_a_plane_file_that_is_gone_is_named(tmp_path: Path) -> None:
    source = PlaneFile(str(tmp_path / "visual_input.bin"), 0, 1)
    with pytest.raises(InputError):
        load_block(BlockRequest(0, source, (), CUBIC, False), SMALL)
