"""Weights beside a model: read from where ONNX Runtime itself would read them, and from nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from actors.core.errors import InputError
from actors.files import storage
from actors.files.digests import model_digest
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.external_weights import load_network
from actors.network.recognition import read_model

WEIGHT = np.arange(18, dtype=np.float32).reshape(3, 6, 1, 1)
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]


def outside(location: str, **more: int) -> TensorProto:
    """The weight of a convolution, kept in a file."""
    tensor = numpy_helper.from_array(WEIGHT, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def write(path: Path, tensor: TensorProto, where: str = "weights") -> Path:
    """A network whose convolution has that weight: among the weights, in a node, in a branch or in a function."""
    conv = helper.make_node("Conv", ["a", "w"], ["c"])
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    ends = [helper.make_tensor_value_info("c", TensorProto.FLOAT, ["n", 3, 320, 320])]
    weights, functions, nodes = [], [], [conv]
    if where == "weights":
        weights = [tensor]
    elif where == "a node":
        nodes = [constant, conv]
    elif where == "a function":
        functions = [helper.make_function("mine", "F", ["a"], ["c"], [constant, conv], OPSETS[:1])]
        nodes = [helper.make_node("F", ["a"], ["c"], domain="mine")]
    else:
        branch = helper.make_graph([conv], "branch", [], ends, [tensor])
        true = numpy_helper.from_array(np.array(True), "t")
        nodes = [
            helper.make_node("Constant", [], ["t"], value=true),
            helper.make_node("If", ["t"], ["c"], then_branch=branch, else_branch=branch),
        ]
    begins = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sides])
        for name, sides in (("a", (6, 320, 320)), ("b", (32, 16, 16)))
    ]
    graph = helper.make_graph(nodes, "g", begins, ends, weights)
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=8, functions=functions)
    path.write_bytes(model.SerializeToString())
    return path


def layout(root: Path) -> dict[str, str]:
    """Files of weights in and around the folder of a model, and by which names it might call them."""
    (root / "model" / "sub").mkdir(parents=True)
    for place in ("model/w.bin", "model/sub/w.bin", "up.bin"):
        (root / place).write_bytes(WEIGHT.tobytes())
    (root / "model" / "inner").symlink_to("w.bin")
    (root / "model" / "outer").symlink_to("../up.bin")
    os.link(root / "model" / "w.bin", root / "model" / "hard")
    os.link(root / "up.bin", root / "model" / "hard from above")
    os.mkfifo(root / "model" / "pipe")
    names = ["w.bin", "./w.bin", "sub/w.bin", "sub/../w.bin", "../model/w.bin", "inner", "hard", "hard from above"]
    refused = ["../up.bin", "sub/../../up.bin", "outer", "no.bin", "sub", "sub\\w.bin", str(root / "model" / "w.bin")]
    return {name: name for name in (*names, *refused)}


def runtime_loads(path: Path) -> bool:
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    try:
        ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - the runtime's errors share no base class
        return False
    return True


def we_load(path: Path) -> bool:
    try:
        read_model(storage.absolute(str(path)), UNET_328)
        load_network(storage.absolute(str(path)))
    except InputError:
        return False
    return True


@pytest.mark.parametrize("where", ["weights", "a node", "a function"])
def test_weights_are_found_where_the_runtime_finds_them_and_nowhere_else(tmp_path: Path, where: str) -> None:
    names = layout(tmp_path)
    loaded = {}
    for name in names:
        path = write(tmp_path / "model" / "m.onnx", outside(name), where)
        loaded[name] = runtime_loads(path)
        assert we_load(path) is loaded[name], name
    assert sum(loaded.values()) == 8
    # The runtime would wait for ever.
    assert not we_load(write(tmp_path / "model" / "m.onnx", outside("pipe"), where))


@pytest.mark.parametrize("where", ["weights", "a node", "a function", "a branch"])
def test_a_tensor_in_a_file_belongs_to_the_model_wherever_it_stands(tmp_path: Path, where: str) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    path = str(write(tmp_path / "m.onnx", outside("w.bin"), where))
    whole = load_network(path)
    assert WEIGHT.tobytes() in whole.SerializeToString()
    onnx.checker.check_model(whole)
    external = read_model(path, UNET_328).external
    before = model_digest(path, external)
    (tmp_path / "w.bin").write_bytes((WEIGHT + 1).tobytes())
    assert model_digest(path, external) != before
    (tmp_path / "w.bin").unlink()
    with pytest.raises(InputError, match=r"weights are missing \(w.bin\)"):
        read_model(path, UNET_328)


def cache(root: Path, link: Callable[[Path, str], None]) -> Path:
    """A model in the layout of Hugging Face's cache: files by their digests, and links to them by name."""
    blobs, snapshot = root / "blobs", root / "snapshots" / "x"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    write(blobs / "a", outside("model.onnx.data"))
    (blobs / "b").write_bytes(WEIGHT.tobytes())
    link(snapshot / "model.onnx", "../../blobs/a")
    link(snapshot / "model.onnx.data", "../../blobs/b")
    return snapshot / "model.onnx"


@pytest.mark.parametrize("hard", [False, True])
def test_a_model_in_a_cache_of_links_is_whole(tmp_path: Path, hard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(path: Path, target: str) -> None:
        if hard:
            os.link(path.parent / target, path)
        else:
            path.symlink_to(target)

    path = cache(tmp_path, link)
    assert runtime_loads(path)
    assert we_load(path)
    monkeypatch.chdir(path.parent)
    assert we_load(Path("model.onnx"))
    monkeypatch.chdir(path.parents[1])
    assert we_load(Path("x/../x/model.onnx"))


@pytest.mark.parametrize(
    "more",
    [{"offset": -8}, {"offset": 8, "length": 72}, {"length": 1 << 50}, {"offset": 1 << 60}, {"length": -1}],
    ids=str,
)
def test_a_tensor_that_its_file_does_not_hold_is_refused(tmp_path: Path, more: dict[str, int]) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    path = str(write(tmp_path / "m.onnx", outside("w.bin", **more)))
    for read in (load_network, lambda path: read_model(path, UNET_328)):
        with pytest.raises(InputError, match=r"not all there \(w.bin has 72 bytes\)"):
            read(path)


@pytest.mark.parametrize(
    "more", [{}, {"offset": 0}, {"offset": 40}, {"length": 36}, {"offset": 44, "length": 72}], ids=str
)
@pytest.mark.parametrize("size", [36, 72, 116])
def test_where_a_file_says_no_length_the_tensors_shape_does(tmp_path: Path, more: dict[str, int], size: int) -> None:
    """The file of several tensors goes on behind each; one that is cut off is told before the runtime sees it."""
    (tmp_path / "w.bin").write_bytes((WEIGHT.tobytes() * 2)[:size])
    path = write(tmp_path / "m.onnx", outside("w.bin", **more))
    assert we_load(path) is runtime_loads(path)
    if we_load(path):
        assert ort.InferenceSession(load_network(str(path)).SerializeToString(), providers=["CPUExecutionProvider"])


def test_weights_that_git_has_not_fetched_are_named_with_the_command_that_does(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 72\n")
    path = str(write(tmp_path / "m.onnx", outside("w.bin", length=72)))
    with pytest.raises(InputError, match=r"not fetched \(w.bin is a Git LFS pointer\); run: git lfs pull"):
        read_model(path, UNET_328)


def test_links_that_lead_to_each_other_are_missing_weights(tmp_path: Path) -> None:
    (tmp_path / "w.bin").symlink_to("v.bin")
    (tmp_path / "v.bin").symlink_to("w.bin")
    with pytest.raises(InputError, match=r"weights are missing \(w.bin\)"):
        read_model(str(write(tmp_path / "m.onnx", outside("w.bin"))), UNET_328)
