from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import small
from hypothesis import given
from hypothesis import strategies as st

from actors.core.clip import ImageFrames, VideoFrames
from actors.core.ranges import FrameRange, divide
from actors.core.video_packets import KeyPacket, Packets
from jobs.faces.search_plan import LONGEST, SHORTEST, keyframes, plan_search

MISSING = st.sets(st.integers(0, 3000), min_size=1, max_size=900).map(sorted)
KEYS = st.sets(st.integers(0, 3000), max_size=40).map(sorted)


@given(missing=MISSING, keys=KEYS, cpus=st.integers(1, 64))
def test_every_missing_frame_is_searched_once(missing: list[int], keys: list[int], cpus: int) -> None:
    ranges = plan_search(divide(missing, len(missing)), keys, cpus)
    assert [frame for span in ranges for frame in span] == missing
    assert max(map(len, ranges)) < 3 * LONGEST / 2 + SHORTEST


@given(frames=st.integers(1, 5000), cpus=st.integers(1, 64))
def test_ranges_are_of_one_size_without_keyframes(frames: int, cpus: int) -> None:
    sizes = [len(span) for span in plan_search([FrameRange(0, frames)], (), cpus)]
    assert len(set(sizes[:-1])) <= 1
    assert min(sizes) >= min(SHORTEST, frames)


def test_ranges_begin_at_keyframes_that_are_near() -> None:
    ranges = plan_search([FrameRange(0, 1000)], range(0, 1000, 250), 2)
    assert [span.start for span in ranges] == [0, 250, 500, 750]


def test_ranges_begin_anywhere_where_keyframes_are_far() -> None:
    assert [span.start for span in plan_search([FrameRange(0, 600)], [0], 2)] == [0, 256, 512]


def test_every_cpu_has_a_range() -> None:
    spans = plan_search([FrameRange(0, 100)], (), 4)
    assert [(span.start, span.stop) for span in spans] == [
        (0, 25),
        (25, 50),
        (50, 75),
        (75, 100),
    ]


def video(places: tuple[int, ...], keys: tuple[int, ...]) -> VideoFrames:
    packets = Packets(0, b"", tuple(KeyPacket(place, place, place) for place in keys))
    times = tuple(range(len(places)))
    return VideoFrames("v.mp4", times, places, Fraction(1, 25), packets, 8, 8, Fraction(25))


@pytest.mark.parametrize(
    ("places", "keys", "frames"),
    [((0, 1, 2, 3), (0, 2), (0, 2)), ((0, 3, 1, 2, 4), (0, 4), (0, 4)), ((2, 3), (0,), ())],
)
def test_keyframes_are_frames(places: tuple[int, ...], keys: tuple[int, ...], frames: tuple[int, ...]) -> None:
    assert keyframes(video(places, keys)) == frames


def test_images_have_none(tmp_path: Path) -> None:
    assert keyframes(ImageFrames((str(tmp_path / "0.png"),), small.WIDTH, small.HEIGHT)) == ()
