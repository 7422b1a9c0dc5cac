"""Frames come one after the other, as soon as they are decoded, and each comes once."""

import tracemalloc
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from blocks import HEIGHT, KINDS, WIDTH, in_sequence, picture, write_video

from actors.core.clip import ImageFrames
from actors.core.errors import InputError
from actors.rendering.source_frames import frames_of
from jobs.clip.video_source import read_video

FRAME_BYTES = WIDTH * HEIGHT * 3
# Frames apart from these that are alive: converted, waiting, compressed.
SPARE = 14


@pytest.mark.parametrize("name", KINDS)
def test_frames_of_a_video_are_let_go_of_one_by_one(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, *KINDS[name])
    expected, source = in_sequence(path), read_video(str(path))
    for first in (0, len(source) // 2):
        found = list(frames_of(source.part(first, len(source)), first))
        assert np.array_equal(found, expected[first:])
    del found
    tracemalloc.start()
    for _ in frames_of(source):
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source) > 2 * SPARE
    assert most < SPARE * FRAME_BYTES


def test_images_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths[:2]):
        assert cv2.imwrite(str(path), picture(i))
    frames = frames_of(ImageFrames(tuple(map(str, paths)), WIDTH, HEIGHT))
    assert [np.array_equal(frame, picture(i)) for i, frame in enumerate(islice(frames, 2))] == [True, True]
    with pytest.raises(InputError, match=r"2\.png: cannot be read"):
        next(frames)


def test_what_comes_before_a_missing_frame_comes_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", "libx264", {"g": "6", "bf": "0"})
    whole = in_sequence(path)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = path.read_bytes()
    # A unit that says nothing of the picture, in place of its slice.
    filler = packets[20][:4] + bytes([12]) + packets[20][5:]
    path.write_bytes(content.replace(packets[20], filler))
    source = read_video(str(path)).part(13, 29)
    assert len(source.packets.starts(source.places[0])) == 3
    frames = frames_of(source, 13)
    assert all(np.array_equal(next(frames), frame) for frame in whole[13:20])
    with pytest.raises(InputError, match=r"a\.mp4: (some of its frames do not decode|cannot be decoded)"):
        next(frames)
