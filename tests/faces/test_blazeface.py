"""Outputs of the detector become faces as the slow reference says, and overlapping ones become one."""

import numpy as np
import pytest
import reference_faces as reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.faces.anchors import ANCHORS
from actors.faces.blazeface import VALUES, BlazeFace, decode, sigmoid
from actors.faces.detections import Detections, joined
from actors.faces.suppression import SAME_FACE, best_of_overlapping, mean_of_overlapping, overlaps
from actors.faces.weights import FaceWeights

CENTRES = reference.anchors(128, (8, 16, 16, 16))
SEEDS = st.integers(0, 2**32 - 1)


def outputs(seed: int, faces: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Regressors and logits as the network gives them: ``faces`` places that score, all others do not."""
    random = np.random.default_rng(seed)
    regressors = random.normal(0, 20, (ANCHORS, VALUES)).astype(np.float32)
    regressors[:, 2:4] = np.abs(regressors[:, 2:4]) * 2
    logits = random.uniform(-200, -1, ANCHORS).astype(np.float32)
    logits[random.choice(ANCHORS, faces, replace=False)] = random.uniform(0.1, 100, faces)
    return regressors, logits


def as_faces(found: Detections) -> list[reference.Face]:
    boxes, points = found.boxes.tolist(), found.points.tolist()
    return [
        ((box[0], box[1], box[2], box[3]), tuple((x, y) for x, y in one), score)
        for box, one, score in zip(boxes, points, found.scores.tolist(), strict=True)
    ]


def check_same(found: Detections, expected: list[reference.Face]) -> None:
    assert len(found) == len(expected)
    for i, (box, points, score) in enumerate(expected):
        assert found.boxes[i] == pytest.approx(np.array(box), rel=1e-5, abs=1e-3)
        assert found.points[i] == pytest.approx(np.array(points), rel=1e-5, abs=1e-3)
        assert found.scores[i] == pytest.approx(score, abs=1e-6)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_the_sigmoid_never_overflows(logits: list[float]) -> None:
    found = sigmoid(np.array(logits, np.float32))
    assert found == pytest.approx(np.array([reference.sigmoid(logit) for logit in logits]), abs=1e-6)


@given(SEEDS, st.integers(0, 12))
def test_outputs_are_decoded_as_the_reference_does(seed: int, faces: int) -> None:
    regressors, logits = outputs(seed, faces)
    found = decode(regressors, logits, 128, 0.5)
    assert len(found) == faces
    assert found.best == pytest.approx(max(reference.sigmoid(logit) for logit in logits.tolist()), abs=1e-6)
    check_same(found, reference.decode(regressors, logits, CENTRES, 0.5))


@given(SEEDS, st.integers(0, 30))
def test_overlapping_boxes_become_their_mean(seed: int, faces: int) -> None:
    found = decode(*outputs(seed, faces), 128, 0.5)
    groups = reference.groups(as_faces(found), SAME_FACE)
    check_same(mean_of_overlapping(found), [reference.mean(group) for group in groups])


@given(SEEDS, st.integers(0, 30))
def test_the_best_of_overlapping_boxes_stays_as_it_is(seed: int, faces: int) -> None:
    found = decode(*outputs(seed, faces), 128, 0.5)
    kept = best_of_overlapping(found)
    check_same(kept, [group[0] for group in reference.groups(as_faces(found), SAME_FACE)])
    again = best_of_overlapping(kept)
    assert np.array_equal(again.boxes, kept.boxes)


@given(SEEDS)
def test_overlaps_are_between_none_and_all(seed: int) -> None:
    boxes = decode(*outputs(seed, 8), 128, 0.5).boxes
    for box in boxes:
        shares = overlaps(box, boxes)
        expected = [reference.overlap(tuple(box.tolist()), tuple(other.tolist())) for other in boxes]
        assert shares == pytest.approx(np.array(expected), abs=1e-6)
        assert shares.min() >= 0
        assert shares.max() <= 1 + 1e-9


def test_a_box_without_area_is_kept_alone() -> None:
    found = joined([])
    flat = Detections(np.zeros((2, 4), np.float32), np.ones(2, np.float32), np.zeros((2, 6, 2), np.float32), 1.0)
    assert len(mean_of_overlapping(found)) == len(best_of_overlapping(found)) == 0
    assert len(mean_of_overlapping(flat)) == len(best_of_overlapping(flat)) == 2


def test_both_networks_see_nothing_in_black(face_weights: FaceWeights) -> None:
    for model, side in ((face_weights.near, 128), (face_weights.far, 256)):
        found = BlazeFace(model, side).find(np.zeros((side, side, 3), np.uint8), 0.5)
        assert len(found) == 0
        assert found.best < 0.5
