"""Anchors lie where the paper puts them, for both detectors."""

import numpy as np
import pytest
import reference_faces as reference

from actors.faces.anchors import ANCHORS, anchors


@pytest.mark.parametrize(("side", "strides"), [(128, (8, 16, 16, 16)), (256, (16, 32, 32, 32))])
def test_anchors_are_those_of_the_reference(side: int, strides: tuple[int, ...]) -> None:
    expected = np.array(reference.anchors(side, strides))
    assert expected.shape == (ANCHORS, 2)
    assert np.array_equal(anchors() * side, expected)


def test_nobody_can_change_them() -> None:
    with pytest.raises(ValueError, match="read-only"):
        anchors()[0] = 1
