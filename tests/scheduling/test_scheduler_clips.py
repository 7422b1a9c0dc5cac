"""Several clips at once: their order, what they share, and that nothing of one harms another."""

from __future__ import annotations

from collections import Counter

import pytest
from observer import ManyClips, blocks_by, job_of

from actors.core.ranges import ClipBlock, ClipRange, divide
from jobs.scheduling.actions import DropBlock, LoadBlock, Render
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES
from jobs.scheduling.open_clip import ClipJob


def short(name: str, backgrounds: str | None = None, priority: int = 0) -> ClipJob:
    """40 frames in four ranges over two blocks."""
    return job_of(name, divide(range(40), 10), blocks_by(20), backgrounds or name, priority)


def begun(*jobs: ClipJob, workers: int = 1, capacity: int = 100) -> ManyClips:
    clips = ManyClips(workers=workers, capacity=capacity)
    for job in jobs:
        clips.begin_clip(job)
    return clips


def rendered_in_order(clips: ManyClips) -> list[str]:
    """The clip of each range, in the order in which they are given out while everything is answered."""
    order: list[str] = []
    while not clips.scheduler.finished:
        order += [action.range.clip for action in clips.act() if isinstance(action, Render)]
        clips.answer_all()
        clips.check()
    return order


def test_clips_are_rendered_in_the_order_of_their_opening_without_a_gap() -> None:
    clips = begun(short("b"), short("a"))
    assert rendered_in_order(clips) == ["b"] * 4 + ["a"] * 4


def test_while_the_last_range_of_a_clip_is_rendered_the_first_of_the_next_waits_behind_it() -> None:
    clips = begun(short("a"), short("b"))
    clips.act()
    clips.answer_preparations()
    clips.act()
    clips.answer_preparations()
    for _ in range(3):
        clips.deliver(0)
        clips.act()
    assert [given.clip for given in clips.given[0]] == ["a", "b"]


def test_priority_comes_before_the_order_of_opening() -> None:
    assert rendered_in_order(begun(short("a"), short("b", priority=1), short("c", priority=1))) == [
        *["b"] * 4,
        *["c"] * 4,
        *["a"] * 4,
    ]


def test_the_next_clips_blocks_are_loaded_while_the_first_is_rendered() -> None:
    clips = begun(short("a"), short("b"))
    loaded: list[ClipBlock] = []
    while not clips.done:
        loaded += [action.block for action in clips.act() if isinstance(action, LoadBlock)]
        clips.answer_all()
    assert loaded == [ClipBlock(name, number) for name in "ab" for number in (0, 1)]


def test_backgrounds_that_clips_share_are_loaded_once_and_dropped_when_nobody_needs_them() -> None:
    clips = begun(short("a", "avatar"), short("b", "avatar"))
    loads: Counter[ClipBlock] = Counter()
    while not clips.open["a"].complete:
        loads.update(action.block for action in clips.act() if isinstance(action, LoadBlock))
        clips.answer_all()
    clips.end_clip("a")
    clips.begin_clip(short("c", "avatar"))
    while not clips.scheduler.finished:
        actions = clips.act()
        loads.update(action.block for action in actions if isinstance(action, LoadBlock))
        assert not any(isinstance(action, DropBlock) for action in actions)
        clips.answer_all()
    assert loads == Counter([ClipBlock("avatar", 0), ClipBlock("avatar", 1)])
    clips.end_clip("b")
    clips.end_clip("c")
    clips.begin_clip(short("d"))
    dropped = [action.block for action in clips.act() if isinstance(action, DropBlock)]
    assert dropped == [ClipBlock("avatar", 0), ClipBlock("avatar", 1)]


def test_clips_that_do_not_fit_into_the_store_together_follow_each_other() -> None:
    clips = begun(*(short(name) for name in "abcd"), workers=3, capacity=2)
    clips.drain()
    assert len(clips.done) == 160


def test_blocks_of_different_sizes_are_held_by_their_bytes() -> None:
    large = ClipJob(
        "large",
        tuple(ClipRange("large", part) for part in divide(range(30), 10)),
        lambda given: (ClipBlock("large", given.frames.start // 10),),
        block_bytes=5,
    )
    clips = begun(large, short("small"), capacity=7)
    while not clips.scheduler.finished:
        clips.act()
        held = Counter(block.clip for block in clips.coming | clips.held)
        assert 5 * held["large"] + held["small"] <= 7
        clips.answer_all()
    assert len(clips.done) == 70


def test_a_clip_whose_blocks_are_lost_again_and_again_fails_alone() -> None:
    clips = begun(short("bad"), short("good"), workers=2)
    for _ in range(MAX_BLOCK_LOSSES):
        clips.act()
        clips.vanish(ClipBlock("bad", 0))
    assert "was lost" in str(clips.open["bad"].fault)
    assert clips.stopped is None
    while not clips.open["good"].complete:
        clips.act()
        clips.answer_all()
        clips.check()
    assert "was lost" in str(clips.stopped)
    assert clips.open["good"].incidents.blocks_lost == 0
    clips.end_clip("bad")
    assert clips.scheduler.finished


def test_what_workers_still_have_of_a_closed_clip_counts_no_more() -> None:
    clips = begun(short("a"), short("b"), workers=2)
    clips.act()
    clips.answer_preparations()
    clips.act()
    clips.answer_preparations()
    assert {given.clip for queue in clips.given.values() for given in queue} == {"a"}
    clips.end_clip("a")
    clips.die(0)
    clips.deliver(1)
    clips.check()
    clips.drain()
    assert {name for name, _ in clips.done} == {"b"}
    assert clips.open["b"].incidents.deaths == []


def test_a_poison_frame_is_its_clips() -> None:
    clips = begun(short("a"), job_of("b", divide(range(100, 140), 10), blocks_by(200), "b"), workers=2)
    clips.drain(kills=lambda frames: 107 in frames)
    assert [failure.frame for failure in clips.open["b"].failures] == [107]
    assert not clips.open["a"].failures
    assert clips.open["a"].done == 40


def test_ranges_of_two_clips_are_never_given_out_as_one() -> None:
    """Their frames follow each other, and their blocks are the same."""
    clips = begun(
        job_of("a", divide(range(30), 10), blocks_by(1000), "shared"),
        job_of("b", divide(range(30, 1000), 10), blocks_by(1000), "shared"),
    )
    clips.act()
    clips.answer_preparations()
    while not clips.scheduler.finished:
        clips.act()
        for slot in clips.busy:
            clips.deliver(slot, seconds=0.001)
        clips.check()
    assert clips.renders < 100
    assert sorted(clips.done) == [*(("a", i) for i in range(30)), *(("b", i) for i in range(30, 1000))]


def test_a_clip_is_open_once() -> None:
    clips = begun(short("a"))
    with pytest.raises(ValueError, match="open already"):
        clips.scheduler.open(short("a"))
