"""The generated Wav2Lip: its size, its contract, and outputs that depend on what goes in."""

from __future__ import annotations

import exports
import network_checks as checks
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from stand_ins import stand_in

from jobs.models.layers import parameter_count, stage_parameters

LOWER_HALF = (slice(48, 96), slice(0, 96))


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return stand_in("wav2lip-96")


@pytest.fixture(scope="module")
def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return checks.open_session(model)


@pytest.fixture(scope="module")
def feed() -> checks.Feed:
    reference = checks.face(96)
    masked = reference.copy()
    masked[:, :, 48:] = 0
    # Speech: loud low bands that come and go, quiet high ones, within the front end's [-4, 4].
    band, time = np.mgrid[0:80, 0:16]
    loud = np.stack([2 - band / 16 + np.sin(time / 3 + k) for k in (0, 2)])
    mel = np.clip(loud + np.random.default_rng(5).normal(0, 0.5, loud.shape), -4, 4)[:, np.newaxis]
    return {"mel": mel.astype(np.float32), "face": np.concatenate([masked, reference], axis=1)}


def layer(inputs: int, outputs: int, kernel: int = 3) -> int:
    """Parameters: a convolution with bias, and scale and shift behind it."""
    return inputs * outputs * kernel * kernel + 3 * outputs


def test_every_stage_has_the_size_of_the_published_network(model: onnx.ModelProto) -> None:
    down = [(16, 32, 2), (32, 64, 3), (64, 128, 2), (128, 256, 2), (256, 512, 1)]
    up = [(1024, 512, 1), (1024, 512, 2), (768, 384, 2), (512, 256, 2), (320, 128, 2), (160, 64, 2)]
    assert stage_parameters(model) == {
        "face": layer(6, 16, 7)
        + sum(layer(first, then) + more * layer(then, then) for first, then, more in down)
        + layer(512, 512)
        + layer(512, 512, 1),
        # The audio encoder of the family, counted there.
        "audio": 2_812_672,
        "up": layer(512, 512, 1) + sum(layer(first, then) + more * layer(then, then) for first, then, more in up),
        "outc": layer(80, 32) + 32 * 3 + 3,
    }
    assert parameter_count(model) == 36_298_035


def test_the_sound_costs_what_the_familys_audio_encoder_costs(model: onnx.ModelProto) -> None:
    assert round(checks.stage_multiplications(model)["audio"], 1) == 93.1


def test_tensors_are_the_contract(model: onnx.ModelProto) -> None:
    assert checks.shapes(model) == {"mel": [0, 1, 80, 16], "face": [0, 6, 96, 96], "output": [0, 3, 96, 96]}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]


def test_it_goes_back_to_operator_set_9(
    model: onnx.ModelProto, session: ort.InferenceSession, feed: checks.Feed
) -> None:
    old = exports.lowered(model, 9)
    assert old.opset_import[0].version == 9
    np.testing.assert_array_equal(checks.run(checks.open_session(old), feed), checks.run(session, feed))


def test_a_frame_is_the_same_alone_and_in_a_batch(session: ort.InferenceSession, feed: checks.Feed) -> None:
    both = checks.run(session, feed)
    assert both.shape == (2, 3, 96, 96)
    first = checks.run(session, {name: values[:1] for name, values in feed.items()})
    np.testing.assert_array_equal(both[:1], first)


def test_pictures_are_sensible(session: ort.InferenceSession, feed: checks.Feed) -> None:
    checks.require_sensible(session, feed, LOWER_HALF)
    checks.require_every_input_matters(session, feed)
    checks.require_every_plane_matters(session, feed, "face")
