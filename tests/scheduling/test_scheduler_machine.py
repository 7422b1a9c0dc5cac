"""The scheduler under arbitrary events: no frame of any clip is lost or counted twice, and everything ends."""

from __future__ import annotations

from collections import Counter

from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from layouts import Layout, layouts
from observer import PATIENCE, ManyClips

from actors.core.ranges import ClipBlock
from jobs.scheduling.actions import KillWorker
from jobs.scheduling.block_cache import MAX_BLOCK_LOSSES

# More clips than this are no other case.
MOST_CLIPS = 4

NETWORKS = ["", "n", "o"]


class Run(RuleBasedStateMachine):
    """Events in any order; after each one every frame must be accounted for."""

    clips: ManyClips
    losses: Counter[ClipBlock]
    growths: int
    failed: set[str]

    @initialize(layout=layouts(), capacity=st.integers(0, 12))
    def begin(self, layout: Layout, capacity: int) -> None:
        self.clips = ManyClips(
            workers=layout.workers,
            capacity=max(layout.capacity, capacity),
            loaders=layout.loaders,
            calls=layout.calls,
        )
        self.losses = Counter()
        self.growths = 0
        self.failed = set()
        self.clips.begin_clip(layout.job("0", "backgrounds"))

    @precondition(lambda self: len(self.clips.jobs) < MOST_CLIPS)
    @rule(layout=layouts(), shared=st.booleans(), priority=st.integers(0, 1), network=st.sampled_from(NETWORKS))
    def open_clip(self, layout: Layout, shared: bool, priority: int, network: str) -> None:
        """One of its own backgrounds, or of those that the first has."""
        if layout.capacity > self.clips.capacity:
            return
        name = str(len(self.clips.jobs))
        self.clips.begin_clip(layout.job(name, "backgrounds" if shared else name, priority, network))

    @precondition(lambda self: self.clips.open)
    @rule(data=st.data())
    def close_clip(self, data: st.DataObject) -> None:
        """Complete or not."""
        self.clips.end_clip(data.draw(st.sampled_from(sorted(self.clips.open))))

    @precondition(lambda self: self.clips.open)
    @rule(data=st.data())
    def fail_clip(self, data: st.DataObject) -> None:
        self.failed.add(name := data.draw(st.sampled_from(sorted(self.clips.open))))
        self.clips.fail(name)

    @rule(seconds=st.floats(0, 30))
    def act(self, seconds: float) -> None:
        self.clips.now += seconds
        self.clips.act()

    @precondition(lambda self: self.clips.starting)
    @rule(data=st.data())
    def worker_ready(self, data: st.DataObject) -> None:
        self.clips.ready(data.draw(st.sampled_from(sorted(self.clips.starting))))

    @precondition(lambda self: self.clips.starting and self.clips.open)
    @rule(data=st.data())
    def worker_refused(self, data: st.DataObject) -> None:
        self.failed.add(name := data.draw(st.sampled_from(sorted(self.clips.open))))
        self.clips.refuse(data.draw(st.sampled_from(sorted(self.clips.starting))), name)

    @precondition(lambda self: self.clips.starting or self.clips.given)
    @rule(data=st.data())
    def worker_died(self, data: st.DataObject) -> None:
        alive = sorted(self.clips.starting | self.clips.given.keys())
        self.clips.die(data.draw(st.sampled_from(alive)))

    @precondition(lambda self: self.clips.busy)
    @rule(data=st.data())
    def range_done(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(self.clips.busy))
        place = data.draw(st.integers(0, min(self.clips.calls, len(self.clips.given[slot])) - 1))
        frames = list(self.clips.given[slot][place].frames)
        bad = data.draw(st.one_of(st.just(set[int]()), st.sets(st.sampled_from(frames))))
        self.clips.deliver(slot, bad, data.draw(st.floats(0, 0.1)), place)

    @precondition(lambda self: self.clips.busy)
    @rule(data=st.data())
    def range_returned(self, data: st.DataObject) -> None:
        self.clips.give_back(data.draw(st.sampled_from(self.clips.busy)))

    @precondition(lambda self: self.clips.coming)
    @rule(data=st.data())
    def block_loaded(self, data: st.DataObject) -> None:
        self.clips.arrive(data.draw(st.sampled_from(sorted(self.clips.coming))))

    @precondition(lambda self: self.clips.coming | self.clips.held)
    @rule(data=st.data())
    def block_lost(self, data: st.DataObject) -> None:
        block = data.draw(st.sampled_from(sorted(self.clips.coming | self.clips.held)))
        self.losses[block] += 1
        self.clips.vanish(block)

    @precondition(lambda self: self.clips.busy)
    @rule()
    def hang(self) -> None:
        hung = self.clips.busy
        self.clips.now += 10 * PATIENCE.least + PATIENCE.factor * self.clips.now
        killed = {action.slot for action in self.clips.act() if isinstance(action, KillWorker)}
        scheduler = self.clips.scheduler
        if not scheduler.stop_error and not scheduler.finished:
            assert killed.issuperset(hung)

    @precondition(lambda self: self.growths < 3 and not self.clips.scheduler.stop_error)
    @rule(room=st.integers(0, 6))
    def grow(self, room: int) -> None:
        self.growths += 1
        self.clips.grow(room)

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        self.clips.check()

    @invariant()
    def stopping_has_a_cause(self) -> None:
        scheduler = self.clips.scheduler
        lost = self.losses + self.clips.cancelled
        for name, clip in self.clips.open.items():
            if clip.fault and name not in self.failed and "no worker is left" not in str(clip.fault):
                assert any(lost[block] >= MAX_BLOCK_LOSSES for block in self.clips.blocks_of(name))
        if scheduler.stop_error:
            assert len(scheduler.abandoned) == self.clips.slots
            assert scheduler.actions(self.clips.now) == []

    def teardown(self) -> None:
        """However things stand now: if nothing else goes wrong, all of it ends."""
        if not hasattr(self, "clips"):
            return
        self.clips.drain()
        scheduler = self.clips.scheduler
        assert scheduler.actions(self.clips.now) == []
        for name, clip in self.clips.open.items():
            if clip.complete:
                failed = {failure.frame for failure in clip.failures}
                assert {frame for owner, frame in self.clips.done if owner == name} | failed == self.clips.frames(name)
            else:
                # A clip without its blocks keeps no other from its end.
                assert clip.fault or scheduler.stop_error


Run.TestCase.settings = settings(
    max_examples=examples(200), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRun = Run.TestCase


@settings(max_examples=examples(150), deadline=None)
@given(layouts())
def test_an_undisturbed_run_renders_every_range_once(layout: Layout) -> None:
    cluster = layout.start()
    cluster.drain()
    assert sorted(cluster.delivered) == sorted(layout.frames)
    assert cluster.renders == len(layout.ranges)
    assert not cluster.failures
    assert cluster.deaths == 0


@settings(max_examples=examples(60), deadline=None)
@given(layouts(), st.data())
def test_frames_that_workers_cannot_deliver_are_failures_and_not_tried_again(
    layout: Layout, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.sampled_from(layout.frames)))
    cluster = layout.start()
    while not cluster.scheduler.finished:
        cluster.act()
        cluster.answer_preparations()
        for slot in cluster.busy:
            cluster.deliver(slot, bad)
    assert {failure.frame for failure in cluster.failures} == bad
    assert set(cluster.delivered) == set(layout.frames) - bad
    assert cluster.renders == len(layout.ranges)
