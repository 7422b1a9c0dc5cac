"""A few small pictures of a run: from its frame files, or from its video."""

from __future__ import annotations

import base64
import os
import resource
import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.choices import ImageFormat
from actors.files.run_folder import RunFolder
from jobs.report.thumbnails import FRAMES, Thumbnail, read_strip, spread


def shade(picture: Thumbnail) -> float:
    """The mean of a picture's pixels, read by another decoder's way: from its JPEG file."""
    image = cv2.imdecode(np.frombuffer(base64.b64decode(picture.data), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (picture.height, picture.width, 3)
    return float(np.mean(image))


def grey(frame: int, width: int = 640, height: int = 360) -> np.ndarray:
    return np.full((height, width, 3), 20 + 4 * frame, np.uint8)


def write_frames(run: Path, suffix: str, frames: int) -> None:
    (run / "frames").mkdir(parents=True)
    for frame in range(frames):
        cv2.imwrite(str(run / "frames" / f"frame_{frame:06d}.{suffix}"), grey(frame))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=300, unique=True), st.integers(1, 20))
def test_frames_are_spread_from_the_first_to_the_last(frames: list[int], most: int) -> None:
    recorded = sorted(frames)
    chosen = spread(recorded, most)
    assert len(chosen) == len(set(chosen)) == min(most, len(recorded))
    assert set(chosen) <= set(recorded)
    assert chosen == sorted(chosen)
    assert chosen[0] == recorded[0]
    assert most == 1 or chosen[-1] == recorded[-1]


def test_frames_that_would_unpack_to_gigabytes_are_not_decoded(tmp_path: Path) -> None:
    """A JPEG whose header says 30,000 x 30,000, a file of 8 GiB without content, and a pipe that nobody writes to."""
    write_frames(tmp_path, "jpg", 4)
    files = sorted((tmp_path / "frames").iterdir())
    content = bytearray(files[0].read_bytes())
    sides = content.index(b"\xff\xc0") + 5
    content[sides : sides + 4] = struct.pack(">HH", 30000, 30000)
    files[0].write_bytes(content)
    os.truncate(files[1], 8 << 30)
    files[2].unlink()
    os.mkfifo(files[2])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat.JPG, range(4), 0)
    assert [picture.frame for picture in strip.pictures] == [3]
    assert strip.note.startswith("3 of 4 pictures cannot be read")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 500


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_pictures_come_from_frame_files(tmp_path: Path, suffix: str) -> None:
    write_frames(tmp_path, suffix, 50)
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat(suffix), range(50), 0)
    assert [picture.frame for picture in strip.pictures] == [0, 7, 14, 21, 28, 35, 42, 49]
    assert [shade(picture) for picture in strip.pictures] == pytest.approx(
        [20 + 4 * picture.frame for picture in strip.pictures], abs=2
    )
    assert {(picture.width, picture.height) for picture in strip.pictures} == {(320, 180)}
    assert strip.note == ""
    assert sum(len(picture.data) for picture in strip.pictures) < 400_000


def test_small_frames_are_not_blown_up(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "frame_000003.png"), grey(3, 64, 128))
    (picture,) = read_strip(RunFolder.at(tmp_path), ImageFormat.PNG, [3], 0).pictures
    assert (picture.width, picture.height) == (64, 128)


def test_frames_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    write_frames(tmp_path, "png", 8)
    (tmp_path / "frames" / "frame_000002.png").unlink()
    (tmp_path / "frames" / "frame_000003.png").write_bytes(b"")
    (tmp_path / "frames" / "frame_000004.png").write_bytes(b"no picture at all")
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat.PNG, range(8), 0)
    assert [picture.frame for picture in strip.pictures] == [0, 1, 5, 6, 7]
    assert strip.note.startswith("3 of 8 pictures cannot be read")


def write_video(path: Path, frames: int) -> None:
    """B-frames and a long way between key frames, as in a real one."""
    with av.open(path, "w", format="mp4") as video:
        stream = video.add_stream("libx264", rate=25, options={"bf": "3", "g": "40", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for frame in range(frames):
            image = av.VideoFrame.from_ndarray(grey(frame, 320, 180), format="bgr24")
            video.mux(stream.encode(image))
        video.mux(stream.encode(None))


def test_without_frame_files_pictures_come_from_the_video(tmp_path: Path) -> None:
    write_video(tmp_path / "video.mp4", 50)
    # The run began with output frame 100.
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat.NONE, range(100, 150), 100)
    assert [picture.frame for picture in strip.pictures] == [100, 107, 114, 121, 128, 135, 142, 149]
    # Two frames differ by 4 levels, so each is the right one; conversion moves them all by the same little.
    moved = [shade(picture) - (20 + 4 * (picture.frame - 100)) for picture in strip.pictures]
    assert max(map(abs, moved)) < 3
    assert max(moved) - min(moved) < 2
    assert strip.note == ""


@pytest.mark.parametrize("keep", [0, 40, 2000])
def test_a_damaged_video_is_said_so(tmp_path: Path, keep: int) -> None:
    write_video(tmp_path / "video.mp4", 50)
    whole = (tmp_path / "video.mp4").read_bytes()
    (tmp_path / "video.mp4").write_bytes(whole[:keep])
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat.NONE, range(50), 0)
    assert strip.pictures == ()
    assert "cannot be read" in strip.note


def test_a_file_of_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(tmp_path / "video.mp4", "w", format="mp4") as file:
        voice = file.add_stream("aac", rate=48000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 48000
        file.mux(voice.encode(sound))
        file.mux(voice.encode(None))
    assert "cannot be read" in read_strip(RunFolder.at(tmp_path), ImageFormat.NONE, range(5), 0).note


def test_with_nothing_to_show_it_says_so(tmp_path: Path) -> None:
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat.NONE, range(5), 0)
    assert (strip.pictures, strip.note) == (
        (),
        "This run has no frame files and no video, so there is nothing to show.",
    )
    strip = read_strip(RunFolder.at(tmp_path), ImageFormat.PNG, [], 0)
    assert (strip.pictures, strip.note) == ((), "No frame has been recorded yet.")
    assert len(spread(range(1000), FRAMES)) == FRAMES
