"""Rewritten graphs: pixels in and out give what the plain network and the arithmetic in numpy give, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import reference
import small
from layers import open_session
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from plain_planes import network_planes, to_pixels
from stand_ins import stand_in

from actors.core.kind import ModelTensors
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.graph import AUDIO, HIGH, IMAGE, LOW, PIXELS, SUM, in_half_precision, pixel_graph, with_batch
from actors.network.recognition import read_model

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
MASK = UNET_328.mask


def run(model: onnx.ModelProto, image: NDArray[Any], audio: Floats) -> dict[str, NDArray[Any]]:
    """The graph's answers. Pictures ``(n, h, w, 3)`` are taken apart for it, and put together again."""
    if image.dtype == np.uint8:
        image = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    onnx.checker.check_model(model)
    session = open_session(model)
    names = [PIXELS, LOW, HIGH, SUM]
    answer = dict(zip(names, session.run(names, {IMAGE: image, AUDIO: audio}), strict=True))
    return answer | {PIXELS: answer[PIXELS].transpose(0, 2, 3, 1)}


def inputs(count: int, seed: int = 2) -> tuple[Pixels, Floats]:
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (count, 320, 320, 3)).astype(np.uint8)
    # Every level in every colour, whatever the dice say.
    crops[:, 0, :256] = np.arange(256, dtype=np.uint8)[:, None]
    return crops, rng.random((count, 32, 16, 16), np.float32)


def plain_answer(path: Path, crops: Pixels, audio: Floats) -> Floats:
    """The network's own floats, its input made by the reference: crop, divide, mask, six planes."""
    session = reference.open_session(path)
    answers = []
    for crop, window in zip(crops, audio, strict=True):
        whole = np.zeros((328, 328, 3), np.uint8)
        whole[4:324, 4:324] = crop
        # A square of the crop's own size is not resized.
        planes, _ = reference.network_input(whole, (0, 0, 328, 328), "cubic")
        answers.append(reference.predict(session, planes, window))
    return np.stack(answers)


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 18, 21])
@pytest.mark.parametrize("batch", [1, 3])
def test_pixels_in_and_out_equal_the_reference(tmp_path: Path, opset: int, batch: int) -> None:
    path = small.write_model(tmp_path / "m.onnx", opset=opset)
    crops, audio = inputs(batch)
    graph = pixel_graph(onnx.load(str(path)), read_model(str(path), UNET_328), UNET_328, ready_planes=False)
    answer = run(graph, crops, audio)
    plain = plain_answer(path, crops, audio)
    assert np.array_equal(answer[PIXELS], np.stack([reference.to_levels(one) for one in plain]))
    assert np.array_equal(answer[LOW], plain.min(axis=(1, 2, 3)))
    assert np.array_equal(answer[HIGH], plain.max(axis=(1, 2, 3)))
    np.testing.assert_allclose(answer[SUM], plain.sum(axis=(1, 2, 3)), rtol=1e-4)


def test_the_real_network_too(tmp_path: Path) -> None:
    path = tmp_path / "unet.onnx"
    onnx.save(stand_in(UNET_328.name), str(path))
    crops, audio = inputs(2)
    graph = pixel_graph(onnx.load(str(path)), read_model(str(path), UNET_328), UNET_328, ready_planes=False)
    expected = [reference.to_levels(one) for one in plain_answer(path, crops, audio)]
    assert np.array_equal(run(graph, crops, audio)[PIXELS], np.stack(expected))


def test_ready_planes_skip_the_preparation(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    crops, audio = inputs(2)
    whole = np.zeros((2, 328, 328, 3), np.uint8)
    whole[:, 4:324, 4:324] = crops
    model, tensors = onnx.load(str(path)), read_model(str(path), UNET_328)
    prepared = run(pixel_graph(model, tensors, UNET_328, ready_planes=False), crops, audio)
    ready = run(pixel_graph(model, tensors, UNET_328, ready_planes=True), network_planes(whole, UNET_328), audio)
    assert all(np.array_equal(prepared[name], ready[name]) for name in (PIXELS, LOW, HIGH, SUM))


def looking_glass(path: Path) -> ModelTensors:
    """A model that shows its own masked planes and lets a feature of the sound through into one value."""
    picks = numpy_helper.from_array(np.array([3, 4, 5], np.int64), "picks")
    audio: list[str | int | None] = ["n", 32, 16, 16]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["image", "picks"], ["masked"], axis=1),
            helper.make_node("ReduceSum", ["audio"], ["loudness"], keepdims=1, axes=[1, 2, 3]),
            helper.make_node("Add", ["masked", "loudness"], ["answer"]),
        ],
        "glass",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 6, 320, 320]),
            helper.make_tensor_value_info("audio", TensorProto.FLOAT, audio),
        ],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 3, 320, 320])],
        [picks],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7), str(path))
    return read_model(str(path), UNET_328)


def test_the_mask_is_exactly_black_and_the_margins_are_untouched(tmp_path: Path) -> None:
    tensors = looking_glass(tmp_path / "m.onnx")
    crops, audio = inputs(1)
    crops[crops == 0] = 1
    graph = pixel_graph(onnx.load(str(tmp_path / "m.onnx")), tensors, UNET_328, ready_planes=False)
    seen = run(graph, crops, np.zeros_like(audio))[PIXELS][0]
    black = (seen == 0).all(axis=2)
    expected = np.zeros((320, 320), bool)
    expected[5:310, 5:315] = True
    assert np.array_equal(black, expected)
    assert np.array_equal(seen[~expected], crops[0][~expected])


def test_a_network_of_another_range_is_fed_and_read_in_it(tmp_path: Path) -> None:
    kind = replace(UNET_328, value_range=(-1.0, 1.0))
    tensors = looking_glass(tmp_path / "m.onnx")
    crops, audio = inputs(1)
    graph = pixel_graph(onnx.load(str(tmp_path / "m.onnx")), tensors, kind, ready_planes=False)
    answer = run(graph, crops, np.zeros_like(audio))
    whole = np.zeros((1, 328, 328, 3), np.uint8)
    whole[:, 4:324, 4:324] = crops
    planes = network_planes(whole, kind)[0]
    # Black is -1 and white 1, in the picture and under the mask.
    assert np.array_equal(planes[:3], crops[0].transpose(2, 0, 1) / np.float32(255) * np.float32(2) - np.float32(1))
    assert (planes[3:, 5:310, 5:315] == -1).all()
    assert np.array_equal(answer[PIXELS][0], to_pixels(planes[3:], kind.value_range))
    visible = np.ones((320, 320), bool)
    visible[5:310, 5:315] = False
    assert np.abs(answer[PIXELS][0][visible].astype(int) - crops[0][visible]).max() <= 1
    assert (answer[PIXELS][0][~visible] == 0).all()
    # What is looked at for faults runs from black at 0 to white at 1 whatever the range.
    assert (answer[LOW][0], answer[HIGH][0]) == (0, pytest.approx(planes[3:].max() / 2 + 0.5))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_and_infinity_reach_the_figures_of_their_frame_alone(tmp_path: Path, value: float) -> None:
    tensors = looking_glass(tmp_path / "m.onnx")
    crops, audio = inputs(2)
    audio[:] = 0
    audio[1, 0, 0, 0] = value
    graph = pixel_graph(onnx.load(str(tmp_path / "m.onnx")), tensors, UNET_328, ready_planes=False)
    answer = run(graph, crops, audio)
    assert np.isfinite([answer[name][0] for name in (LOW, HIGH, SUM)]).all()
    if np.isnan(value):
        assert np.isnan(answer[SUM][1])
    else:
        assert value in {answer[LOW][1], answer[HIGH][1]}


def test_a_model_that_is_rewritten_is_not_changed(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx", batch=1)
    model, tensors = onnx.load(str(path)), read_model(str(path), UNET_328)
    before = model.SerializeToString(deterministic=True)
    pixel_graph(model, tensors, UNET_328, ready_planes=False)
    with_batch(model, tensors, 4)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(("fixed", "wanted"), [(1, 4), (2, 5), (4, 1)])
def test_a_fixed_batch_is_rewritten_where_it_stands_in_shapes(tmp_path: Path, fixed: int, wanted: int) -> None:
    """Batches in the targets of reshapes, as initialisers and as constants of their own, as exporters leave them."""
    path = small.write_model(tmp_path / "m.onnx", batch=fixed)
    model, tensors = onnx.load(str(path)), read_model(str(path), UNET_328)
    for tensor in model.graph.initializer:
        if tensor.name == "flat":
            tensor.CopyFrom(numpy_helper.from_array(np.array([fixed, 32 * 256], np.int64), "flat"))
    spread = next(tensor for tensor in model.graph.initializer if tensor.name == "spread")
    model.graph.initializer.remove(spread)
    shape = numpy_helper.from_array(np.array([fixed, 3, 1, 1], np.int64))
    model.graph.node.insert(0, helper.make_node("Constant", [], ["spread"], value=shape))
    rewritten = with_batch(model, tensors, wanted)
    crops, audio = inputs(wanted)
    moved = ModelTensors(tensors.image, tensors.audio, tensors.output, wanted, tensors.opset, ())
    answer = run(pixel_graph(rewritten, moved, UNET_328, ready_planes=False), crops, audio)
    dynamic = small.write_model(tmp_path / "dynamic.onnx")
    expected = [to_pixels(one) for one in plain_answer(dynamic, crops, audio)]
    assert np.array_equal(answer[PIXELS], np.stack(expected))


def test_half_precision_stays_near_and_is_not_the_same(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    model, tensors = onnx.load(str(path)), read_model(str(path), UNET_328)
    halved = in_half_precision(model)
    assert {tensor.data_type for tensor in halved.graph.initializer} >= {TensorProto.FLOAT16}
    crops, audio = inputs(1)
    whole = run(pixel_graph(model, tensors, UNET_328, ready_planes=False), crops, audio)[PIXELS].astype(int)
    half = run(pixel_graph(halved, tensors, UNET_328, ready_planes=False), crops, audio)[PIXELS].astype(int)
    assert 0 < np.abs(whole - half).max() <= 3


def test_layers_that_share_their_scales_are_halved_too(tmp_path: Path) -> None:
    """As torch's dynamo exports a network whose way up has several steps of one size."""
    path = small.write_model(tmp_path / "m.onnx")
    model, tensors = onnx.load(str(path)), read_model(str(path), UNET_328)
    shared = {"down": np.array([1, 1, 0.5, 0.5], np.float32), "up": np.array([1, 1, 2, 2], np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in shared.items())
    # That exporter describes weights as it does what layers make.
    described = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in shared]
    model.graph.value_info.extend(described)
    steps = [tensors.output, "once", "twice", "back", "answer 2"]
    for scales, source, target in zip(["down", "down", "up", "up"], steps, steps[1:], strict=False):
        model.graph.node.append(helper.make_node("Resize", [source, "", scales], [target], mode="linear"))
    model.graph.output[0].name = "answer 2"
    crops, audio = inputs(1)
    moved = replace(tensors, output="answer 2")
    whole, half = (
        run(pixel_graph(graph, moved, UNET_328, ready_planes=False), crops, audio)[PIXELS].astype(int)
        for graph in (model, in_half_precision(onnx.load_model_from_string(model.SerializeToString())))
    )
    assert 0 < np.abs(whole - half).max() <= 3
