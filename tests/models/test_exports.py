"""The rewrites that stand in for other people's exports: valid files that compute what the model computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import exports
import network_checks as checks
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from stand_ins import stand_in


@pytest.fixture(scope="module")
def unet() -> onnx.ModelProto:
    return exports.slimmed(stand_in("unet-160-ave"))


@pytest.fixture(scope="module")
def feed() -> checks.Feed:
    rng = np.random.default_rng(3)
    return {name: rng.random((1, *sides), np.float32) for name, sides in SIDES.items()}


@pytest.fixture(scope="module")
def expected(unet: onnx.ModelProto, feed: checks.Feed) -> checks.Floats:
    return checks.run(checks.open_session(unet), feed)


SIDES = {"input": (6, 160, 160), "audio": (32, 16, 16)}


def test_names_and_order_change_and_nothing_else(
    unet: onnx.ModelProto, feed: checks.Feed, expected: checks.Floats
) -> None:
    model = exports.swapped(exports.renamed(unet, {"input": "visual_input", "audio": "audio_input", "output": "out"}))
    assert [*checks.shapes(model)] == ["audio_input", "visual_input", "out"]
    out = checks.run(checks.open_session(model), {"visual_input": feed["input"], "audio_input": feed["audio"]})
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("opset", [11, 13])
def test_older_operator_sets(unet: onnx.ModelProto, feed: checks.Feed, expected: checks.Floats, opset: int) -> None:
    model = exports.lowered(unet, opset)
    assert model.opset_import[0].version == opset
    np.testing.assert_array_equal(checks.run(checks.open_session(model), feed), expected)


@pytest.mark.parametrize("rewrite", [exports.fixed, exports.baked])
def test_a_fixed_batch(
    unet: onnx.ModelProto,
    feed: checks.Feed,
    expected: checks.Floats,
    rewrite: Callable[[onnx.ModelProto, int], onnx.ModelProto],
) -> None:
    model = rewrite(unet, 1)
    assert all(shape[0] == 1 for shape in checks.shapes(model).values())
    np.testing.assert_array_equal(checks.run(checks.open_session(model), feed), expected)


def test_a_baked_batch_is_in_the_graph_and_not_only_in_the_shapes(unet: onnx.ModelProto, feed: checks.Feed) -> None:
    twice = {name: np.concatenate([values, values]) for name, values in feed.items()}
    for rewrite, works in ((exports.fixed, True), (exports.baked, False)):
        model = rewrite(unet, 1)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 2
        if works:
            assert checks.run(checks.open_session(model), twice).shape == (2, 3, 160, 160)
        else:
            with pytest.raises(Exception, match=r"(?i)reshape|batch|shape"):
                checks.run(checks.open_session(model), twice)


def test_half_weights_and_half_tensors_stay_near(
    unet: onnx.ModelProto, feed: checks.Feed, expected: checks.Floats
) -> None:
    inside = exports.halved(unet, tensors=False)
    assert inside.ByteSize() < 0.55 * unet.ByteSize()
    out = checks.run(checks.open_session(inside), feed)
    assert out.dtype == np.float32
    assert 0 < np.abs(out - expected).max() < 4 / 255

    whole = checks.open_session(exports.halved(unet, tensors=True))
    assert {tensor.type for tensor in (*whole.get_inputs(), *whole.get_outputs())} == {"tensor(float16)"}
    (half,) = whole.run(None, {name: values.astype(np.float16) for name, values in feed.items()})
    assert np.abs(half.astype(np.float32) - expected).max() < 4 / 255


def test_weights_in_a_file_of_their_own(
    unet: onnx.ModelProto, feed: checks.Feed, expected: checks.Floats, tmp_path: Path
) -> None:
    path = exports.save(unet, tmp_path / "unet.onnx", external=True)
    assert path.stat().st_size < unet.ByteSize() / 20
    assert {item.name for item in tmp_path.iterdir()} == {"unet.onnx", "unet.onnx.data"}
    # Saving takes nothing out of the model that was given.
    assert not any(tensor.external_data for tensor in unet.graph.initializer)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(checks.run(session, feed), expected, atol=1e-6)


def test_custom_operators_are_refused_by_the_runtime(unet: onnx.ModelProto) -> None:
    model = exports.with_custom_operators(unet, "Swirl", "Glow")
    assert [node.op_type for node in model.graph.node if node.domain == "com.example"] == ["Swirl", "Glow"]
    with pytest.raises(Exception, match=r"com\.example:Swirl"):
        checks.open_session(model)
