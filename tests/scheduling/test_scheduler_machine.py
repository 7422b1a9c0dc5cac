"""The scheduler under arbitrary events: no frame is lost or counted twice, and every run ends."""

from __future__ import annotations

from collections import Counter

from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from observer import PATIENCE, Cluster, Layout, layouts

from jobs.scheduling.actions import KillWorker
from jobs.scheduling.scheduler import MAX_BLOCK_LOSSES


class Run(RuleBasedStateMachine):
    """Events in any order; after each one every frame must be accounted for."""

    cluster: Cluster
    losses: Counter[int]
    growths: int

    @initialize(layout=layouts())
    def begin(self, layout: Layout) -> None:
        self.cluster = layout.start()
        self.losses = Counter()
        self.growths = 0

    @rule(seconds=st.floats(0, 30))
    def act(self, seconds: float) -> None:
        self.cluster.now += seconds
        self.cluster.act()

    @precondition(lambda self: self.cluster.starting)
    @rule(data=st.data())
    def worker_ready(self, data: st.DataObject) -> None:
        self.cluster.ready(data.draw(st.sampled_from(sorted(self.cluster.starting))))

    @precondition(lambda self: self.cluster.starting or self.cluster.queues)
    @rule(data=st.data())
    def worker_died(self, data: st.DataObject) -> None:
        alive = sorted(self.cluster.starting | self.cluster.queues.keys())
        self.cluster.die(data.draw(st.sampled_from(alive)))

    @precondition(lambda self: self.cluster.busy)
    @rule(data=st.data())
    def range_done(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(self.cluster.busy))
        place = data.draw(st.integers(0, min(self.cluster.calls, len(self.cluster.queues[slot])) - 1))
        frames = list(self.cluster.queues[slot][place])
        bad = data.draw(st.one_of(st.just(set[int]()), st.sets(st.sampled_from(frames))))
        self.cluster.deliver(slot, bad, data.draw(st.floats(0, 0.1)), place)

    @precondition(lambda self: self.cluster.busy)
    @rule(data=st.data())
    def range_returned(self, data: st.DataObject) -> None:
        self.cluster.give_back(data.draw(st.sampled_from(self.cluster.busy)))

    @precondition(lambda self: self.cluster.loading)
    @rule(data=st.data())
    def block_loaded(self, data: st.DataObject) -> None:
        self.cluster.load(data.draw(st.sampled_from(sorted(self.cluster.loading))))

    @precondition(lambda self: self.cluster.loading | self.cluster.loaded)
    @rule(data=st.data())
    def block_lost(self, data: st.DataObject) -> None:
        block = data.draw(st.sampled_from(sorted(self.cluster.loading | self.cluster.loaded)))
        self.losses[block] += 1
        self.cluster.lose(block)

    @precondition(lambda self: self.cluster.busy)
    @rule()
    def hang(self) -> None:
        hung = self.cluster.busy
        self.cluster.now += 10 * PATIENCE.least + PATIENCE.factor * self.cluster.now
        killed = {action.slot for action in self.cluster.act() if isinstance(action, KillWorker)}
        if not self.cluster.scheduler.stop_reason:
            assert killed.issuperset(hung)

    @precondition(lambda self: self.growths < 3 and not self.cluster.scheduler.stop_reason)
    @rule(room=st.integers(0, 6))
    def grow(self, room: int) -> None:
        self.growths += 1
        scheduler = self.cluster.scheduler
        before, given_up = scheduler.open_slots, len(scheduler.incidents.abandoned)
        scheduler.grow(room)
        assert scheduler.open_slots == max(before, room - given_up)

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        self.cluster.check()

    @invariant()
    def stopping_has_a_cause(self) -> None:
        scheduler = self.cluster.scheduler
        if scheduler.stop_reason:
            assert (
                scheduler.open_slots == 0
                or max((self.losses + self.cluster.cancelled).values(), default=0) >= MAX_BLOCK_LOSSES
            )
            assert scheduler.actions(self.cluster.now) == []

    def teardown(self) -> None:
        """However the run stands now: if nothing else goes wrong, it ends."""
        if not hasattr(self, "cluster"):
            return
        self.cluster.drain()
        scheduler = self.cluster.scheduler
        if not scheduler.stop_reason:
            failed = {failure.frame for failure in scheduler.failures}
            assert set(self.cluster.delivered) | failed == self.cluster.frames
            assert scheduler.actions(self.cluster.now) == []


Run.TestCase.settings = settings(
    max_examples=examples(150), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRun = Run.TestCase


@settings(max_examples=examples(150), deadline=None)
@given(layouts())
def test_an_undisturbed_run_renders_every_range_once(layout: Layout) -> None:
    cluster = layout.start()
    cluster.drain()
    assert sorted(cluster.delivered) == sorted(layout.frames)
    assert cluster.renders == len(layout.ranges)
    assert not cluster.scheduler.failures
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
    assert {failure.frame for failure in cluster.scheduler.failures} == bad
    assert set(cluster.delivered) == set(layout.frames) - bad
    assert cluster.renders == len(layout.ranges)
