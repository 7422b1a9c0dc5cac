"""How much of the face frames show beside those without one, against a rule applied one frame at a time."""

from __future__ import annotations

import numpy as np
import pytest
import reference_blend
from hypothesis import given
from hypothesis import strategies as st

from actors.core.face_presence import face_opacities

PRESENCE = st.lists(st.booleans(), min_size=1, max_size=120)


@given(PRESENCE, st.sampled_from([20, 25, 30, 50]))
def test_opacities_are_those_of_the_reference(presence: list[bool], fps: int) -> None:
    found = face_opacities(np.array(presence), fps)
    assert found.dtype == np.uint8
    assert found.tolist() == reference_blend.face_shares(presence, fps)
    assert (found == 0).tolist() == [not there for there in presence]


def test_one_frame_without_a_face() -> None:
    presence = np.ones(11, np.bool_)
    presence[5] = False
    assert face_opacities(presence, 25).tolist() == [255, 255, 191, 128, 64, 0, 64, 128, 191, 255, 255]
    # Where frames are so far apart that the fade is shorter than one, the face is there at once.
    assert face_opacities(presence, 3).tolist() == [255] * 5 + [0] + [255] * 5


@pytest.mark.parametrize(("there", "opacity"), [(True, 255), (False, 0)])
def test_all_frames_alike(there: bool, opacity: int) -> None:
    assert face_opacities(np.full(7, there), 25).tolist() == [opacity] * 7
