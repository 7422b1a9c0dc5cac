"""Blocks that fit the object store, and ranges that cover the frames and shrink towards the end."""

import itertools
from fractions import Fraction

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.choices import Delivery, ImageFormat, Loop
from actors.core.clip import Clip, FaceBox, ImageFrames, PlaneFile
from actors.core.errors import InputError
from actors.core.pairing import Pairing, background_index, retimed
from actors.core.ranges import FrameRange
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.planning.block_plan import (
    BLOCK_BYTES,
    BLOCK_FRAMES,
    LEAST_BLOCKS,
    STORE_SHARE,
    BlockPlan,
    background_bytes,
    faces_pay,
    plan_blocks,
    plan_whole,
    preparing_pays,
)
from jobs.planning.range_plan import (
    FRAMES_PER_NEIGHBOUR,
    LONGEST_RANGE,
    RANGES_PER_WORKER,
    WORKERS_PER_FRAME,
    plan_ranges,
)

JPG = Delivery(ImageFormat.JPG, 95, video=False)
# The frame, its crop, and what the seam of a square of 9 px is measured with.
HD = 3 * (1280 * 720 + 328 * 328) + 42 * 9

frame_sets = st.one_of(
    st.integers(0, 2000).map(lambda n: list(range(n))), st.sets(st.integers(0, 1500), max_size=400).map(sorted)
)


def clip_of(width: int, height: int) -> Clip:
    frames = ImageFrames(("/c/0.png",), width, height)
    return Clip("c", "/c", "dataset", frames, None, (FaceBox(0, 0, 9, 9),), None, None, 0, None, (), ())


def test_a_background_is_its_frame_and_its_crop() -> None:
    clip = clip_of(1280, 720)
    crop, frame = 3 * 328 * 328, 3 * 1280 * 720
    assert background_bytes(clip, UNET_328, None, prepare=True) == crop
    for image_format in ImageFormat:
        assert background_bytes(clip, UNET_328, Delivery(image_format, 0, video=False), prepare=False) == HD
    # Where frame files are spliced, the frame itself need not be held.
    assert crop < background_bytes(clip, UNET_328, JPG, prepare=True) < HD
    # A video needs it, and half as much again in its own colours.
    video = Delivery(ImageFormat.NONE, 0, video=True)
    assert background_bytes(clip, UNET_328, video, prepare=True) == HD + frame // 2
    assert background_bytes(clip, UNET_328, Delivery(ImageFormat.WEBP, 101, video=False), prepare=True) == HD
    # Where the frame's own pixels are mixed in, those under the square are kept, with a weight each.
    for delivery in (JPG, video):
        plain = background_bytes(clip, UNET_328, delivery, prepare=True)
        assert background_bytes(clip, UNET_328, delivery, prepare=True, mixed=True) == plain + 4 * 9 * 9
    assert background_bytes(clip, UNET_328, None, prepare=True, mixed=True) == crop
    planes = Clip("c", "/c", "binary", None, PlaneFile("/c/v.bin", 0, 4), None, None, "/c/a", 4, None, (), ())
    assert background_bytes(planes, UNET_328, None, prepare=False) == 4 * 6 * 320 * 320


def test_preparing_pays_where_backgrounds_are_shown_again() -> None:
    assert not preparing_pays(500, 500)
    assert not preparing_pays(1, 64)
    assert preparing_pays(1000, 500)


def test_the_face_encoder_runs_ahead_where_backgrounds_are_shown_often() -> None:
    assert not faces_pay(266, 100, 1)
    assert faces_pay(267, 100, 1)
    # Each block's loading counts.
    assert not faces_pay(267, 100, 2)
    assert not faces_pay(0, 0, 0)


@given(st.integers(1, 500), st.integers(1 << 10, 1 << 28), st.integers(0, 1 << 36))
def test_a_clip_is_planned_whole_or_not_at_all(backgrounds: int, each: int, store: int) -> None:
    plan = plan_whole(backgrounds, each, store)
    if plan is not None:
        assert plan.fits
        assert plan == plan_blocks(backgrounds, each, store)
    else:
        # Half of what the store is for would always do.
        assert 2 * (backgrounds + LEAST_BLOCKS) * each > int(store * STORE_SHARE)


@given(st.integers(1, 5000), st.integers(1 << 10, 1 << 30), st.integers(0, 1 << 40))
def test_blocks_cover_the_backgrounds_and_fit_the_store(backgrounds: int, each: int, store: int) -> None:
    if LEAST_BLOCKS * each > int(store * STORE_SHARE):
        with pytest.raises(InputError, match="object store"):
            plan_blocks(backgrounds, each, store)
        return
    plan = plan_blocks(backgrounds, each, store)
    bounds = [plan.bounds(block, backgrounds) for block in range(plan.count)]
    assert [i for start, stop in bounds for i in range(start, stop)] == list(range(backgrounds))
    assert all(stop > start for start, stop in bounds)
    assert plan.bytes == plan.frames * each
    assert plan.frames <= BLOCK_FRAMES
    assert plan.bytes <= BLOCK_BYTES or plan.frames == 1
    assert plan.capacity >= LEAST_BLOCKS
    assert plan.capacity * plan.bytes <= store * STORE_SHARE
    assert plan.fits == (plan.count <= plan.capacity)
    # As few as can be, and nearly of one size.
    largest = min(BLOCK_FRAMES, max(1, BLOCK_BYTES // each), int(store * STORE_SHARE) // (LEAST_BLOCKS * each))
    assert plan.frames <= largest
    assert (plan.count - 1) * largest < backgrounds
    assert bounds[0][1] - bounds[-1][1] + bounds[-1][0] < plan.count


def test_a_whole_small_clip_is_held_at_once_and_a_long_one_is_not() -> None:
    assert plan_blocks(523, HD, 4 << 30).fits
    long = plan_blocks(5 * 60 * 25, HD, 4 << 30)
    assert not long.fits
    assert long.capacity * long.bytes <= 4 << 30


def test_a_store_that_is_too_small_says_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        plan_blocks(100, HD, 20 << 20)
    assert str(caught.value).startswith("object store: 20 MiB are too few")
    assert "start Ray with --object-store-memory" in caught.value.fix
    assert "\n" not in str(caught.value)


@given(st.integers(1, 8192), st.integers(1, 8192), st.sampled_from([None, JPG]))
def test_following_the_advice_about_the_store_helps(width: int, height: int, delivery: Delivery | None) -> None:
    each = background_bytes(clip_of(width, height), UNET_328, delivery, prepare=False)
    with pytest.raises(InputError) as caught:
        plan_blocks(100, each, 0)
    advised = int(next(word for word in caught.value.fix.split() if word.isdecimal()))
    assert plan_blocks(100, each, advised).frames == 1


@settings(max_examples=examples(60))
@given(st.sampled_from([Loop.BOUNCE, Loop.MIRROR, Loop.WRAP]), st.integers(1, 300), st.integers(1, 70), st.data())
def test_a_range_needs_the_blocks_of_its_backgrounds(
    loop: Loop, backgrounds: int, size: int, data: st.DataObject
) -> None:
    plan = BlockPlan(size, -(-backgrounds // size), 8, 1)
    start = data.draw(st.integers(0, 1000))
    frames = FrameRange(start, start + data.draw(st.integers(1, 64)))
    pairing = Pairing(loop, backgrounds)
    shown = pairing.backgrounds_of(frames)
    assert shown == tuple(background_index(loop, frame, backgrounds) for frame in frames)
    blocks = plan.holding(shown)
    assert list(blocks) == sorted(set(blocks))
    held = {i for block in blocks for i in range(*plan.bounds(block, backgrounds))}
    assert held.issuperset(shown)
    # None of them is there in vain.
    assert all(set(range(*plan.bounds(block, backgrounds))) & set(shown) for block in blocks)


@settings(max_examples=examples(60))
@given(
    st.sampled_from(list(Loop)),
    st.integers(1, 2000),
    st.integers(1 << 10, 1 << 28),
    st.integers(0, 1 << 36),
    st.sampled_from([None, 12, 25, 60, 240, 2000]),
    st.sampled_from([0, 2]),
)
def test_no_range_needs_more_blocks_than_may_be_held(
    loop: Loop, backgrounds: int, each: int, store: int, rate: int | None, reach: int
) -> None:
    try:
        plan = plan_blocks(backgrounds, each, store)
    except InputError:
        return
    pairing = Pairing(loop, backgrounds, retimed(range(backgrounds), Fraction(1, rate), 25) if rate else None)
    frames = range(len(pairing) if loop is Loop.ONCE else min(3 * len(pairing), 900))
    for part in plan_ranges(frames, 2, 4, max(1, plan.frames // pairing.step), reach):
        assert len(plan.holding(pairing.backgrounds_of(pairing.around(part, reach, len(frames))))) <= plan.capacity


@settings(max_examples=examples(80))
@given(frame_sets, st.integers(1, 40), st.integers(1, 256), st.integers(1, 100))
def test_ranges_cover_the_frames_exactly(frames: list[int], workers: int, batch: int, longest: int) -> None:
    ranges = plan_ranges(frames, workers, batch, longest)
    assert [frame for part in ranges for frame in part] == frames
    assert all(1 <= len(part) <= min(longest, max(LONGEST_RANGE, batch)) for part in ranges)


@settings(max_examples=examples(80))
@given(st.integers(1, 3000), st.integers(1, 40), st.integers(1, 16), st.integers(1, 100))
def test_ranges_shrink_towards_the_end(count: int, workers: int, batch: int, longest: int) -> None:
    ranges = plan_ranges(range(count), workers, batch, longest)
    sizes = [len(part) for part in ranges]
    assert sizes == sorted(sizes, reverse=True)
    left = count
    # Nobody is given more than a fair part of what is left, unless it is the least: one batch, or for many workers
    # as many as make up a frame for each 16 of them.
    least = next(whole for whole in itertools.count(batch, batch) if WORKERS_PER_FRAME * whole >= workers)
    for size in sizes:
        assert size <= max(left / (RANGES_PER_WORKER * workers), least)
        left -= size


def test_all_workers_have_something_to_do_until_the_end() -> None:
    ranges = plan_ranges(range(1000), 4, 1, 64)
    assert len(ranges[0]) == 1000 // (RANGES_PER_WORKER * 4)
    assert [len(part) for part in ranges[-16:]] == [1] * 16


def test_many_workers_do_not_wait_for_the_driver_at_the_end() -> None:
    sizes = [len(part) for part in plan_ranges(range(96_000), 64, 1, 64)]
    assert min(sizes[:-1]) == 4
    assert max(sizes) == 64


@given(st.integers(1, 3000), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
def test_ranges_are_whole_batches_but_for_the_last(count: int, workers: int, batch: int) -> None:
    assert all(len(part) % batch == 0 for part in plan_ranges(range(count), workers, batch, 64)[:-1])


@pytest.mark.parametrize("batch", [3, 5, 24, 48])
def test_long_ranges_are_whole_batches_too(batch: int) -> None:
    ranges = plan_ranges(range(3000), 1, batch, 64)
    assert all(len(part) % batch == 0 for part in ranges[:-1])


@given(frame_sets, st.integers(1, 40), st.integers(1, 64), st.integers(1, 100), st.integers(1, 4))
def test_ranges_with_neighbours_are_long_enough_to_be_worth_them(
    frames: list[int], workers: int, batch: int, longest: int, reach: int
) -> None:
    ranges = plan_ranges(frames, workers, batch, longest, reach)
    assert [frame for part in ranges for frame in part] == frames
    assert all(len(part) <= min(longest, max(LONGEST_RANGE, batch)) for part in ranges)
    least = min(FRAMES_PER_NEIGHBOUR * reach, longest, LONGEST_RANGE)
    # Shorter ones end at a gap, at the last frame, or where whole batches need it.
    short = [part for part in ranges if len(part) < least - batch + 1]
    cut = {frame for frame in frames if frame + 1 not in frames}
    assert all(part.stop - 1 in cut or part.start - 1 not in frames for part in short)


def test_neighbours_cost_a_quarter_more_at_the_most() -> None:
    for count in (150, 1000, 10_000):
        ranges = plan_ranges(range(count), 2, 1, 64, 2)
        extra = sum(len(part.widened(2, count)) - len(part) for part in ranges) / count
        assert extra <= 0.25
    assert len(plan_ranges(range(1000), 2, 1, 64, 2)) < len(plan_ranges(range(1000), 2, 1, 64)) / 1.5


def test_gaps_end_ranges() -> None:
    done = {5, 6, 40}
    ranges = plan_ranges([i for i in range(60) if i not in done], 1, 4, 64)
    assert not [part for part in ranges if done.intersection(part)]
    assert any(after.start > before.stop for before, after in itertools.pairwise(ranges))


def test_nothing_to_do_is_no_range() -> None:
    assert plan_ranges([], 4, 4, 64) == ()
