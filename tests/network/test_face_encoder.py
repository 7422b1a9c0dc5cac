"""The face encoder taken out of a network: no bit changes, and nothing is taken apart that the runtime would join."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import exports
import numpy as np
import onnx
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import OPSET, Layers, answers, open_session
from onnx import TensorProto, helper
from stand_ins import stand_in

from actors.core.kind import FaceTensor, ModelKind, ModelTensors
from actors.kinds.unet_160_wenet_8 import KIND as UNET_160_WENET_8
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.kinds.wav2lip_96 import KIND as WAV2LIP_96
from actors.network.face_encoder import face_decoder, face_encoder, face_tensors
from actors.network.graph import IMAGE
from actors.network.shape_folding import ready_network
from jobs.models.light import build_light_model

SOUND = (4, 6, 5)

# Sizes of the batches that a session of so many threads is given.
Batches = Mapping[int, tuple[int, ...]]
EVERY_BATCH: Batches = {1: (1, 2, 4), 2: (1, 2, 4)}


def tensors_of(model: onnx.ModelProto) -> ModelTensors:
    face = face_tensors(model, "x", "audio", "y")
    return ModelTensors("x", "audio", "y", None, OPSET, (), face)


def same(
    model: onnx.ModelProto, tensors: ModelTensors, image: tuple[int, ...], sound: tuple[int, ...], batches: Batches
) -> None:
    """Asserts that encoder and decoder give what the whole network gives, to the last bit, at the batches of each."""
    before = model.SerializeToString()
    # What stands between bytes and planes is not looked at here.
    encoder = exports.checked(face_encoder(exports.renamed(model, {tensors.image: IMAGE}), tensors))
    decoder = exports.checked(face_decoder(model, tensors))
    assert model.SerializeToString() == before
    rng = np.random.default_rng(3)
    most = max(max(sizes) for sizes in batches.values())
    pictures, sounds = (rng.random((most, *sides)).astype(np.float32) for sides in (image, sound))
    for threads, sizes in batches.items():
        faces_of, rest_of, whole_of = (open_session(part, threads) for part in (encoder, decoder, model))
        made = [answers(faces_of, {IMAGE: pictures[i : i + 1]}) for i in range(most)]
        faces = {
            face.name: np.concatenate(parts) for face, parts in zip(tensors.face, zip(*made, strict=True), strict=True)
        }
        assert {name: values.shape[1:] for name, values in faces.items()} == {f.name: f.sides for f in tensors.face}
        for size in sizes:
            some = slice(size)
            feed = {tensors.image: pictures[some], tensors.audio: sounds[some]}
            wanted = answers(whole_of, feed)[0]
            feed |= {name: values[some] for name, values in faces.items()}
            given = {value.name for value in decoder.graph.input}
            got = answers(rest_of, {name: values for name, values in feed.items() if name in given})[0]
            assert np.array_equal(got, wanted)


def activated(net: Layers, source: str, activation: str) -> str:
    if activation == "Clip":
        return net.node("Clip", source, net.constant(np.array(0, np.float32)), net.constant(np.array(6, np.float32)))
    return net.node(activation, source) if activation else source


blocks = st.tuples(
    st.sampled_from([16, 32, 40]),
    st.sampled_from([1, 3, 5]),
    st.booleans(),
    st.sampled_from([("norm", True), ("norm", False), ("", True), ("", False)]),
    st.sampled_from(["Relu", "LeakyRelu", "Sigmoid", "Clip", ""]),
)


@settings(max_examples=examples(25))
@given(st.integers(8, 24), st.lists(blocks, min_size=1, max_size=3), st.sampled_from(["nearest", "linear"]))
def test_no_bit_changes(side: int, down: list[tuple[int, int, bool, tuple[str, bool], str]], mode: str) -> None:
    sides = (6, 4 * side, 4 * side)
    net = Layers(*sides)
    here, width = "x", 6
    levels: list[tuple[str, int, int]] = []
    for planes, kernel, halves, (norm, residual), activation in down:
        stride = 2 if halves and sum(scale for *_, scale in levels) < 2 else 1
        before = here
        here = net.conv(here, width, planes, kernel, stride=stride)
        if residual and stride == 1 and width == planes:
            here = net.node("Add", here, before)
        if norm:
            here = net.norm(here, planes)
        here, width = activated(net, here, activation), planes
        levels.append((here, width, stride - 1))
    scale = 2 ** sum(halved for *_, halved in levels)
    heard = net.node("GlobalAveragePool", net.conv("audio", SOUND[0], 16, 3))
    rows = net.constant(np.array([1, 1, 4 * side // scale, 4 * side // scale], np.int64))
    join = net.node("Concat", here, net.node("Expand", heard, rows), axis=1)
    here, width = net.conv(join, width + 16, 24, 3), 24
    for skip, planes, halved in reversed(levels):
        here = net.node("Concat", here, skip, axis=1)
        here, width = activated(net, net.norm(net.conv(here, width + planes, 24), 24), "Relu"), 24
        if halved:
            twice = net.constant(np.array([1, 1, 2, 2], np.float32))
            here = net.node("Resize", here, "", twice, mode=mode)
    model = net.model(net.conv(here, width, 3, 3), sound=SOUND)
    tensors = tensors_of(model)
    handed_over = [name for name, *_ in levels]
    assert [face.name for face in tensors.face] == [
        name for name in handed_over if name in {f.name for f in tensors.face}
    ]
    if tensors.face:
        same(model, tensors, sides, SOUND, EVERY_BATCH)
    # A layer that looks at nine pixels of at least sixteen planes is always worth keeping. Only a sum that reads what
    # is handed over keeps the whole together.
    if down[-1][1] > 1 and len(down) > 1 and not any(residual for *_, (_, residual), _ in down):
        assert tensors.face[-1].name == handed_over[-1]


# The largest has the layers of the smaller.
@pytest.mark.parametrize(
    ("kind", "batches"),
    [
        pytest.param(UNET_328, {1: (1, 2), 2: (1, 2)}, marks=pytest.mark.slow, id=UNET_328.name),
        pytest.param(UNET_160_WENET_8, {1: (1, 2)}, id=UNET_160_WENET_8.name),
        pytest.param(WAV2LIP_96, {2: (1, 2)}, id=WAV2LIP_96.name),
    ],
)
def test_the_real_networks_too(kind: ModelKind, batches: Batches) -> None:
    model = exports.copy(stand_in(kind.name))
    names = {tuple(d.dim_value for d in v.type.tensor_type.shape.dim[1:]): v.name for v in model.graph.input}
    image, audio, output = names[kind.planes], names[kind.audio], model.graph.output[0].name
    model = ready_network(model, image, audio, kind)
    tensors = ModelTensors(image, audio, output, None, OPSET, (), face_tensors(model, image, audio, output))
    assert len(tensors.face) >= 4
    # Less than two frames of video take.
    assert 0 < tensors.face_bytes < 2.5 * 3 * 1280 * 720
    assert tensors.face_bytes == sum(4 * np.prod(face.sides) for face in tensors.face)
    same(model, tensors, kind.planes, kind.audio, batches)


def test_the_first_layers_are_run_again_rather_than_kept() -> None:
    model = ready_network(exports.copy(stand_in(UNET_328.name)), "input", "audio", UNET_328)
    face = face_tensors(model, "input", "audio", "output")
    # 13 MB of the first level would take twice as much memory as all others together.
    assert FaceTensor("down1.1.add", (32, 160, 160)) == face[0]


def everywhere(net: Layers, heard: str) -> str:
    return net.node("Expand", heard, net.constant(np.array([1, 1, 16, 16])))


def joined(net: Layers, make: Callable[[Layers, str, str], str]) -> onnx.ModelProto:
    """A network whose one face tensor meets the sound in a way of its own."""
    heard = net.node("GlobalAveragePool", net.conv("audio", SOUND[0], 32))
    face = net.conv("x", 6, 32, 5)
    return net.model(net.conv(make(net, face, heard), 32, 3), sound=SOUND)


def added(net: Layers, face: str, heard: str) -> str:
    return net.node("Add", face, heard)


def normalised(net: Layers, face: str, heard: str) -> str:
    return net.node("Mul", net.norm(face, 32), heard)


def normalised_once_joined(net: Layers, face: str, heard: str) -> str:
    wide = net.node("Concat", face, everywhere(net, heard), axis=1)
    return net.conv(net.norm(wide, 64), 64, 32)


def with_sound(net: Layers, seen: str, heard: str) -> str:
    return net.conv(net.node("Concat", seen, everywhere(net, heard), axis=1), 64, 32)


def split_in_two(net: Layers, face: str, heard: str) -> str:
    half = net.node("Split", face, net.constant(np.array([16, 16])), axis=1)
    net.nodes[-1].output.append("other half")
    return with_sound(net, net.node("Concat", half, "other half", axis=1), heard)


def folded_into_the_batch(net: Layers, face: str, heard: str) -> str:
    patches = net.node("Reshape", face, net.constant(np.array([-1, 32, 8, 16])))
    whole = net.node("Reshape", net.conv(patches, 32, 32, 5), net.constant(np.array([-1, 32, 16, 16])))
    return with_sound(net, net.conv(whole, 32, 32, 3), heard)


def concatenated_frames(net: Layers, face: str, heard: str) -> str:
    twice = net.conv(net.node("Concat", face, face, axis=0), 32, 32, 5)
    return with_sound(net, net.conv(net.node("Add", face, net.node("ReduceMean", twice, axes=[0])), 32, 32, 5), heard)


def multiplied_frames(net: Layers, face: str, heard: str) -> str:
    return with_sound(net, net.conv(net.node("Mul", face, net.weight(2, 32, 1, 1)), 32, 32, 5), heard)


def summed_over_planes(net: Layers, face: str, heard: str) -> str:
    attention = net.node("Mul", face, net.node("ReduceMean", face, axes=[1]))
    return with_sound(net, net.conv(attention, 32, 32, 5), heard)


def read_by_nobody(net: Layers, face: str, heard: str) -> str:
    """The runtime keeps the layer that makes nothing, and then joins none of two with the first."""
    net.node("Relu", face)
    return with_sound(net, net.conv(net.norm(face, 32), 32, 32, 5), heard)


def read_by_nobody_once_joined(net: Layers, face: str, heard: str) -> str:
    both = with_sound(net, face, heard)
    net.node("Relu", both)
    return net.norm(both, 32)


def of_a_calculated_constant(net: Layers, face: str, heard: str) -> str:
    learned = net.conv(net.weight(1, 32, 16, 16), 32, 32, 3)
    seen = net.conv(net.node("Add", face, net.norm(learned, 32)), 32, 32, 5)
    return net.node("Mul", with_sound(net, seen, heard), learned)


@pytest.mark.parametrize(
    "make",
    [
        *(added, normalised, normalised_once_joined, split_in_two, folded_into_the_batch, concatenated_frames),
        *(multiplied_frames, summed_over_planes, read_by_nobody, read_by_nobody_once_joined, of_a_calculated_constant),
    ],
)
def test_what_might_give_other_bits_stays_together(make: Callable[[Layers, str, str], str]) -> None:
    assert face_tensors(joined(Layers(6, 16, 16), make), "x", "audio", "y") == ()


def test_an_operator_of_somebodys_own_stays_with_the_rest() -> None:
    model = joined(Layers(6, 16, 16), with_sound)
    for node in model.graph.node:
        node.domain = "com.microsoft" if "x" in node.input else ""
    assert tensors_of(model).face == ()


def test_layers_in_another_order_stay_together() -> None:
    model = joined(Layers(6, 16, 16), with_sound)
    assert len(tensors_of(model).face) == 1
    # The runtime takes them in this order too.
    first = model.graph.node.pop(0)
    model.graph.node.append(first)
    assert tensors_of(model).face == ()


def two_heads(net: Layers, face: str, heard: str) -> str:
    deep = net.conv(face, 32, 32, 5)
    joined_ = with_sound(net, net.conv(deep, 32, 32), heard)
    return net.conv(net.node("Concat", joined_, net.conv(deep, 32, 32), axis=1), 64, 32)


def pooled(net: Layers, face: str, heard: str) -> str:
    small = net.node("MaxPool", face, kernel_shape=[3, 3], pads=[1] * 4)
    net.nodes[-1].output.append("")
    return with_sound(net, net.conv(small, 32, 32, 3), heard)


def followed_by_little(net: Layers, face: str, heard: str) -> str:
    """A layer that is run again, from what is kept."""
    return net.conv(net.node("Concat", with_sound(net, face, heard), net.conv(face, 32, 32), axis=1), 64, 32)


@pytest.mark.parametrize(("make", "count"), [(with_sound, 1), (two_heads, 2), (pooled, 1), (followed_by_little, 1)])
def test_no_layer_with_work_in_it_runs_twice(make: Callable[[Layers, str, str], str], count: int) -> None:
    model = joined(Layers(6, 16, 16), make)
    tensors = tensors_of(model)
    assert len(tensors.face) == count
    decoder = face_decoder(model, tensors)
    assert not [node for node in decoder.graph.node if "x" in node.input]
    same(model, tensors, (6, 16, 16), SOUND, EVERY_BATCH)


def test_a_layer_that_is_run_again_is_no_reason_to_part_what_belongs_together() -> None:
    net = Layers(6, 16, 16)
    heard = everywhere(net, net.conv("audio", SOUND[0], 8))
    # So little work that it would be made again, and then its normalisation would be melted into it.
    cheap = net.conv("x", 6, 32)
    deep = net.conv(net.norm(cheap, 32), 32, 32, 5)
    model = net.model(net.conv(net.node("Concat", cheap, deep, heard, axis=1), 72, 3), sound=(*SOUND[:1], 1, 1))
    assert face_tensors(model, "x", "audio", "y") == ()


def test_two_readers_that_are_both_convolutions_may_be_parted() -> None:
    model = joined(
        Layers(6, 16, 16),
        lambda net, face, heard: net.conv(
            net.node(
                "Concat",
                face,
                net.conv(face, 32, 32, 3),
                everywhere(net, heard),
                axis=1,
            ),
            96,
            32,
        ),
    )
    tensors = tensors_of(model)
    assert [face.sides for face in tensors.face] == [(32, 16, 16)] * 2
    same(model, tensors, (6, 16, 16), SOUND, EVERY_BATCH)


def two_levels() -> onnx.ModelProto:
    net = Layers(6, 16, 16)
    heard = everywhere(net, net.conv("audio", SOUND[0], 8))
    return net.model(net.conv(net.node("Concat", net.conv("x", 6, 32, 5), heard, axis=1), 40, 3), sound=(4, 1, 1))


def test_a_constant_may_be_read_on_both_sides() -> None:
    net = Layers(6, 16, 16)
    least, most = net.constant(np.array(0, np.float32)), net.constant(np.array(6, np.float32))
    heard = everywhere(net, net.conv("audio", SOUND[0], 8))
    face = net.node("Clip", net.conv("x", 6, 32, 5), least, most)
    joined_ = net.node("Clip", net.conv(net.node("Concat", face, heard, axis=1), 40, 16), least, most)
    model = net.model(net.conv(joined_, 16, 3), sound=(4, 1, 1))
    for _ in range(2):
        weight = model.graph.initializer.pop(0)
        model.graph.node.insert(0, helper.make_node("Constant", [], [weight.name], value=weight))
    tensors = tensors_of(exports.checked(model))
    assert [face.sides for face in tensors.face] == [(32, 16, 16)]
    same(model, tensors, (6, 16, 16), (4, 1, 1), EVERY_BATCH)


def test_weights_may_be_inputs_or_nodes() -> None:
    model = two_levels()
    weight = model.graph.initializer.pop(2)
    model.graph.node.insert(0, helper.make_node("Constant", [], [weight.name], value=weight))
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in model.graph.initializer
    )
    tensors = tensors_of(exports.checked(model))
    assert len(tensors.face) == 1
    same(model, tensors, (6, 16, 16), (4, 1, 1), EVERY_BATCH)


def test_a_network_that_cannot_be_followed_is_left_whole() -> None:
    model = two_levels()
    assert len(tensors_of(model).face) == 1
    branching = exports.copy(model)
    inner = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["inner"])],
        *("inner", [], [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]),
    )
    condition = helper.make_tensor("condition", TensorProto.BOOL, [], [True])
    branching.graph.initializer.append(condition)
    branching.graph.node.insert(0, helper.make_node("If", ["condition"], ["z"], then_branch=inner, else_branch=inner))
    assert face_tensors(branching, "x", "audio", "y") == ()
    damaged = exports.copy(model)
    del next(node for node in damaged.graph.node if node.input[0] == "x").input[1:]
    assert face_tensors(damaged, "x", "audio", "y") == ()


def test_little_work_is_done_again() -> None:
    assert face_tensors(build_light_model(UNET_328), "input", "audio", "output") == ()


def test_a_fixed_batch_is_kept_in_the_parts() -> None:
    model = two_levels()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    tensors = replace(tensors_of(model), batch=1)
    decoder = face_decoder(model, tensors)
    assert {value.type.tensor_type.shape.dim[0].dim_value for value in decoder.graph.input} == {1}
