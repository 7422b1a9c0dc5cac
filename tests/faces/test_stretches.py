"""Stretches of frames, and how long each is shown."""

import numpy as np
import pytest
from found_faces import followed, steady
from hypothesis import given
from hypothesis import strategies as st

from actors.core.choices import Covered
from actors.core.faces import FaceOrigin
from jobs.faces.stretches import Stretch, covered_stretches, longest, origin_stretches

ORIGINS = st.lists(
    st.sampled_from([FaceOrigin.DETECTED, FaceOrigin.INTERPOLATED, FaceOrigin.NONE]), min_size=1, max_size=30
)


@given(ORIGINS, st.data())
def test_stretches_divide_the_frames(origins: list[FaceOrigin], data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(1, 9), min_size=len(origins), max_size=len(origins)))
    times = np.cumsum(steps).astype(np.float64)
    found = {origin: origin_stretches(origins, origin, times) for origin in set(origins)}
    shown: list[FaceOrigin | None] = [None] * len(origins)
    for origin, stretches in found.items():
        for each in stretches:
            assert each.first < each.stop
            assert each.first == 0 or origins[each.first - 1] is not origin
            assert each.first <= each.middle <= each.last
            shown[each.first : each.stop] = [origin] * (each.stop - each.first)
            assert each.start == times[each.first]
    assert shown == origins
    whole = Stretch.of(0, len(origins), times).seconds
    assert sum(each.seconds for stretches in found.values() for each in stretches) == pytest.approx(whole)


def test_the_last_frame_is_shown_for_as_long_as_the_one_before() -> None:
    times = np.array([1.0, 1.04, 1.1, 1.2])
    assert Stretch.of(0, 2, times).seconds == pytest.approx(0.1)
    assert Stretch.of(2, 4, times).seconds == pytest.approx(0.2)
    assert Stretch.of(0, 1, np.array([3.0])) == Stretch(0, 1, 3.0, 0.0)


@given(ORIGINS, st.integers(0, 5))
def test_the_longest_are_chosen_and_stay_in_order(origins: list[FaceOrigin], most: int) -> None:
    all_of_them = origin_stretches(origins, FaceOrigin.NONE, np.arange(len(origins)) / 25)
    chosen = longest(all_of_them, most)
    assert list(chosen) == [each for each in all_of_them if each in chosen]
    assert len(chosen) == min(most, len(all_of_them))
    left = [each.seconds for each in all_of_them if each not in chosen]
    assert max(left, default=0) <= min((each.seconds for each in chosen), default=1)


@pytest.mark.parametrize("covered", Covered)
def test_a_covered_mouth_is_told_whatever_is_shown_there(covered: Covered) -> None:
    presence = [1.0] * 4 + [0.2] * 8 + [0.9] * 4
    dubbed = followed(steady(range(2, 18), 100), 20, presence=presence, covered=covered)
    stretches = covered_stretches(dubbed.found, dubbed.rows, dubbed.times)
    assert [(each.first, each.stop) for each in stretches] == [(6, 14)]
