"""The generated UNets: their size, their contract, and outputs that depend on what goes in."""

from __future__ import annotations

import network_checks as checks
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from stand_ins import stand_in

from actors.kinds import all_kinds
from jobs.models.unet import build_unet, build_unet328, parameter_count, stage_parameters

AVE, HUBERT, WENET = (32, 16, 16), (32, 32, 32), (256, 16, 32)
HALF_HUBERT, HALF_WENET = (16, 32, 32), (128, 16, 32)

# Counted on the published architecture, stage by stage: parameters, and millions of multiplications per frame.
STAGES = {
    "inc": (676, 57.8),
    "down1": (9_984, 396.5),
    "down2": (25_280, 194.6),
    "down3": (95_616, 189.0),
    "down4": (371_456, 186.3),
    "down5": (1_463_808, 184.9),
    "audio": (3_905_600, 481.6),
    "fuse": (5_305_856, 528.4),
    "up1": (738_048, 293.0),
    "up2": (188_800, 297.6),
    "up3": (49_344, 306.8),
    "up4": (19_008, 463.7),
    "up5": (13_408, 1300.9),
    "outc": (51, 4.9),
}


NAMES = {(kind.inner, kind.audio): kind.name for kind in all_kinds()}


def unet(side: int, audio: tuple[int, int, int]) -> onnx.ModelProto:
    return stand_in(NAMES[side, audio])


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return checks.open_session(unet(320, AVE))


def feed(side: int, audio: tuple[int, int, int]) -> checks.Feed:
    reference = checks.face(side)
    masked = reference.copy()
    masked[:, :, 5 : side - 10, 5 : side - 5] = 0
    sound = np.abs(np.random.default_rng(5).normal(0, 1, (2, *audio))).astype(np.float32)
    return {"input": np.concatenate([reference, masked], axis=1), "audio": sound}


def inverted_residual(inputs: int, outputs: int) -> int:
    """Parameters: three convolutions without bias, each with scale and shift behind it."""
    hidden = 2 * inputs
    return inputs * hidden + 9 * hidden + hidden * outputs + 2 * (2 * hidden + outputs)


def test_every_stage_has_the_size_of_the_published_network() -> None:
    model = unet(320, AVE)
    assert stage_parameters(model) == {stage: count for stage, (count, _) in STAGES.items()}
    counted = checks.stage_multiplications(model)
    assert {stage: round(count, 1) for stage, count in counted.items()} == {s: cost for s, (_, cost) in STAGES.items()}


@pytest.mark.parametrize(
    ("side", "audio", "parameters", "billions"),
    [
        (320, AVE, 12_186_935, 4.89),
        (320, HUBERT, 12_186_935, 4.91),
        (320, WENET, 12_986_871, 5.23),
        (160, AVE, 12_163_591, 3.14),
        (160, HUBERT, 12_163_591, 3.17),
    ],
)
def test_sizes_are_the_published_ones(side: int, audio: tuple[int, int, int], parameters: int, billions: float) -> None:
    assert parameter_count(unet(side, audio)) == parameters
    assert round(sum(checks.stage_multiplications(unet(side, audio)).values()) / 1e3, 2) == billions


@pytest.mark.parametrize(
    ("half", "whole", "fewer"),
    [
        (HALF_HUBERT, HUBERT, inverted_residual(32, 64) - inverted_residual(16, 64)),
        # Both residual layers in front and the plain convolution behind them are as wide as the window.
        (HALF_WENET, WENET, 2 * (inverted_residual(256, 256) - inverted_residual(128, 128)) + 128 * 256 * 9),
    ],
)
def test_a_window_of_half_the_rows_changes_the_front_of_the_audio_branch_alone(
    half: tuple[int, int, int], whole: tuple[int, int, int], fewer: int
) -> None:
    counts, full = stage_parameters(unet(160, half)), stage_parameters(unet(160, whole))
    assert full.pop("audio") - counts.pop("audio") == fewer
    assert counts == full


def test_it_has_the_published_number_of_normalised_channels() -> None:
    graph = unet(320, AVE).graph
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    means = [t for t in graph.initializer if t.name.endswith(".running_mean")]
    assert len(norms) == 92
    assert sum(t.dims[0] for t in means) == 32_280


@pytest.mark.parametrize("batch", [1, 4])
def test_batch_is_dynamic_or_fixed(batch: int) -> None:
    fixed, open_batch = build_unet(160, AVE, batch), unet(160, AVE)
    assert checks.shapes(fixed) == {
        "input": [batch, 6, 160, 160],
        "audio": [batch, 32, 16, 16],
        "output": [batch, 3, 160, 160],
    }
    assert all(shape[0] == 0 for shape in checks.shapes(open_batch).values())
    assert [*fixed.graph.initializer] == [*open_batch.graph.initializer]


def test_opset_is_17_and_the_graph_checks() -> None:
    model = unet(320, AVE)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    onnx.checker.check_model(model, full_check=True)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    first = unet(160, AVE).SerializeToString(deterministic=True)
    assert build_unet(160, AVE).SerializeToString(deterministic=True) == first
    assert build_unet(160, AVE, seed=1).SerializeToString(deterministic=True) != first


def test_the_328_is_one_of_them() -> None:
    model = build_unet328(batch=2)
    assert [*model.graph.initializer] == [*unet(320, AVE).graph.initializer]
    assert checks.shapes(model)["input"] == [2, 6, 320, 320]


@pytest.mark.parametrize(("side", "audio"), [(328, AVE), (320, (32, 16, 32, 1)), (160, (32, 80, 16))])
def test_a_network_that_the_family_does_not_have_is_not_made_up(side: int, audio: tuple[int, int, int]) -> None:
    with pytest.raises(KeyError):
        build_unet(side, audio)


def test_a_frame_is_the_same_alone_and_in_a_batch(session: ort.InferenceSession) -> None:
    both = checks.run(session, feed(320, AVE))
    first = checks.run(session, {name: values[:1] for name, values in feed(320, AVE).items()})
    assert both.shape == (2, 3, 320, 320)
    np.testing.assert_array_equal(both[:1], first)


def test_pictures_are_sensible_at_320(session: ort.InferenceSession) -> None:
    checks.require_sensible(session, feed(320, AVE), (slice(5, 310), slice(5, 315)))
    checks.require_every_input_matters(session, feed(320, AVE))


@pytest.mark.parametrize("audio", [AVE, HUBERT, WENET, HALF_HUBERT, HALF_WENET])
def test_pictures_are_sensible_at_160_whatever_drives_them(audio: tuple[int, int, int]) -> None:
    session = checks.open_session(unet(160, audio))
    checks.require_sensible(session, feed(160, audio), (slice(5, 150), slice(5, 155)))
    checks.require_every_input_matters(session, feed(160, audio))


def test_each_of_the_six_planes_matters() -> None:
    checks.require_every_plane_matters(checks.open_session(unet(160, AVE)), feed(160, AVE), "input")
