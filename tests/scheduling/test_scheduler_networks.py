"""Clips of several networks: which worker gets which, when one changes, and faults that stay those of their clips."""

from __future__ import annotations

from collections import Counter

import pytest
from observer import ManyClips, blocks_by, job_of

from actors.core.errors import InputError
from actors.core.ranges import ClipBlock, divide
from jobs.scheduling.actions import Action, DropBlock, EndWorker, LoadBlock, Render, StartWorker
from jobs.scheduling.networks import CHANGE_SECONDS
from jobs.scheduling.open_clip import ClipJob
from jobs.scheduling.worker_state import MAX_START_DEATHS


def clip(name: str, network: str, frames: int = 40) -> ClipJob:
    """Ranges of ten frames over blocks of twenty."""
    return job_of(name, divide(range(frames), 10), blocks_by(20), name, network=network)


def opened(*jobs: ClipJob, workers: int, capacity: int = 100) -> ManyClips:
    clips = ManyClips(workers=workers, capacity=capacity, loaders=20)
    for job in jobs:
        clips.begin_clip(job)
    return clips


def started(actions: list[Action]) -> list[tuple[int, str]]:
    return [(action.slot, action.network) for action in actions if isinstance(action, StartWorker)]


def one_ready_each(clips: ManyClips, seconds: float = 0.0) -> None:
    """Everything is prepared, and each worker has rendered one range in so many seconds."""
    clips.act()
    clips.answer_preparations()
    clips.act()
    for slot in clips.busy:
        clips.deliver(slot, seconds=seconds)


def test_slots_are_shared_by_what_is_left_to_do() -> None:
    clips = opened(clip("a", "one", 100), clip("b", "two", 300), workers=4)
    assert Counter(network for _, network in started(clips.act())) == {"one": 1, "two": 3}


def test_a_network_with_little_left_has_a_worker_all_the_same() -> None:
    clips = opened(clip("a", "one", 1000), clip("b", "two", 10), workers=2)
    assert {network for _, network in started(clips.act())} == {"one", "two"}


def test_what_several_clips_of_a_network_have_left_counts_together() -> None:
    clips = opened(clip("a", "one", 60), clip("b", "two", 50), clip("c", "two", 50), workers=1)
    assert started(clips.act()) == [(0, "two")]


def test_nobody_is_started_while_nothing_is_pending() -> None:
    clips = opened(workers=2)
    assert clips.act() == []
    clips.begin_clip(clip("a", "one", 10))
    one_ready_each(clips)
    clips.die(1)
    assert clips.act() == []
    clips.begin_clip(clip("b", "two", 10))
    assert (1, "two") in started(clips.act())


def test_a_worker_is_given_ranges_of_its_own_network_only() -> None:
    clips = opened(clip("a", "one"), clip("b", "two"), workers=2)
    clips.act()
    clips.answer_preparations()
    given = {action.slot: action.range.clip for action in clips.act() if isinstance(action, Render)}
    assert given == {slot: {"one": "a", "two": "b"}[network] for slot, network in clips.networks.items()}
    clips.drain()
    assert len(clips.done) == 80
    assert not clips.deaths


def test_a_worker_takes_a_network_that_nobody_has_when_its_own_has_nothing_left() -> None:
    clips = opened(clip("a", "one", 20), clip("b", "two", 10), workers=1)
    assert started(clips.act()) == [(0, "one")]
    clips.answer_preparations()
    clips.act()
    clips.deliver(0)
    # The last range of its own is still with it.
    assert clips.act() == []
    clips.deliver(0)
    assert clips.act()[:2] == [EndWorker(0), StartWorker(0, "two")]
    clips.drain()
    assert clips.open["b"].complete
    assert clips.scheduler.deaths == []


@pytest.mark.parametrize(("seconds", "changes"), [(1.0, False), (3.0, True)])
def test_a_worker_helps_another_network_where_that_has_much_left(seconds: float, changes: bool) -> None:
    """Of ``two`` there are 40 frames pending when the only range of ``one`` is done."""
    clips = opened(clip("a", "one", 10), clip("b", "two", 70), workers=2)
    assert CHANGE_SECONDS == 5.0
    clips.act()
    clips.answer_preparations()
    clips.act()
    own, other = sorted(clips.networks, key=clips.networks.__getitem__)
    clips.deliver(other, seconds=seconds)
    clips.act()
    clips.deliver(own, seconds=seconds)
    assert (EndWorker(own) in clips.act()) == changes


def test_while_no_pace_is_known_nobody_changes() -> None:
    clips = opened(clip("a", "one", 10), clip("b", "two", 10_000), workers=2, capacity=1000)
    one_ready_each(clips, seconds=0.0)
    assert not any(isinstance(action, EndWorker) for action in clips.act())


def test_a_worker_that_has_been_starting_for_long_is_not_waited_for() -> None:
    """It may be waiting for a place that it gets only once another worker is gone."""
    clips = opened(clip("a", "one", 10), clip("b", "two", 10), workers=2)
    clips.act()
    own, other = sorted(clips.networks, key=clips.networks.__getitem__)
    clips.ready(own)
    for block in sorted(clips.coming):
        clips.arrive(block)
    clips.act()
    clips.deliver(own)
    assert clips.act() == []
    clips.now += CHANGE_SECONDS + 1
    assert clips.act() == [EndWorker(own), StartWorker(own, "two")]
    assert other in clips.starting


def test_blocks_of_a_network_without_workers_keep_nobody_waiting() -> None:
    """The store has room for one block, and the clip that comes first has no worker yet."""
    clips = opened(clip("b", "two"), workers=1, capacity=1)
    clips.act()
    clips.answer_preparations()
    first = job_of("a", divide(range(40), 10), blocks_by(20), "a", priority=1, network="one")
    clips.begin_clip(first)
    clips.drain()
    assert all(open_clip.complete for open_clip in clips.open.values())


def test_networks_take_turns_in_a_store_that_is_too_small_for_both() -> None:
    clips = opened(clip("a", "one", 400), clip("b", "two", 400), workers=2, capacity=2)
    for _ in range(5):
        clips.act()
        clips.answer_preparations()
    assert {block.clip for block in clips.held} == {"a", "b"}
    assert all(clips.given.values())


def test_what_has_a_fault_is_not_given_out_and_its_blocks_are_dropped() -> None:
    clips = opened(clip("a", "one"), clip("b", "one"), workers=1, capacity=4)
    clips.act()
    clips.answer_preparations()
    clips.act()
    clips.fail("a")
    clips.deliver(0)
    clips.deliver(0)
    actions = clips.act()
    assert {action.range.clip for action in actions if isinstance(action, Render)} == {"b"}
    assert [action.block for action in actions if isinstance(action, DropBlock)] == [
        ClipBlock("a", 0),
        ClipBlock("a", 1),
    ]
    # What workers had of it counts.
    assert clips.open["a"].done == 20
    clips.drain()
    assert clips.open["b"].complete
    assert clips.open["a"].incidents.retried == []


def test_a_complete_clip_has_no_fault_any_more() -> None:
    """Its backgrounds may be those of another one, which loses them."""
    clips = opened(clip("a", "one", 10), workers=1)
    clips.drain()
    clips.fail("a")
    assert clips.open["a"].fault is None


def test_a_fault_settles_a_clip_at_once() -> None:
    clips = opened(clip("a", "one"), workers=1)
    clips.act()
    clips.answer_preparations()
    clips.act()
    assert not clips.scheduler.finished
    clips.fail("a")
    assert clips.open["a"].settled
    assert not clips.open["a"].complete
    assert clips.scheduler.finished
    assert clips.scheduler.remaining == 0
    assert clips.act() == []
    clips.end_clip("a")
    clips.begin_clip(clip("b", "one"))
    clips.drain()
    assert clips.open["b"].done == 40


def test_a_worker_that_is_refused_is_no_death() -> None:
    """However often its first clips cannot be used."""
    names = [f"bad{number}" for number in range(2 * MAX_START_DEATHS)]
    clips = opened(*(clip(name, "one", 10) for name in names), clip("good", "one", 10), workers=1)
    for name in names:
        assert started(clips.act()) == [(0, "one")]
        clips.refuse(0, name)
    clips.drain()
    assert clips.open["good"].complete
    assert clips.scheduler.deaths == []
    assert clips.scheduler.open_slots == 1


def test_a_network_with_which_no_worker_starts_harms_no_other() -> None:
    clips = opened(clip("bad", "one", 1000), clip("good", "two", 40), workers=2)
    while not clips.scheduler.finished:
        clips.act()
        for slot in sorted(clips.starting):
            if clips.networks[slot] == "one":
                clips.die(slot, "out of memory")
        clips.answer_all()
        clips.check()
    assert clips.open["good"].complete
    assert clips.open["good"].incidents.deaths == []
    said = f"no worker is left: the last one died {MAX_START_DEATHS} times in a row (out of memory)"
    assert said in str(clips.open["bad"].fault)
    assert clips.scheduler.stop_error is None
    # And for the next clip of that network nobody is started in vain.
    clips.begin_clip(clip("worse", "one", 10))
    clips.begin_clip(clip("better", "two", 10))
    clips.drain()
    assert "no worker is left" in str(clips.open["worse"].fault)
    assert clips.open["better"].complete


def test_the_next_clip_is_rendered_by_the_workers_that_are_there() -> None:
    """Also where its network is that of a clip that was closed."""
    clips = opened(clip("a", "one"), workers=2)
    clips.drain()
    clips.end_clip("a")
    starts = clips.starts.total()
    clips.begin_clip(clip("b", "one"))
    clips.drain()
    assert clips.starts.total() == starts


def test_deaths_are_told_to_clips_of_the_workers_network() -> None:
    clips = opened(clip("a", "one"), clip("b", "two"), workers=2)
    clips.act()
    slot = next(slot for slot, network in clips.networks.items() if network == "two")
    clips.die(slot)
    assert clips.open["a"].incidents.deaths == []
    assert [death.worker for death in clips.open["b"].incidents.deaths] == [slot]


def test_loads_begin_for_workers_that_start() -> None:
    clips = opened(clip("a", "one", 20), clip("b", "two", 20), workers=2)
    assert {action.block for action in clips.act() if isinstance(action, LoadBlock)} == {
        ClipBlock("a", 0),
        ClipBlock("b", 0),
    }


def test_the_first_fault_is_kept() -> None:
    clips = opened(clip("a", "one"), workers=1)
    clips.fail("a")
    first = clips.open["a"].fault
    clips.fail("a")
    assert isinstance(first, InputError)
    assert clips.open["a"].fault is first
