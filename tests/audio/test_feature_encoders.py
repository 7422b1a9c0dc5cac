"""Encoders and recordings that features are made of: where an encoder runs, and what is refused in one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import onnx
import pytest
import ray
import small
from encoders import write_encoder
from feature_rows import rows_of
from mixing import SORTS, mix
from onnx import TensorProto, helper
from ray.cluster_utils import Cluster

from actors.core.choices import Device
from actors.core.errors import InputError, StoppedError
from actors.core.mel import RATE
from actors.files.digests import code_digest
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.audio_encoder import Encoder, EncoderConfig, read_encoder
from jobs.audio.encoder_actor import SharedEncoders, encoder_actor, encoder_config
from jobs.audio.feature_making import feature_rows, local_encoder
from jobs.audio.feature_source import EncoderSource, encoders_kind, read_encoder_source


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "ear.onnx")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return small.write_tone(tmp_path / "voice.wav", 3.3)


def test_an_encoder_serves_the_kinds_that_take_its_features() -> None:
    assert encoders_kind(None).feature == (512,)
    assert encoders_kind("unet-160-ave").name == "unet-160-ave"
    assert "takes no features of an encoder" in refusal(lambda: encoders_kind("wav2lip-96"))


# Encoders whose rows depend on more than the window


def mixing_encoder(path: Path, sort: str, batch: int | None) -> Path:
    model = onnx.load(str(write_encoder(path, batch)))
    mix(model, "flatter", sort, channels=80)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("batch", [None, 3])
def test_rows_do_not_depend_on_their_batch(tmp_path: Path, recording: Path, sort: str, batch: int | None) -> None:
    made = {
        size: read_encoder_source(str(recording), str(mixing_encoder(tmp_path / f"{size}.onnx", sort, size)), UNET_328)
        for size in (1, batch)
    }
    listener = local_encoder(made[batch], threads=1)
    rows = np.concatenate(list(feature_rows(made[batch], UNET_328, listener)))
    assert "windows are encoded alone" in listener.remark()
    assert ("DynamicQuantizeLinear" in listener.remark()) == (sort == "quantised")
    # An export of batch 1 cannot mix anything.
    np.testing.assert_allclose(rows, rows_of(made[1]), rtol=0, atol=1e-3 if batch else 0)


def test_other_encoders_keep_their_batch(recording: Path, encoder: Path) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    listener = local_encoder(source, threads=1)
    assert list(feature_rows(source, UNET_328, listener))
    assert listener.remark() == ""


@pytest.mark.parametrize("batch", [None, 1])
def test_an_encoder_that_depends_on_chance_is_refused(tmp_path: Path, recording: Path, batch: int | None) -> None:
    path = mixing_encoder(tmp_path / "drawn.onnx", "drawn", batch)
    said = in_process.command("features", recording, "--encoder", path, "--out", tmp_path / "voice.npy")
    assert said.code == 2
    assert "answers differently when it is given the same window again (RandomNormalLike)" in said.output
    assert not (tmp_path / "voice.npy").exists()


# The encoder's own actor


def test_the_actor_gives_what_the_process_itself_would(cluster: Cluster, recording: Path, encoder: Path) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    config = encoder_config(source, Device.CPU, 1, 0, code_digest())
    with connected(cluster), encoder_actor(config, cpus=1, wait=60) as encode:
        rows = np.concatenate(list(feature_rows(source, UNET_328, encode)))
    assert np.array_equal(rows, rows_of(source))


def test_processes_share_an_encoder_that_stays_as_long_as_the_first_of_them(
    cluster: Cluster, recording: Path, encoder: Path
) -> None:
    class Desk:
        def __init__(self) -> None:
            self._encoders = SharedEncoders()

        def rows(self, source: EncoderSource, config: EncoderConfig) -> Any:  # noqa: ANN401 - as Ray sends it
            with self._encoders.encoder(config, wait=60) as encode:
                return np.concatenate(list(feature_rows(source, UNET_328, encode)))

    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    config = encoder_config(source, Device.CPU, 1, 0, code_digest())
    with connected(cluster):
        desk: Any = ray.remote(num_cpus=0)(Desk)
        first, second = desk.remote(), desk.remote()
        for each in (first, second, first):
            assert np.array_equal(ray.get(each.rows.remote(source, config)), rows_of(source))
        (name,) = ray.util.list_named_actors()
        # With the process that started it it goes, and the next one has another.
        ray.kill(first)
        until = time.monotonic() + 60
        while ray.util.list_named_actors() and time.monotonic() < until:
            time.sleep(0.1)
        assert np.array_equal(ray.get(second.rows.remote(source, config)), rows_of(source))
        assert ray.util.list_named_actors() == [name]


def test_an_actor_that_finds_another_encoder_refuses_it(cluster: Cluster, recording: Path, encoder: Path) -> None:
    source = replace(read_encoder_source(str(recording), str(encoder), UNET_328), digest="0" * 64)
    with (
        connected(cluster),
        pytest.raises(InputError, match="does not see the same model"),
        encoder_actor(encoder_config(source, Device.CPU, 1, 0, code_digest()), cpus=1, wait=60),
    ):
        pass


def test_what_is_wrong_with_the_encoder_comes_back_from_the_actor(
    cluster: Cluster, tmp_path: Path, recording: Path
) -> None:
    wrong = write_encoder(tmp_path / "wrong.onnx", features=500, declared="wide")
    source = read_encoder_source(str(recording), str(wrong), UNET_328)
    config = encoder_config(source, Device.CPU, 1, 0, code_digest())
    with (
        connected(cluster),
        pytest.raises(InputError, match=r"gives \(32, 500\) for 32 windows") as caught,
        encoder_actor(config, cpus=1, wait=60),
    ):
        pass
    # Not Ray's own kind of it, which brings a traceback along.
    assert type(caught.value) is InputError


def test_an_encoder_without_room_is_not_waited_for_without_end(
    cluster: Cluster, recording: Path, encoder: Path
) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    config = encoder_config(source, Device.CPU, 1, 0, code_digest())
    with (
        connected(cluster),
        pytest.raises(StoppedError, match=r"no encoder became ready within 0\.5 s"),
        encoder_actor(config, cpus=99, wait=0.5),
    ):
        pass


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """This process as a driver on the cluster for a while."""
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


# Bad input


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.0399])
def test_sound_shorter_than_a_frame_is_refused(tmp_path: Path, encoder: Path, seconds: float) -> None:
    path = small.write_tone(tmp_path / "a.wav", seconds)
    message = refusal(lambda: read_encoder_source(str(path), str(encoder), UNET_328))
    assert "less than a frame" in message
    assert "40 ms" in message


def test_an_empty_recording_is_refused(tmp_path: Path, encoder: Path) -> None:
    path = small.write_tone(tmp_path / "a.wav", 0)
    refusal(lambda: read_encoder_source(str(path), str(encoder), UNET_328))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"mel": (1, 80, 15)}, "are not an encoder's"),
        ({"mel": (80, 16)}, "are not an encoder's"),
        ({"features": 256}, "are not an encoder's"),
        ({"element": TensorProto.FLOAT16}, "not float32 (heard float16)"),
    ],
)
def test_networks_that_are_no_encoders_are_refused(tmp_path: Path, form: dict[str, Any], words: str) -> None:
    path = write_encoder(tmp_path / "other.onnx", **form)
    assert words in refusal(lambda: read_encoder(str(path)))


def encoder_of(path: Path) -> Encoder:
    return Encoder(EncoderConfig(str(path), read_encoder(str(path)), Device.CPU, threads=1, gpus=0))


def test_an_encoder_that_cannot_run_the_batch_it_declares_encodes_windows_alone(tmp_path: Path, encoder: Path) -> None:
    windows = np.random.default_rng(3).uniform(-4, 4, (3, 80, 16)).astype(np.float32)
    wanted = encoder_of(encoder).encode(windows)
    proto = onnx.load(str(encoder))
    name = proto.graph.input[0].name
    for node in proto.graph.node:
        node.input[:] = ["viewed" if given == name else given for given in node.input]
    shape = onnx.numpy_helper.from_array(np.array([1, 1, 80, 16], np.int64), "view")
    proto.graph.initializer.append(shape)
    proto.graph.node.insert(0, helper.make_node("Reshape", [name, "view"], ["viewed"]))
    onnx.save(proto, str(tmp_path / "one.onnx"))
    alone = encoder_of(tmp_path / "one.onnx")
    assert np.allclose(alone.encode(windows), wanted, atol=1e-4)
    assert "fails when it runs at batch 32" in alone.remark()
    assert "windows are encoded alone" in alone.remark()
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([5, 1, 80, 16], np.int64), "view"))
    del proto.graph.initializer[-1]
    proto.graph.initializer.append(shape)
    onnx.save(proto, str(tmp_path / "five.onnx"))
    assert "fails when it runs at batch 32" in refusal(encoder_of(tmp_path / "five.onnx").prepare)


def test_a_network_that_wants_more_than_sound_is_no_encoder(tmp_path: Path, encoder: Path) -> None:
    proto = onnx.load(str(encoder))
    proto.graph.input.append(helper.make_tensor_value_info("speaker", TensorProto.FLOAT, [1]))
    onnx.save(proto, str(tmp_path / "more.onnx"))
    # What nothing reads need not be fed.
    assert read_encoder(str(tmp_path / "more.onnx")) == read_encoder(str(encoder))
    proto.graph.node.append(helper.make_node("Identity", ["speaker"], ["spoken"]))
    onnx.save(proto, str(tmp_path / "more.onnx"))
    assert "speaker [1]" in refusal(lambda: read_encoder(str(tmp_path / "more.onnx")))


def test_the_render_network_is_no_encoder(model: Path) -> None:
    message = refusal(lambda: read_encoder(str(model)))
    assert "1 x 80 x 16" in message
    assert "512" in message


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    assert "check --encoder" in refusal(lambda: read_encoder(str(tmp_path / "no.onnx")))
    (tmp_path / "text.onnx").write_text("no network at all")
    assert "text file" in refusal(lambda: read_encoder(str(tmp_path / "text.onnx")))


def test_features_that_are_no_numbers_are_refused_with_their_row(tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "nan.onnx", poison=True)
    path = small.write_tone(tmp_path / "a.wav", 3.0)
    content = bytearray(path.read_bytes())
    half = 44 + 2 * RATE * 2
    content[half:] = bytes(len(content) - half)
    path.write_bytes(content)
    source = read_encoder_source(str(path), str(encoder), UNET_328)
    message = refusal(lambda: rows_of(source))
    assert message.startswith(str(encoder))
    assert "not finite numbers (row 51)" in message
