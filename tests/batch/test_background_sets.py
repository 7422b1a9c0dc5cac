"""How shared backgrounds are prepared: as all clips together need it, decided once, and the same for one network."""

from __future__ import annotations

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.ranges import FrameRange
from jobs.batch.background_sets import BackgroundSets
from jobs.planning.preparation import BackgroundSizes, Demand, plan_shared

COUNT = 40
STORE = 1 << 30
SIZES = BackgroundSizes(COUNT, 1 << 20, 2 << 20, 0)
FACES = BackgroundSizes(COUNT, 1 << 20, 2 << 20, 1 << 18)


def of(frames: int) -> Demand:
    """So many frames on all backgrounds from the first."""
    return Demand(frames, frames, (FrameRange(0, min(frames, COUNT)),))


RANGES = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda pair: FrameRange(pair[0], sum(pair)))


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(RANGES, min_size=1, max_size=6))
def test_demands_add_up(ranges: list[FrameRange]) -> None:
    demands = [Demand(len(each), len(each) - 1, (each,)) for each in ranges]
    both = demands[0]
    for other in demands[1:]:
        both += other
    assert both.frames == sum(map(len, ranges))
    assert both.rendered == both.frames - len(ranges)
    shown = {background for each in ranges for background in range(each.start, each.stop)}
    assert both.backgrounds == len(shown)
    assert [background for part in both.shown for background in range(part.start, part.stop)] == sorted(shown)
    # They do not touch.
    assert all(one.stop < other.start for one, other in zip(both.shown, both.shown[1:], strict=False))


def test_a_set_is_prepared_for_all_clips_that_are_known() -> None:
    """One short clip alone does not pay for preparing; many do."""
    sets = BackgroundSets(STORE)
    one = of(COUNT)
    assert not plan_shared(SIZES, one, STORE).prepare
    for _ in range(40):
        sets.expect("walker", "light", SIZES, one)
    preparation, name = sets.plan("walker")
    assert preparation.prepare
    assert preparation == plan_shared(SIZES, of(40 * COUNT), STORE)
    # It stays while anybody needs it, whoever comes or goes.
    sets.expect("walker", "light", SIZES, one)
    for _ in range(40):
        sets.leave("walker")
        assert sets.plan("walker") == (preparation, name)
    sets.leave("walker")
    assert len(sets) == 0
    # One that comes again is another.
    sets.expect("walker", "light", SIZES, one)
    again, other = sets.plan("walker")
    assert other != name
    assert not again.prepare


def test_a_networks_face_encoder_runs_ahead_for_all_sets_or_none() -> None:
    many = of(100 * COUNT)
    assert plan_shared(FACES, many, STORE).faces
    together = BackgroundSets(STORE)
    together.expect("walker", "full", FACES, many)
    together.expect("runner", "full", FACES, of(1))
    alone = plan_shared(FACES, of(1), STORE).faces
    assert not alone
    assert not together.plan("walker")[0].faces
    assert not together.plan("runner")[0].faces
    first = BackgroundSets(STORE)
    first.expect("walker", "full", FACES, many)
    assert first.plan("walker")[0].faces
    # What is decided stays, for sets that come later too; another network decides for itself.
    first.expect("runner", "full", FACES, of(1))
    first.expect("runner of another", "light", FACES, of(1))
    assert first.plan("runner")[0].faces
    assert not first.plan("runner of another")[0].faces


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(1, 400), st.integers(4, 64), st.booleans(), st.sampled_from([None, True, False]))
def test_plans_hold_what_the_store_can(frames: int, store_mib: int, with_faces: bool, faces: bool | None) -> None:
    sizes, store = FACES if with_faces else SIZES, store_mib << 24
    plan = plan_shared(sizes, of(frames), store, faces=faces)
    each = (sizes.prepared if plan.prepare else sizes.plain) + (sizes.faces if plan.faces else 0)
    assert plan.bytes == COUNT * each
    assert plan.blocks.bytes == plan.blocks.frames * each
    assert plan.blocks.count == -(-COUNT // plan.blocks.frames)
    assert plan.blocks.capacity * plan.blocks.bytes <= store
    if faces is not None:
        assert plan.faces == (faces and with_faces)
