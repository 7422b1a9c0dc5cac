"""Frames of videos: as players order them, the same wherever a block begins, none of what has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from blocks import (
    COUNT,
    CUBIC,
    HEIGHT,
    KINDS,
    WHOLE,
    WIDTH,
    boxes,
    crop_of,
    full_frames,
    in_sequence,
    picture,
    refusal,
    require_changed,
    square,
    write_video,
)

from actors.core.clip import VideoFrames
from actors.core.pixels import Image
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.rendering.blocks import BlockRequest, PictureBlock, load_block
from jobs.clip.video_source import read_video


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
        request = BlockRequest(start, video.part(start, stop), boxes(start, stop), CUBIC, WHOLE)
        block, _ = load_block(request, UNET_328)
        assert isinstance(block, PictureBlock)
        assert np.array_equal(full_frames(block), np.stack(whole[start:stop])), (start, stop)
        assert np.array_equal(block.crops[-1], crop_of(whole[stop - 1], square(stop - 1), CUBIC))


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


def cut_by_edit_list(packet: av.Packet[av.VideoStream]) -> None:
    if packet.pts is not None and packet.dts is not None:
        packet.pts, packet.dts = packet.pts - 10 * 512, packet.dts - 10 * 512


def shown_when_decoded(packet: av.Packet[av.VideoStream]) -> None:
    packet.pts = packet.dts


@pytest.mark.parametrize(
    ("name", "options", "change", "shown"),
    [
        ("edited.mp4", {}, cut_by_edit_list, range(10, COUNT)),
        ("edited.mov", {}, cut_by_edit_list, range(10, COUNT)),
        ("early.mkv", {}, cut_by_edit_list, range(COUNT)),
        ("wrong.mkv", {}, shown_when_decoded, range(COUNT)),
        ("pieces.mp4", {"movflags": "frag_keyframe+empty_moov"}, lambda _: None, range(COUNT)),
    ],
)
def test_clocks_of_all_sorts_give_the_frames_that_players_show(
    tmp_path: Path,
    name: str,
    options: dict[str, str],
    change: Callable[[av.Packet[av.VideoStream]], None],
    shown: Sequence[int],
) -> None:
    plain, path = write_video(tmp_path / "a.mp4", *KINDS["open.mp4"]), tmp_path / name
    with av.open(str(plain)) as source, av.open(str(path), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                change(packet)
                packet.stream = stream
                target.mux(packet)
    whole = in_sequence(path)
    assert [nearest(frame) for frame in whole] == list(shown)
    require_parts(read_video(str(path)), whole)


def test_an_avi_without_an_index_is_read_on_from_its_beginning(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", *KINDS["reordered.avi"])
    content = bytearray(path.read_bytes())
    del content[content.index(b"idx1") :]
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    path.write_bytes(content)
    require_parts(read_video(str(path)), in_sequence(path))


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


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("shown", [0, 1])
def test_of_several_tracks_the_frames_are_those_of_the_one_that_players_show(
    tmp_path: Path, suffix: str, shown: int
) -> None:
    """A preview or a view from another side may stand before it."""
    wanted = write_video(tmp_path / "wanted.mp4", "libx264", {"g": "8", "bf": "2"})
    other = write_video(tmp_path / "other.mp4", "mpeg4", {})
    paths = [other, wanted] if shown else [wanted, other]
    path = tmp_path / f"both.{suffix}"
    with av.open(str(path), "w") as target:
        sources = [av.open(str(source)) for source in paths]
        tracks = [target.add_stream_from_template(source.streams.video[0]) for source in sources]
        for number, track in enumerate(tracks):
            track.disposition = Disposition.default if number == shown else Disposition(0)
        for source, track in zip(sources, tracks, strict=True):
            for packet in source.demux(video=0):
                packet.stream = track
                if packet.size:
                    target.mux(packet)
            source.close()
    require_parts(read_video(str(path)), in_sequence(wanted))


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
    block, _ = load_block(BlockRequest(0, video.part(0, 6), boxes(0, 6), CUBIC, WHOLE), UNET_328)
    path.write_bytes(whole)
    assert np.array_equal(full_frames(block), np.stack(in_sequence(path)[:6]))


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
