"""Sessions: bound by shape, padded to one batch, on the device that was asked for or not at all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import reference
import small
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.core.choices import Device, Precision
from actors.core.errors import InputError, StoppedError
from actors.core.kind import ModelTensors
from actors.core.pixels import PredictionFault
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.prediction import Prediction
from actors.network.recognition import read_model
from actors.network.runtime import runtime_conflict
from actors.network.session import Session, SessionOptions

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def session_of(path: Path, batch: int = 1, device: Device = Device.CPU, **options: Any) -> Session:  # noqa: ANN401
    tensors = read_model(str(path), UNET_328)
    return Session(str(path), tensors, UNET_328, SessionOptions(device, batch=batch, **options))


def inputs(count: int, seed: int = 3) -> tuple[Pixels, Floats]:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (count, 3, 320, 320)).astype(np.uint8)
    return pictures, rng.random((count, 32, 16, 16), np.float32)


def expected_planes(path: Path, pictures: Pixels, sound: Floats) -> Pixels:
    """What the reference makes of each frame alone."""
    plain = reference.open_session(path)
    answers = []
    for picture, window in zip(pictures, sound, strict=True):
        whole = np.zeros((328, 328, 3), np.uint8)
        whole[4:324, 4:324] = picture.transpose(1, 2, 0)
        planes, _ = reference.network_input(whole, (0, 0, 328, 328), "cubic")
        answers.append(reference.to_levels(reference.predict(plain, planes, window)).transpose(2, 0, 1))
    return np.stack(answers)


def write_shifter(path: Path, image: str, audio: str, *, first: str, planes: int = 3, said: int | None = 3) -> Path:
    """Gives back ``planes`` of its own planes times the mean of the sound; says to give ``said``, or leaves it open."""
    shapes: dict[str, list[int | str | None]] = {image: ["n", 6, 320, 320], audio: ["n", 32, 16, 16]}
    order = [first, *(name for name in shapes if name != first)]
    graph = helper.make_graph(
        [
            helper.make_node("Slice", [image, "start", "stop", "axis"], ["part"]),
            helper.make_node("ReduceMean", [audio], ["loudness"], axes=[1, 2, 3], keepdims=1),
            helper.make_node("Mul", ["part", "loudness"], ["answer"]),
        ],
        "shifter",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in order],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", said, 320, 320])],
        [
            numpy_helper.from_array(np.array([value], np.int64), name)
            for name, value in {"start": 0, "stop": planes, "axis": 1}.items()
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, str(path))
    return path


@pytest.mark.parametrize("first", ["image", "audio"])
@pytest.mark.parametrize(("image", "audio"), [("input", "audio"), ("audio", "input")])
def test_inputs_are_bound_by_shape(tmp_path: Path, image: str, audio: str, first: str) -> None:
    start = image if first == "image" else audio
    session = session_of(write_shifter(tmp_path / "m.onnx", image, audio, first=start), batch=2)
    pictures, sound = inputs(2)
    answer = session.run(pictures, sound)
    loudness = sound.mean(axis=(1, 2, 3), keepdims=True)
    assert answer.planes.shape == (2, 3, 320, 320)
    assert answer.planes.dtype == np.uint8
    assert np.abs(answer.planes - pictures * loudness).max() < 1.001


@pytest.mark.parametrize("bind", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_every_batch_and_padding_gives_the_reference_bit_for_bit(tmp_path: Path, batch: int, bind: bool) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    session = session_of(path, batch, bind=bind)
    assert session.batch == batch
    pictures, sound = inputs(5)
    expected = expected_planes(path, pictures, sound)
    for start in range(0, 5, batch):
        part = slice(start, min(start + batch, 5))
        answer = session.run(pictures[part], sound[part])
        assert np.array_equal(answer.planes, expected[part])
        assert answer.faults == (None,) * len(expected[part])


@pytest.mark.parametrize("bind", [False, True])
def test_a_short_batch_leaves_nothing_for_the_next(tmp_path: Path, bind: bool) -> None:
    """The padding is whatever stood there before, and must not matter."""
    session = session_of(small.write_model(tmp_path / "m.onnx"), batch=4, bind=bind)
    pictures, sound = inputs(4)
    alone = session.run(pictures[:1], sound[:1]).planes
    # What a run gave is the caller's own.
    kept = alone.copy()
    session.run(*inputs(3, seed=9))
    assert np.array_equal(alone, kept)
    assert np.array_equal(session.run(pictures[:1], sound[:1]).planes, alone)
    assert np.array_equal(session.run(pictures, sound).planes[:1], alone)


def test_batches_in_both_bindings_at_once_give_what_they_give_one_after_the_other(tmp_path: Path) -> None:
    """One is loaded and fetched in its own threads while the other is run."""
    path = small.write_model(tmp_path / "m.onnx")
    session = session_of(path, batch=2, bind=True)
    pictures, sound = inputs(11)
    expected = expected_planes(path, pictures, sound)
    parts = [slice(start, start + 2) for start in range(0, 11, 2)]
    first, second = session.bindings
    with ThreadPoolExecutor(1) as loading, ThreadPoolExecutor(1) as fetching:
        answers: list[Future[Prediction]] = []
        loaded = loading.submit(first.load, pictures[parts[0]], sound[parts[0]])
        for i in range(len(parts)):
            binding, other = (first, second) if i % 2 == 0 else (second, first)
            loaded.result()
            binding.run()
            if i + 1 < len(parts):
                if i:
                    answers[i - 1].result()
                # The next batch goes in while the answer of this one still lies where it was calculated.
                loaded = loading.submit(other.load, pictures[parts[i + 1]], sound[parts[i + 1]])
            answers.append(fetching.submit(binding.fetch))
        found = [answer.result() for answer in answers]
    assert np.array_equal(np.concatenate([answer.planes for answer in found]), expected)
    assert [len(answer.faults) for answer in found] == [2, 2, 2, 2, 2, 1]


def test_without_buffers_on_a_device_there_is_one_binding(tmp_path: Path) -> None:
    assert len(session_of(small.write_model(tmp_path / "m.onnx")).bindings) == 1


@pytest.mark.parametrize("bind", [False, True])
def test_read_only_input_from_the_object_store_will_do(tmp_path: Path, bind: bool) -> None:
    session = session_of(small.write_model(tmp_path / "m.onnx"), batch=2, bind=bind)
    pictures, sound = inputs(2)
    pictures.flags.writeable = sound.flags.writeable = False
    assert np.array_equal(session.run(pictures, sound).planes[:1], session.run(pictures[:1], sound[:1]).planes)


def test_ready_planes_are_fed_as_they_are(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    pictures, sound = inputs(3)
    planes = np.empty((3, 6, 320, 320), np.float32)
    planes[:, :3] = pictures / np.float32(255)
    planes[:, 3:] = planes[:, :3]
    planes[:, 3:, 5:310, 5:315] = 0
    answer = session_of(path, batch=2, ready_planes=True).run(planes[:2], sound[:2])
    assert np.array_equal(answer.planes, expected_planes(path, pictures[:2], sound[:2]))


def test_a_fixed_batch_is_rewritten_for_another(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx", batch=2)
    dynamic = small.write_model(tmp_path / "dynamic.onnx")
    pictures, sound = inputs(3)
    for batch in (1, 3):
        session = session_of(path, batch=batch)
        assert session.batch == batch
        answer = session.run(pictures[:batch], sound[:batch])
        assert np.array_equal(answer.planes, expected_planes(dynamic, pictures[:batch], sound[:batch]))


def test_a_fixed_batch_that_cannot_be_rewritten_is_kept(tmp_path: Path) -> None:
    """It mixes the frames of its batch, so that no other batch gives the same."""
    path = small.write_model(tmp_path / "m.onnx", batch=2)
    proto = onnx.load(str(path))
    mixing = helper.make_node("ReduceMean", ["sounds"], ["mean"], axes=[0], keepdims=1)
    adding = helper.make_node("Add", ["sounds", "mean"], ["mixed sounds"])
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            if name == "sounds":
                node.input[place] = "mixed sounds"
    proto.graph.node.insert(0, mixing)
    proto.graph.node.insert(1, adding)
    onnx.save(proto, str(path))
    session = session_of(path, batch=4)
    assert session.batch == 2
    session.warm_up()


def test_a_network_that_cannot_run_at_its_batch_is_refused_in_a_line(tmp_path: Path) -> None:
    """It declares any batch, and reshapes to two."""
    path = small.write_model(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    flat = next(tensor for tensor in proto.graph.initializer if tensor.name == "flat")
    flat.CopyFrom(onnx.numpy_helper.from_array(np.array([2, 32 * 256], np.int64), "flat"))
    onnx.save(proto, str(path))
    session_of(path, batch=2).warm_up()
    with pytest.raises(InputError) as caught:
        session_of(path, batch=1).warm_up()
    assert caught.value.subject == str(path)
    assert "fails when it runs at batch 1" in caught.value.problem
    assert "\n" not in str(caught.value)


def test_more_threads_give_the_same(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    one, two = (session_of(path, threads=threads).run(*inputs(1)) for threads in (1, 2))
    assert np.array_equal(one.planes, two.planes)


def test_a_fault_is_its_frames_own(tmp_path: Path) -> None:
    """Not a number goes through: the frame that it belongs to is reported, not the batch."""
    path = small.write_model(tmp_path / "m.onnx")
    pictures, sound = inputs(2)
    expected = expected_planes(path, pictures[:1], sound[:1])
    sound[1].reshape(-1)[8 * 512] = small.POISON
    answer = session_of(path, batch=2).run(pictures, sound)
    assert answer.faults == (None, PredictionFault("the model returned NaN"))
    assert np.array_equal(answer.planes[:1], expected)


def test_half_precision_is_near(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    whole, half = (session_of(path, precision=precision).run(*inputs(1)).planes for precision in Precision)
    assert 0 < np.abs(whole.astype(int) - half).max() <= 3


def test_a_cpu_session_says_what_it_is(tmp_path: Path) -> None:
    session = session_of(small.write_model(tmp_path / "m.onnx"))
    session.warm_up()
    assert session.device is Device.CPU
    assert session.cpu_nodes == ()


@pytest.mark.parametrize("planes", [1, 2, 6])
def test_planes_that_were_not_declared_are_counted_at_the_first_run(tmp_path: Path, planes: int) -> None:
    path = write_shifter(tmp_path / "m.onnx", "a", "b", first="a", planes=planes, said=None)
    session = session_of(path, batch=2)
    with pytest.raises(InputError) as caught:
        session.warm_up()
    assert f"(2, {planes}, 320, 320)" in caught.value.problem
    assert "(2, 3, 320, 320)" in caught.value.fix


def test_declared_planes_that_are_wrong_never_get_a_session(tmp_path: Path) -> None:
    path = write_shifter(tmp_path / "m.onnx", "a", "b", first="a", planes=6, said=6)
    with pytest.raises(InputError, match="unet-328-ave"):
        session_of(path)


def test_an_operator_that_the_runtime_does_not_know_is_named(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    proto.graph.node[0].op_type = "Convolve"
    onnx.save(proto, str(path))
    with pytest.raises(InputError) as caught:
        session_of(path)
    assert caught.value.subject == str(path)
    assert "cannot load it" in caught.value.problem
    assert "\n" not in str(caught.value)


def test_a_file_format_from_the_future_is_named(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    proto = onnx.load(str(path))
    proto.ir_version = 999
    onnx.save(proto, str(path))
    with pytest.raises(InputError, match="cannot load it"):
        session_of(path)


def test_weights_beside_the_file_are_found(tmp_path: Path) -> None:
    whole = small.write_model(tmp_path / "whole.onnx")
    parted = tmp_path / "parted.onnx"
    onnx.save(
        onnx.load(str(whole)), str(parted), save_as_external_data=True, location="weights.bin", size_threshold=1000
    )
    assert (tmp_path / "weights.bin").stat().st_size > 10_000
    pictures, sound = inputs(1)
    assert np.array_equal(session_of(parted).run(pictures, sound).planes, session_of(whole).run(pictures, sound).planes)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError) as caught:
        session_of(parted)
    assert caught.value.subject == str(parted)


def test_a_model_that_goes_away_between_check_and_session_is_named(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    tensors = read_model(str(path), UNET_328)
    path.unlink()
    with pytest.raises(InputError) as caught:
        Session(str(path), tensors, UNET_328, SessionOptions(Device.CPU))
    assert caught.value.subject == str(path)


def test_tensors_that_are_not_the_models_are_no_session(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    with pytest.raises(Exception, match=r"KeyError|Required|Invalid|'x'"):
        Session(str(path), ModelTensors("x", "y", "z", None, 17, ()), UNET_328, SessionOptions(Device.CPU))


def has_cuda(model: Path) -> bool:
    """Whether the plain runtime, asked in a process of its own, gives a session on a GPU."""
    script = (
        "import sys, onnxruntime as ort\n"
        "ort.preload_dlls()\n"
        "ort.set_default_logger_severity(4)\n"
        "session = ort.InferenceSession(sys.argv[1], providers=['CUDAExecutionProvider'])\n"
        "sys.exit(session.get_providers()[0] != 'CUDAExecutionProvider')\n"
    )
    if Device.CUDA.provider not in ort.get_available_providers():
        return False
    done = subprocess.run([sys.executable, "-c", script, str(model)], capture_output=True, timeout=120, check=False)
    return done.returncode == 0


def test_cuda_that_is_not_there_is_an_error_and_never_a_slow_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    if has_cuda(path):
        pytest.skip("this machine gives CUDA sessions")
    with pytest.raises(InputError) as caught:
        session_of(path, device=Device.CUDA)
    assert caught.value.subject == "--device cuda"
    assert "could not be had" in caught.value.problem
    assert "--device cpu" in caught.value.fix
    assert "\n" not in str(caught.value)
    # The runtime's own complaints would bury that line.
    assert capfd.readouterr().out == ""


@pytest.mark.cuda
def test_cuda_agrees_with_the_cpu(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    if not has_cuda(path):
        pytest.skip("no CUDA session can be had on this machine")
    session = session_of(path, batch=2, device=Device.CUDA, bind=True)
    session.warm_up()
    assert session.device is Device.CUDA
    assert "Conv" not in session.cpu_nodes
    pictures, sound = inputs(2)
    on_cpu = session_of(path, batch=2).run(pictures, sound).planes.astype(int)
    assert np.abs(session.run(pictures, sound).planes - on_cpu).max() <= 1


def test_a_single_runtime_is_no_conflict() -> None:
    assert runtime_conflict() is None


def test_two_runtimes_side_by_side_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip leaves behind when both are installed: two descriptions of one folder."""
    for name in ("onnxruntime", "onnxruntime-gpu"):
        folder = tmp_path / f"{name.replace('-', '_')}-1.31.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert runtime_conflict() == "onnxruntime and onnxruntime-gpu"


def test_a_full_or_missing_temporary_folder_is_not_the_models_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StoppedError, match=r"the temporary folder cannot be used .*missing"):
        session_of(path)
