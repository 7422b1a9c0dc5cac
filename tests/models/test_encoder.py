"""The encoder with random weights is the family's by its numbers, and behaves as one network should."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from layers import open_session
from onnx import numpy_helper

from jobs.models.layers import parameter_count
from jobs.models.random_encoder import build_encoder

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build_encoder()


@pytest.fixture(scope="module")
def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return open_session(model)


def windows(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(-4, 4, (count, 1, 80, 16)).astype(np.float32)


def run(session: ort.InferenceSession, mel: Floats) -> Floats:
    return np.asarray(session.run(None, {"mel_spectrogram": mel})[0], np.float32)


def test_it_has_the_published_number_of_parameters(model: onnx.ModelProto) -> None:
    assert parameter_count(model) == 2_812_672


def test_it_multiplies_as_often_as_the_published_one(model: onnx.ModelProto) -> None:
    """93.1 million per window; a wrong stride or padding shows here, though the parameters are right."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    sides = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in inferred.value_info}
    weights = {tensor.name: numpy_helper.to_array(tensor).shape for tensor in model.graph.initializer}
    products = sum(
        math.prod(weights[node.input[1]]) * math.prod(sides[node.output[0]][2:])
        for node in model.graph.node
        if node.op_type == "Conv"
    )
    assert round(products / 1e6, 1) == 93.1


@pytest.mark.parametrize("batch", [None, 3])
def test_shapes_are_the_contract(batch: int | None) -> None:
    graph = build_encoder(batch).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.output)}
    assert shapes == {"mel_spectrogram": [batch or 0, 1, 80, 16], "audio_features": [batch or 0, 512]}


def test_features_are_finite_not_negative_and_tell_sounds_apart(session: ort.InferenceSession) -> None:
    rows = run(session, windows(8))
    assert rows.shape == (8, 512)
    assert np.isfinite(rows).all()
    assert rows.min() == 0
    assert 0.1 < (rows > 0).mean() < 0.9
    assert np.abs(rows[1:] - rows[:-1]).mean() > 0.1
    # Every mel band and every row of the window counts.
    mel = windows(1)
    for band, row in ((0, 0), (79, 15), (40, 7)):
        changed = mel.copy()
        changed[0, 0, band, row] += 4
        assert np.abs(run(session, changed) - run(session, mel)).max() > 1e-3


def test_a_window_is_the_same_alone_and_in_a_batch(session: ort.InferenceSession) -> None:
    mel = windows(5)
    together = run(session, mel)
    for i in range(5):
        np.testing.assert_array_equal(run(session, mel[i : i + 1]), together[i : i + 1])


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second, other = (build_encoder(seed=seed).SerializeToString(deterministic=True) for seed in (1, 1, 2))
    assert first == second != other
