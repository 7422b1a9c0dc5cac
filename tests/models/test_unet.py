"""The generated UNet-328: its size, its contract, and outputs that depend on what goes in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from jobs.models.unet import build_unet328, parameter_count, stage_parameters

# Counted on the published architecture, stage by stage.
STAGES = {
    "inc": 676,
    "down1": 9_984,
    "down2": 25_280,
    "down3": 95_616,
    "down4": 371_456,
    "down5": 1_463_808,
    "audio": 3_905_600,
    "fuse": 5_305_856,
    "up1": 738_048,
    "up2": 188_800,
    "up3": 49_344,
    "up4": 19_008,
    "up5": 13_408,
    "outc": 51,
}


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return build_unet328()


@pytest.fixture(scope="module")
def session(model: onnx.ModelProto) -> ort.InferenceSession:
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def inputs() -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    ramp = np.linspace(0, 1, 320, dtype=np.float32)
    image = np.stack([np.stack([np.outer(ramp, ramp[::-1]), np.outer(ramp, ramp), np.outer(1 - ramp, ramp)] * 2)] * 2)
    image[1] = image[1, :, ::-1] * 0.6
    image[:, 3:, 5:310, 5:315] = 0
    return {"input": image, "audio": np.abs(rng.normal(0, 1, (2, 32, 16, 16))).astype(np.float32)}


def test_every_stage_has_the_parameters_of_the_published_network(model: onnx.ModelProto) -> None:
    assert stage_parameters(model) == STAGES


def test_parameter_count_is_the_published_total(model: onnx.ModelProto) -> None:
    assert parameter_count(model) == 12_186_935


def test_it_has_the_published_number_of_normalised_channels(model: onnx.ModelProto) -> None:
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    means = [t for t in model.graph.initializer if t.name.endswith(".running_mean")]
    assert len(norms) == 92
    assert sum(t.dims[0] for t in means) == 32_280


@pytest.mark.parametrize(("batch", "dim"), [(None, 0), (1, 1), (4, 4)])
def test_batch_is_dynamic_or_fixed(batch: int | None, dim: int) -> None:
    graph = build_unet328(batch).graph
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        assert first.dim_value == dim
        assert bool(first.dim_param) == (batch is None)


def test_opset_is_17_and_the_graph_checks(model: onnx.ModelProto) -> None:
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    onnx.checker.check_model(model, full_check=True)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(model: onnx.ModelProto) -> None:
    assert build_unet328().SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    assert build_unet328(seed=1).SerializeToString(deterministic=True) != model.SerializeToString(deterministic=True)


def test_a_frame_is_the_same_alone_and_in_a_batch(
    session: ort.InferenceSession, inputs: dict[str, npt.NDArray[np.float32]]
) -> None:
    (both,) = session.run(None, inputs)
    (first,) = session.run(None, {name: values[:1] for name, values in inputs.items()})
    assert both.shape == (2, 3, 320, 320)
    np.testing.assert_array_equal(both[:1], first)


def test_outputs_are_spread_and_follow_picture_and_sound(
    session: ort.InferenceSession, inputs: dict[str, npt.NDArray[np.float32]]
) -> None:
    (out,) = session.run(None, inputs)
    (other,) = session.run(None, {"input": inputs["input"], "audio": inputs["audio"][::-1].copy()})
    low, high = np.percentile(out, [2, 98])
    assert out.min() > 0
    assert out.max() < 1
    assert high - low > 0.3
    assert (out.std(axis=(2, 3)) > 0.02).all()
    assert np.abs(out - other).mean() > 1 / 255
    assert np.abs(out[0] - out[1]).mean() > 1 / 255
