"""Loops, windows and ranges against the stepping, one-at-a-time rules of the reference."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import reference
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.core.audio_track import AudioTrack, audio_windows
from actors.core.choices import Loop
from actors.core.pairing import Pairing, background_index, retimed
from actors.core.ranges import FrameRange, divide
from actors.kinds.unet_328_ave import KIND as UNET_328

# Every row of these features is told from every other, and no row is zero.
ROWS = np.arange(1, 121, dtype=np.float32)[:, None] + np.linspace(0, 0.5, 512, dtype=np.float32)

frame_sets = st.sets(st.integers(0, 300)).map(sorted)


def windows_of(features: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    return np.stack([reference.audio_window(features, i) for i in range(start, stop)])


@pytest.mark.parametrize("loop", [Loop.BOUNCE, Loop.MIRROR, Loop.WRAP])
def test_a_loop_steps_as_the_reference(loop: Loop) -> None:
    for n in range(1, 61):
        # More than two periods of the longest loop.
        for t in range(0, 4 * n + 5, 1 if n < 20 else 7):
            assert background_index(loop, t, n) == reference.background_index(loop.value, t, n)


@given(st.integers(1, 60), st.integers(0, 1000))
def test_bounce_is_the_stepping_rule_far_from_the_start(n: int, t: int) -> None:
    assert background_index(Loop.BOUNCE, t, n) == reference.bounce(t, n)


@given(st.sampled_from(list(Loop)), st.integers(1, 60), st.integers(0, 10**12))
def test_every_loop_stays_within_the_backgrounds(loop: Loop, n: int, t: int) -> None:
    if loop is Loop.ONCE and t >= n:
        with pytest.raises(IndexError):
            background_index(loop, t, n)
    else:
        assert 0 <= background_index(loop, t, n) < n


@given(st.integers(1, 60), st.integers(0, 1000))
def test_neighbouring_frames_of_a_turning_loop_are_neighbours(n: int, t: int) -> None:
    for loop in (Loop.BOUNCE, Loop.MIRROR):
        assert abs(background_index(loop, t + 1, n) - background_index(loop, t, n)) <= 1


@pytest.mark.parametrize("n", [1, 2, 17])
def test_once_shows_each_background_once_and_then_ends(n: int) -> None:
    assert [background_index(Loop.ONCE, t, n) for t in range(n)] == list(range(n))
    with pytest.raises(IndexError):
        background_index(Loop.ONCE, n, n)
    with pytest.raises(IndexError, match="only"):
        reference.once(n, n)


def on_show(timestamps: list[int], time_base: Fraction, fps: int) -> list[int]:
    """By looking at every frame at the time of every output frame; due within a millisecond is due."""
    seconds = [(timestamp - timestamps[0]) * time_base for timestamp in timestamps]
    end = seconds[-1] + seconds[-1] / max(1, len(seconds) - 1)
    due = [Fraction(j, fps) + Fraction(1, 1000) for j in range(int(end * fps) + 2)]
    found = [max(i for i, second in enumerate(seconds) if second <= time) for time in due if time < end]
    return found or [0]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.integers(1, 90), max_size=60),
    st.sampled_from([Fraction(1, 30), Fraction(1, 600), Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000)]),
    st.integers(-1000, 1000),
    st.sampled_from([20, 25, 30]),
)
def test_by_time_a_frame_is_drawn_on_what_is_on_show(
    steps: list[int], time_base: Fraction, first: int, fps: int
) -> None:
    timestamps = [*itertools.accumulate(steps, initial=first)]
    shown = retimed(timestamps, time_base, fps)
    assert list(shown) == on_show(timestamps, time_base, fps)
    assert list(shown) == sorted(shown)


@pytest.mark.parametrize("fps", [20, 25])
@pytest.mark.parametrize("rate", [Fraction(20), Fraction(24), Fraction(25), Fraction(30000, 1001), 30, 50, 60, 120])
@pytest.mark.parametrize("clock", [1000, 90000, None], ids=["milliseconds", "90 kHz", "its own"])
def test_an_even_rate_becomes_another_whatever_the_clock_rounds(fps: int, rate: Fraction, clock: int | None) -> None:
    rate = Fraction(rate)
    base = Fraction(1, clock) if clock else 1 / rate
    count = 10 * round(rate) + 1
    timestamps = [round(i / rate / base) for i in range(count)]
    shown = retimed(timestamps, base, fps)
    assert abs(len(shown) - count / rate * fps) <= 1
    # How long the frame has been on show; a millisecond is due to the clock, another to being due within one.
    late = [Fraction(j, fps) - frame / rate for j, frame in enumerate(shown)]
    assert min(late) >= -Fraction(2, 1000)
    assert max(late) < 1 / rate + Fraction(1, 1000)


def test_time_begins_with_the_earliest_stream() -> None:
    moments = range(6400, 6400 + 512 * 20, 512)
    base = Fraction(1, 12800)
    # Half a second is twelve and a half frames: the first is on show until its own time has come, and then its while.
    assert retimed(moments, base, 25, Fraction(1, 2)) == (0,) * 14 + tuple(range(1, 20))[: 33 - 14]
    assert retimed(moments, base, 25, Fraction(12, 25)) == (0,) * 12 + tuple(range(20))
    # Less than half a frame is a container's rounding.
    assert retimed(moments, base, 25, Fraction(19, 1000)) == tuple(range(20))
    assert retimed(moments, base, 25, Fraction(21, 1000)) == (0, *range(20))


def test_at_the_same_rate_time_and_index_are_one() -> None:
    assert retimed(range(0, 512 * 90, 512), Fraction(1, 12800), 25) == tuple(range(90))
    assert retimed([77], Fraction(1, 25), 25) == (0,)


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.integers(1, 120))
def test_windows_are_those_of_the_reference(data: st.DataObject, rows: int) -> None:
    start = data.draw(st.integers(0, rows - 1))
    stop = data.draw(st.integers(start + 1, rows))
    features = ROWS[:rows]
    windows = audio_windows(features, start, stop, UNET_328)
    assert windows.dtype == np.float32
    assert windows.shape == (stop - start, 32, 16, 16)
    assert np.array_equal(windows, windows_of(features, start, stop))


@pytest.mark.parametrize("rows", [*range(1, 19), 40])
def test_windows_of_a_few_rows_are_padded_with_zeros_on_both_sides(rows: int) -> None:
    features = ROWS[:rows]
    for start, stop in itertools.combinations(range(rows + 1), 2):
        windows = audio_windows(features, start, stop, UNET_328)
        assert np.array_equal(windows, windows_of(features, start, stop))


def test_the_own_row_is_the_ninth_of_its_window() -> None:
    window = audio_windows(ROWS, 20, 21, UNET_328)[0].reshape(16, 512)
    assert np.array_equal(window, ROWS[12:28])


def test_windows_do_not_depend_on_where_a_range_begins() -> None:
    whole = audio_windows(ROWS, 0, 40, UNET_328)
    for start in range(0, 40, 3):
        assert np.array_equal(audio_windows(ROWS, start, 40, UNET_328), whole[start:])


def test_a_track_of_features_cuts_windows_and_one_of_windows_gives_them_back() -> None:
    windows = windows_of(ROWS, 0, 30)
    for track in (AudioTrack(ROWS[:30], None), AudioTrack(None, audio_windows(ROWS[:30], 0, 30, UNET_328))):
        assert len(track) == 30
        assert np.array_equal(track.tensors(3, 9, UNET_328), windows[3:9])
    with pytest.raises(ValueError, match="features or windows"):
        len(AudioTrack(None, None))


@given(frame_sets, st.integers(1, 70))
def test_divide_covers_the_frames_in_order_and_nothing_else(frames: list[int], size: int) -> None:
    ranges = divide(frames, size)
    assert [frame for part in ranges for frame in part] == frames
    assert all(1 <= len(part) <= size for part in ranges)


@given(frame_sets, st.integers(1, 70))
def test_divide_cuts_only_at_gaps_and_full_ranges(frames: list[int], size: int) -> None:
    for before, after in itertools.pairwise(divide(frames, size)):
        assert before.stop < after.start or len(before) == size


@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 9), st.integers(0, 9))
def test_a_range_is_widened_by_the_frames_that_there_are(start: int, length: int, by: int, beyond: int) -> None:
    frames = FrameRange(start, start + length)
    wide = frames.widened(by, frames.stop + beyond)
    assert wide.covers(frames)
    assert set(wide) == {i for i in range(start - by, frames.stop + by) if 0 <= i < frames.stop + beyond}


@given(st.integers(0, 10**9 - 1), st.integers(0, 2000))
def test_a_range_is_named_after_its_bounds_and_read_back(start: int, length: int) -> None:
    frames = FrameRange(start, min(start + length, 10**9 - 1))
    assert FrameRange.parse(frames.id) == frames
    assert len(frames.id) == 19


@given(st.lists(st.builds(FrameRange, st.integers(0, 10**8), st.integers(0, 10**8)), max_size=8))
def test_names_sort_like_ranges(ranges: list[FrameRange]) -> None:
    assert [FrameRange.parse(name) for name in sorted(frames.id for frames in ranges)] == sorted(ranges)


@given(st.integers(0, 1000), st.integers(2, 1024))
def test_the_halves_of_a_range_are_the_range(start: int, length: int) -> None:
    frames = FrameRange(start, start + length)
    left, right = frames.cut(len(frames) // 2)
    assert [*left, *right] == list(frames)
    assert abs(len(left) - len(right)) <= 1
    assert frames.covers(left)
    assert frames.covers(right)
    assert not left.covers(frames)
    assert not left.covers(right)


def test_a_range_speaks_like_a_slice() -> None:
    assert str(FrameRange(3, 12)) == "3:12"
    assert FrameRange(3, 12).covers(FrameRange(3, 12))
    assert not FrameRange(3, 12).covers(FrameRange(2, 4))
    assert not FrameRange(3, 12).covers(FrameRange(11, 13))


@given(st.sampled_from([Loop.BOUNCE, Loop.MIRROR, Loop.WRAP]), st.integers(1, 90), st.integers(0, 400))
def test_by_time_the_rule_goes_through_what_is_on_show(loop: Loop, backgrounds: int, start: int) -> None:
    shown = retimed(range(backgrounds), Fraction(1, 30), 25)
    pairing = Pairing(loop, backgrounds, shown)
    places = [background_index(loop, frame, len(shown)) for frame in range(start, start + 40)]
    assert pairing.backgrounds_of(FrameRange(start, start + 40)) == tuple(shown[place] for place in places)
