"""Networks that do not end, ask for the moon or bring the runtime down: bad input in one line, whatever they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import exports
import numpy as np
import onnx
import pytest
import small
from onnx import TensorProto, helper, numpy_helper
from stand_ins import stand_in

from actors.core.choices import Device
from actors.core.errors import InputError
from actors.core.kind import ModelTensors
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network import sandbox
from actors.network.audio_encoder import read_encoder
from actors.network.recognition import read_model
from actors.network.sandbox import Limits, limits_for, try_encoder, try_network
from actors.network.shape_folding import ready_network
from actors.network.size_bounds import MOST_CALLED, is_bounded
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.models.light import build_light_model

SHORT = Limits(cpu_seconds=2, wall_seconds=100, memory=sandbox.MEMORY)


def ending_in(path: Path, *nodes: onnx.NodeProto, weights: dict[str, object] | None = None) -> Path:
    """The small network with more behind it, from ``answer`` to ``end``."""
    model = onnx.load(str(small.write_model(path)))
    model.graph.node.extend(nodes)
    stored = [numpy_helper.from_array(np.array(value), name) for name, value in (weights or {}).items()]
    model.graph.initializer.extend(stored)
    model.graph.output[0].name = "end"
    path.write_bytes(model.SerializeToString())
    return path


def endless(path: Path) -> Path:
    def described(name: str, kind: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, [] if kind != TensorProto.FLOAT else None)

    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Identity", ["x"], ["same"])],
        "body",
        [described("step", TensorProto.INT64), described("on", TensorProto.BOOL), described("x", TensorProto.FLOAT)],
        [described("still", TensorProto.BOOL), described("same", TensorProto.FLOAT)],
    )
    loop = helper.make_node("Loop", ["", "true", "answer"], ["end"], body=body)
    return ending_in(path, loop, weights={"true": True})


def immense(path: Path) -> Path:
    """It makes 480 GB, and would do so while the runtime loads it."""
    nodes = [
        helper.make_node("ConstantOfShape", ["sides"], ["big"]),
        helper.make_node("ReduceMax", ["big"], ["most"], keepdims=0),
        helper.make_node("Add", ["answer", "most"], ["end"]),
    ]
    return ending_in(path, *nodes, weights={"sides": np.array([300_000, 400_000])})


def calling(path: Path, *, deep: int, again: bool = False) -> Path:
    """Functions that call the next one twice; the last one ends, or calls the first."""
    functions = []
    for number in range(deep):
        last = number == deep - 1 and not again
        name, domain = ("Identity", "") if last else (f"F{(number + 1) % deep}", "own")
        body = [helper.make_node(name, [source], [to], domain=domain) for source, to in (("x", "t"), ("t", "y"))]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        functions.append(helper.make_function("own", f"F{number}", ["x"], ["y"], body, opsets))
    ending_in(path, helper.make_node("F0", ["answer"], ["end"], domain="own"))
    model = onnx.load(str(path))
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("own", 1))
    path.write_bytes(model.SerializeToString())
    return path


def refusal(path: Path, limits: Limits) -> str:
    tensors = read_model(str(path), UNET_328)
    assert not tensors.plain
    with pytest.raises(InputError) as caught:
        try_network(str(path), tensors, UNET_328, limits=limits)
    assert caught.value.subject == str(path)
    assert "\n" not in str(caught.value)
    return caught.value.problem


def test_an_endless_loop_is_ended(tmp_path: Path) -> None:
    path = endless(tmp_path / "m.onnx")
    assert "does not come to an end" in refusal(path, replace(SHORT, cpu_seconds=1))
    assert "more than 1 s" in refusal(path, replace(SHORT, wall_seconds=1))


def test_immense_tensors_are_refused_before_anything_is_started(tmp_path: Path) -> None:
    path = immense(tmp_path / "m.onnx")
    assert "llocat" in refusal(path, SHORT)
    clip = small.write_dataset(tmp_path / "clip").folder
    with pytest.raises(InputError, match=r"m\.onnx"):
        read_inputs(CompositeOptions(clip=str(clip), model=str(path), out=str(tmp_path / "run")))


@pytest.mark.parametrize(("deep", "again"), [(30, False), (3, True), (1, True), (5000, False)])
def test_functions_without_end_are_counted_not_walked(tmp_path: Path, deep: int, again: bool) -> None:
    path = calling(tmp_path / "m.onnx", deep=deep, again=again)
    for read in (lambda: read_model(str(path), UNET_328), lambda: read_encoder(str(path))):
        with pytest.raises(InputError, match=f"more than {MOST_CALLED} layers"):
            read()


def test_functions_of_an_ordinary_export_are_run(tmp_path: Path) -> None:
    path = calling(tmp_path / "m.onnx", deep=4)
    tensors = read_model(str(path), UNET_328)
    assert not tensors.plain
    image = np.zeros((3, 3, 320, 320), np.uint8)
    audio = np.zeros((3, 32, 16, 16), np.float32)
    audio[1].reshape(-1)[8 * 512] = small.POISON
    tried = try_network(str(path), tensors, UNET_328, batch=2, image=image, audio=audio)
    assert tried.batch == 2
    assert [fault and fault.reason for fault in tried.faults] == [None, "the model returned NaN", None]


def test_what_brings_the_runtime_down_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = endless(tmp_path / "m.onnx")
    for death, words in (("SIGSEGV", r"down \(SIGSEGV\)"), ("SIGKILL", "more memory"), ("SIGXCPU", "come to an end")):
        monkeypatch.setattr(sandbox, "SCRIPT", f"import os, signal; os.kill(os.getpid(), signal.{death})")
        with pytest.raises(InputError, match=words):
            try_network(str(path), read_model(str(path), UNET_328), UNET_328)


def test_an_encoder_is_tried_likewise(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["sides"], ["big"]),
        helper.make_node("ReduceMax", ["big"], ["most"], keepdims=0),
        helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "row"], ["one"]),
        helper.make_node("Expand", ["one", "wide"], ["same"]),
        helper.make_node("Add", ["same", "most"], ["rows"]),
    ]
    weights = {"sides": [300_000, 400_000], "row": [-1, 1], "wide": [1, 512]}
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["n", 1, 80, 16])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 512])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in weights.items()],
    )
    path = tmp_path / "e.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(exports.checked(model).SerializeToString())
    tensors = read_encoder(str(path))
    assert not tensors.plain
    with pytest.raises(InputError, match="llocat"):
        try_encoder(str(path), tensors)


def test_sides_that_a_file_leaves_open_are_those_that_it_will_be_fed() -> None:
    def enlarging(factor: float) -> onnx.ModelProto:
        scales = numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "scales")
        graph = helper.make_graph(
            [helper.make_node("Resize", ["picture", "", "scales"], ["large"])],
            "open",
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 6, "h", "w"])],
            [helper.make_tensor_value_info("large", TensorProto.FLOAT, ["n", 6, "y", "x"])],
            [scales],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    assert is_bounded(enlarging(2), {"picture": (6, 320, 320)})
    assert not is_bounded(enlarging(300), {"picture": (6, 320, 320)})


def test_networks_of_the_family_need_no_trial() -> None:
    assert is_bounded(build_light_model(UNET_328), {})
    assert is_bounded(ready_network(exports.copy(stand_in(UNET_328.name)), "input", "audio", UNET_328), {})


def test_a_graph_of_very_many_nodes_is_not_looked_through(tmp_path: Path) -> None:
    count = 20_000
    names = ["answer", *(f"s{number}" for number in range(count))]
    nodes = [helper.make_node("Shape", [names[number]], [names[number + 1]]) for number in range(count)]
    rest = [helper.make_node("Cast", [names[-1]], ["number"], to=TensorProto.FLOAT)]
    rest += [
        helper.make_node("ReduceMax", ["number"], ["most"], keepdims=0),
        helper.make_node("Add", ["answer", "most"], ["end"]),
    ]
    path = ending_in(tmp_path / "m.onnx", *nodes, *rest)
    tensors = read_model(str(path), UNET_328)
    assert not tensors.plain
    assert tensors.face == ()


def test_a_gpu_may_take_any_memory() -> None:
    assert limits_for(1, Device.CUDA).memory == 0
    assert limits_for(1, Device.CPU).memory > 0
    assert limits_for(9, Device.CPU).cpu_seconds > limits_for(1, Device.CPU).cpu_seconds


def test_tensors_that_are_not_the_models_are_told(tmp_path: Path) -> None:
    path = str(small.write_model(tmp_path / "m.onnx"))
    wrong = ModelTensors("pictures", "sounds", "no such output", None, 17, ())
    with pytest.raises(InputError):
        try_network(path, wrong, UNET_328)
