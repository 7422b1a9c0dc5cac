"""Background blocks are loaded ahead, held while they are needed, and loaded again when they are lost."""

from __future__ import annotations

from collections import Counter

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import blocks_by
from one_clip import Cluster, block_of_clip, running

from actors.core.ranges import FrameRange, divide
from jobs.scheduling.actions import DropBlock, LoadBlock, Render
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(2, 9))
def test_a_clip_larger_than_the_store_is_streamed(capacity: int, workers: int, loaders: int, size: int) -> None:
    ranges = divide(range(200), size)
    blocks_of = blocks_by(size * 2)
    capacity = max(capacity, *(len(blocks_of(part)) for part in ranges))
    cluster = Cluster(range(200), ranges, blocks_of, workers=workers, capacity=capacity, loaders=loaders)
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(200))


def test_streaming_forwards_loads_every_block_once() -> None:
    cluster = Cluster(range(120), divide(range(120), 5), blocks_by(10), workers=2, capacity=3)
    loads: Counter[int] = Counter()
    drops: Counter[int] = Counter()
    while not cluster.scheduler.finished:
        for action in cluster.act():
            if isinstance(action, LoadBlock):
                loads[action.block.number] += 1
            if isinstance(action, DropBlock):
                drops[action.block.number] += 1
        cluster.answer_all()
    assert loads == Counter(range(12))
    assert max(drops.values()) == 1


def test_blocks_load_ahead_while_ranges_are_rendered() -> None:
    cluster = Cluster(range(40), divide(range(40), 10), blocks_by(10), workers=1, capacity=4)
    cluster.begin()
    assert cluster.queues[0] == [FrameRange(0, 10)]
    assert cluster.loading == {1, 2}


def test_a_worker_is_given_the_first_range_whose_blocks_are_there() -> None:
    cluster = Cluster(range(40), divide(range(40), 10), blocks_by(10), workers=1, capacity=4)
    cluster.act()
    cluster.ready(0)
    cluster.load(1)
    assert [action.range.frames for action in cluster.act() if isinstance(action, Render)] == [FrameRange(10, 20)]


def test_a_lost_block_is_loaded_again() -> None:
    cluster = running(1)
    cluster.lose(0)
    cluster.give_back(0)
    cluster.give_back(0)
    assert cluster.act() == [LoadBlock(block_of_clip(0))]
    cluster.drain()
    assert sorted(cluster.delivered) == list(range(40))
    assert cluster.incidents.blocks_lost == 1


def test_a_block_that_is_lost_again_and_again_ends_the_run() -> None:
    cluster = Cluster(range(10), [FrameRange(0, 10)], blocks_by(10), workers=1, capacity=1)
    for _ in range(MAX_BLOCK_LOSSES):
        assert cluster.stopped is None
        cluster.act()
        cluster.lose(0)
    assert "block 0 was lost" in str(cluster.stopped)
    assert cluster.act() == []


def test_one_loss_reported_by_many_ranges_is_one_loss() -> None:
    """A node goes and takes a block along: each of the ranges in flight on it says so, and it is one loss."""
    cluster = running(4, total=80)
    for _ in cluster.queues:
        cluster.lose(0)
        cluster.lose(0)
    for slot in list(cluster.queues):
        cluster.give_back(slot)
        cluster.give_back(slot)
    assert cluster.stopped is None
    assert cluster.incidents.blocks_lost == 1
