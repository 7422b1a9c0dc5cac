"""Sessions: bound by shape, padded to one batch, on the device that was asked for or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import reference
import small
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from actors.core.errors import InputError
from actors.core.kind import UNET_328, ModelTensors
from actors.model import read_model
from actors.session import CPU, CUDA, Session, SessionOptions, available_providers, runtime_conflict

Floats = NDArray[np.float32]


def session_of(path: Path, batch: int = 1, *, provider: str = CPU, threads: int = 1) -> Session:
    tensors = read_model(str(path), UNET_328)
    return Session(str(path), tensors, UNET_328, SessionOptions(provider, threads, batch, 0))


def inputs(count: int, seed: int = 3) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.random((count, 6, 320, 320), np.float32), rng.random((count, 32, 16, 16), np.float32)


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
    expected = pictures[:, :3] * sound.mean(axis=(1, 2, 3), keepdims=True)
    assert answer.shape == (2, 3, 320, 320)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, expected, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_every_batch_and_padding_gives_the_reference_bit_for_bit(tmp_path: Path, batch: int) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    session = session_of(path, batch)
    assert session.batch == batch
    plain = reference.open_session(path)
    pictures, sound = inputs(5)
    expected = [reference.predict(plain, *pair) for pair in zip(pictures, sound, strict=True)]
    for start in range(0, 5, batch):
        part = slice(start, min(start + batch, 5))
        assert np.array_equal(session.run(pictures[part], sound[part]), np.stack(expected[part]))


def test_a_short_batch_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    """The padding is whatever stood there before, and must not matter."""
    session = session_of(small.write_model(tmp_path / "m.onnx"), batch=4)
    pictures, sound = inputs(4)
    alone = session.run(pictures[:1], sound[:1])
    session.run(*inputs(3, seed=9))
    assert np.array_equal(session.run(pictures[:1], sound[:1]), alone)
    assert np.array_equal(session.run(pictures, sound)[:1], alone)
    # What a run gave is the caller's own.
    kept = alone.copy()
    session.run(*inputs(1, seed=10))
    assert np.array_equal(alone, kept)


def test_read_only_input_from_the_object_store_will_do(tmp_path: Path) -> None:
    session = session_of(small.write_model(tmp_path / "m.onnx"), batch=2)
    pictures, sound = inputs(2)
    pictures.flags.writeable = sound.flags.writeable = False
    assert np.array_equal(session.run(pictures, sound)[:1], session.run(pictures[:1], sound[:1]))


def test_a_fixed_batch_is_kept_whatever_is_asked_for(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx", batch=2)
    session = session_of(path, batch=8)
    assert session.batch == 2
    pictures, sound = inputs(2)
    assert np.array_equal(session.run(pictures, sound)[1:], session.run(pictures[1:], sound[1:]))


def test_more_threads_give_the_same(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    pictures, sound = inputs(1)
    assert np.array_equal(session_of(path).run(pictures, sound), session_of(path, threads=2).run(pictures, sound))


def test_values_are_the_models_own(tmp_path: Path) -> None:
    """Not a number goes through: the frame that it belongs to is reported, not the batch."""
    session = session_of(small.write_model(tmp_path / "m.onnx"), batch=2)
    pictures, sound = inputs(2)
    sound[1].reshape(-1)[8 * 512] = small.POISON
    answer = session.run(pictures, sound)
    assert np.isfinite(answer[0]).all()
    assert np.isnan(answer[1]).all()


def test_a_cpu_session_says_what_it_is(tmp_path: Path) -> None:
    session = session_of(small.write_model(tmp_path / "m.onnx"))
    session.warm_up()
    assert session.provider == CPU
    assert session.cpu_nodes == ()
    assert CPU in available_providers()


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
    assert np.array_equal(session_of(parted).run(pictures, sound), session_of(whole).run(pictures, sound))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError) as caught:
        session_of(parted)
    assert caught.value.subject == str(parted)


def test_a_model_that_goes_away_between_check_and_session_is_named(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    tensors = read_model(str(path), UNET_328)
    path.unlink()
    with pytest.raises(InputError) as caught:
        Session(str(path), tensors, UNET_328, SessionOptions(CPU, 1, 1, 0))
    assert caught.value.subject == str(path)


def test_tensors_that_are_not_the_models_are_no_session_that_runs(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    session = Session(str(path), ModelTensors("x", "y", "z", None, 17, ()), UNET_328, SessionOptions(CPU, 1, 1, 0))
    with pytest.raises(Exception, match=r"Required inputs|Invalid"):
        session.warm_up()


def has_cuda(model: Path) -> bool:
    """Whether the plain runtime, asked in a process of its own, gives a session on a card."""
    script = (
        "import sys, onnxruntime as ort\n"
        "ort.preload_dlls()\n"
        "ort.set_default_logger_severity(4)\n"
        "session = ort.InferenceSession(sys.argv[1], providers=['CUDAExecutionProvider'])\n"
        "sys.exit(session.get_providers()[0] != 'CUDAExecutionProvider')\n"
    )
    if CUDA not in available_providers():
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
        session_of(path, provider=CUDA)
    assert caught.value.subject == "--device cuda"
    assert "could not be had" in caught.value.problem
    assert "--device cpu" in caught.value.fix
    assert "\n" not in str(caught.value)
    # The runtime's own complaints would bury that line.
    assert capfd.readouterr().out == ""


def test_cuda_agrees_with_the_cpu(tmp_path: Path) -> None:
    path = small.write_model(tmp_path / "m.onnx")
    if not has_cuda(path):
        pytest.skip("no CUDA session can be had on this machine")
    session = session_of(path, batch=2, provider=CUDA)
    session.warm_up()
    assert session.provider == CUDA
    assert "Conv" not in session.cpu_nodes
    pictures, sound = inputs(2)
    on_cpu = session_of(path, batch=2).run(pictures, sound)
    assert np.abs(session.run(pictures, sound) - on_cpu).max() < 1 / 255


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
