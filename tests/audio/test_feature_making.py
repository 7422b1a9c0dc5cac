"""Features from a recording: the right rows in the right order, kept, made again, and every bad input in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import onnx
import pytest
import ray
import small
from encoders import write_encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from mixing import SORTS, mix
from onnx import TensorProto, helper, numpy_helper
from ray.cluster_utils import Cluster

from actors.core.choices import AudioSource, Device
from actors.core.errors import ExitCode, InputError, StoppedError
from actors.core.mel import RATE, mel_spectrogram, mel_windows
from actors.files.digests import code_digest
from actors.files.storage import locate
from actors.kinds import all_kinds
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.audio_encoder import BATCH, Encoder, EncoderConfig, EncoderTensors, read_encoder
from jobs.audio.decoding import mono
from jobs.audio.feature_making import (
    Rows,
    encoder_actor,
    encoder_config,
    feature_rows,
    load_features,
    local_encoder,
    make_features,
    sequence,
    window_rows,
    write_features,
)
from jobs.audio.feature_source import EncoderSource, encoders_kind, read_encoder_source, read_mel_source


def oracle(recording: Path) -> Rows:
    """The features that the encoder above should make, by one matrix product and the facts."""
    graph = onnx.load(str(write_encoder(recording.parent / "oracle.onnx"))).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    windows = np.concatenate(list(mel_windows(mono(str(recording), RATE), 25)))
    encoded = (windows @ stored["rows"])[:, :, 0] @ stored["mix"]
    wanted = round(sum(map(len, mono(str(recording), RATE))) / RATE * 25)
    rows = [encoded[0], *encoded, encoded[-1]]
    rows += [rows[-1]] * (wanted - len(rows))
    return np.array(rows[:wanted], np.float32)


def heard(source: EncoderSource) -> Iterator[Rows]:
    return feature_rows(source, UNET_328, local_encoder(source, threads=1))


def rows_of(source: EncoderSource) -> Rows:
    return np.concatenate(list(heard(source)))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "ear.onnx")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return small.write_tone(tmp_path / "voice.wav", 3.3)


# Rows


@pytest.mark.parametrize(
    ("seconds", "frames"),
    [(0.04, 1), (0.05, 1), (0.08, 2), (0.12, 3), (0.16, 4), (0.187, 5), (0.1875, 5), (0.2, 5), (1, 25), (3.3, 82)],
)
def test_there_is_one_row_for_every_frame_of_sound(tmp_path: Path, encoder: Path, seconds: float, frames: int) -> None:
    recording = small.write_tone(tmp_path / "a.wav", seconds)
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    assert source.frames == frames
    rows = rows_of(source)
    assert rows.shape == (frames, 512)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, oracle(recording), atol=1e-4)


@settings(max_examples=20)
@given(st.integers(640, 3 * RATE))
def test_rows_are_never_fewer_than_the_sequence_of_upstream(count: int) -> None:
    """Upstream's own sequence always ends before the sound does; it is made longer, never shorter."""
    encoded = sum(len(part) for part in mel_windows([np.zeros(count, np.float32)], 25))
    frames = round(Fraction(count * 25, RATE))
    assert encoded + 2 <= frames or count < 3000


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(1, 40))
def test_the_ends_stand_twice_and_the_last_row_goes_on(sizes: list[int], frames: int) -> None:
    count = sum(sizes)
    numbered = np.tile(np.arange(count, dtype=np.float32)[:, None], (1, 512))
    parts = np.split(numbered, np.cumsum(sizes)[:-1])
    rows = np.concatenate(list(sequence(parts, frames)))[:, 0].tolist()
    assert rows == [0, *range(count), *[count - 1] * frames][:frames]


def test_stereo_of_another_rate_gives_nearly_the_same(tmp_path: Path, encoder: Path) -> None:
    plain = rows_of(read_encoder_source(str(small.write_tone(tmp_path / "a.wav", 2.0)), str(encoder), UNET_328))
    other = small.write_tone(tmp_path / "b.wav", 2.0, rate=48_000, channels=2)
    rows = rows_of(read_encoder_source(str(other), str(encoder), UNET_328))
    assert rows.shape == plain.shape
    # Not equal: above 6 kHz the tone's rounding noise is another one.
    assert np.abs(rows - plain).mean() < 0.05 * np.abs(plain).mean()


def test_silence_gives_rows_like_any_sound(tmp_path: Path, encoder: Path) -> None:
    path = tmp_path / "silence.wav"
    small.write_tone(path, 1.0)
    content = bytearray(path.read_bytes())
    content[44:] = bytes(len(content) - 44)
    path.write_bytes(content)
    rows = rows_of(read_encoder_source(str(path), str(encoder), UNET_328))
    assert rows.shape == (25, 512)
    # All windows are the floor; a real encoding of it is not zero.
    assert rows.any()
    assert (rows == rows[0]).all()


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_an_encoder_of_fixed_batch_gives_the_same(tmp_path: Path, recording: Path, encoder: Path, batch: int) -> None:
    fixed = write_encoder(tmp_path / "fixed.onnx", batch)
    source = read_encoder_source(str(recording), str(fixed), UNET_328)
    assert source.tensors == EncoderTensors("heard", "answer", batch, ())
    free = rows_of(read_encoder_source(str(recording), str(encoder), UNET_328))
    np.testing.assert_allclose(rows_of(source), free, atol=1e-4)


def test_windows_reach_the_encoder_in_full_batches_and_in_order(recording: Path, encoder: Path) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    seen: list[Rows] = []

    def listen(batches: Iterable[Rows]) -> Iterator[Rows]:
        for batch in batches:
            seen.append(batch)
            yield np.zeros((len(batch), 512), np.float32)

    list(feature_rows(source, UNET_328, listen))
    assert {len(batch) for batch in seen[:-1]} == {BATCH}
    assert np.array_equal(np.concatenate(seen), np.concatenate(list(mel_windows(mono(str(recording), RATE), 25))))


# The mel windows that a network hears by itself


MEL_KIND = next(kind for kind in all_kinds() if kind.audio_source is AudioSource.MEL)


@pytest.mark.parametrize("seconds", [0.04, 0.1, 0.187, 0.1875, 0.25, 1, 3.3])
def test_there_is_one_window_for_every_frame_of_sound_and_the_last_one_stays(tmp_path: Path, seconds: float) -> None:
    recording = small.write_tone(tmp_path / "a.wav", seconds)
    source = read_mel_source(str(recording), MEL_KIND)
    assert source.frames == round(seconds * 25)
    rows = np.concatenate(list(window_rows(source, MEL_KIND)))
    assert rows.shape == (source.frames, 80, 16)
    mel = np.concatenate(list(mel_spectrogram([np.concatenate([*mono(str(recording), RATE), np.zeros(3000)])])))
    heard_rows = max(16, int(seconds * RATE) // 200 + 1)
    for frame, window in enumerate(rows):
        start = min(int(frame * 80 / 25), heard_rows - 16)
        # Silence was put behind the sound, so rows that reach its end differ.
        inside = max(0, min(16, int(seconds * RATE) // 200 - 2 - start))
        np.testing.assert_allclose(window.T[:inside], mel[start : start + inside], atol=1e-5)
    assert (rows[-1] == rows[min(source.frames - 1, int((heard_rows - 16) / 3.2) + 1)]).all()


def test_windows_are_kept_like_features_under_a_name_of_their_own(tmp_path: Path, recording: Path) -> None:
    source = read_mel_source(str(recording), MEL_KIND)
    folder = locate(str(tmp_path / "kept"))
    made = make_features(folder, source, MEL_KIND, window_rows(source, MEL_KIND))
    found = load_features(folder, source, MEL_KIND)
    assert found is not None
    assert np.array_equal(found, made)
    encoder = write_encoder(tmp_path / "ear.onnx")
    assert read_encoder_source(str(recording), str(encoder), UNET_328).key != source.key


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


# What is kept


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_features_are_kept_and_found_again(tmp_path: Path, recording: Path, encoder: Path) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    folder = tmp_path / "run" / "features"
    assert load_features(locate(str(folder)), source, UNET_328) is None
    made = make_features(locate(str(folder)), source, UNET_328, heard(source))
    assert np.array_equal(made, rows_of(source))
    found = load_features(locate(str(folder)), source, UNET_328)
    assert found is not None
    assert np.array_equal(found, made)
    (path,) = kept(folder)
    assert np.array_equal(np.load(path, allow_pickle=False), made)


@pytest.mark.parametrize("change", ["a bit", "the end", "everything", "the name"])
def test_damaged_features_are_made_again(tmp_path: Path, recording: Path, encoder: Path, change: str) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    made = make_features(locate(str(tmp_path / "kept")), source, UNET_328, heard(source))
    (path,) = kept(tmp_path / "kept")
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    spoilt = {"a bit": bytes(content), "the end": path.read_bytes()[:-4], "everything": b""}
    if change in spoilt:
        path.write_bytes(spoilt[change])
    else:
        path.rename(path.with_name(path.name.replace("-", "-0")))
    assert load_features(locate(str(tmp_path / "kept")), source, UNET_328) is None
    assert np.array_equal(make_features(locate(str(tmp_path / "kept")), source, UNET_328, heard(source)), made)
    assert kept(tmp_path / "kept") == [path]
    assert load_features(locate(str(tmp_path / "kept")), source, UNET_328) is not None


def test_other_sound_and_another_encoder_have_features_of_their_own(
    tmp_path: Path, recording: Path, encoder: Path
) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    make_features(locate(str(tmp_path / "kept")), source, UNET_328, heard(source))
    content = bytearray(recording.read_bytes())
    content[2000] ^= 1
    (tmp_path / "other.wav").write_bytes(content)
    same_sound = tmp_path / "copied.wav"
    same_sound.write_bytes(recording.read_bytes())
    deaf = write_encoder(tmp_path / "deaf.onnx", 7)
    others = [
        read_encoder_source(str(tmp_path / "other.wav"), str(encoder), UNET_328),
        read_encoder_source(str(recording), str(deaf), UNET_328),
    ]
    assert len({source.key, *(other.key for other in others)}) == 3
    assert all(load_features(locate(str(tmp_path / "kept")), other, UNET_328) is None for other in others)
    copied = read_encoder_source(str(same_sound), str(encoder), UNET_328)
    assert load_features(locate(str(tmp_path / "kept")), copied, UNET_328) is not None


def test_an_encoder_that_fails_midway_leaves_nothing(tmp_path: Path, recording: Path, encoder: Path) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)

    def fail(batches: Iterable[Rows]) -> Iterator[Rows]:
        yield np.zeros((len(next(iter(batches))), 512), np.float32)
        raise InputError("the encoder", "is broken", "mend it")

    with pytest.raises(InputError, match="is broken"):
        make_features(locate(str(tmp_path / "kept")), source, UNET_328, feature_rows(source, UNET_328, fail))
    with pytest.raises(InputError, match="is broken"):
        write_features(str(tmp_path / "f.npy"), feature_rows(source, UNET_328, fail), source.frames)
    assert not (tmp_path / "kept").exists()
    assert not (tmp_path / "f.npy").exists()


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


# The command


def test_the_command_makes_the_file_and_says_so(tmp_path: Path, recording: Path, encoder: Path) -> None:
    result = small.command("features", recording, "--encoder", encoder, "--out", tmp_path / "f.npy")
    assert result.code == ExitCode.COMPLETE, result.output
    assert "82 rows, 3.30 s at 25 fps" in result.output
    rows = np.load(tmp_path / "f.npy", allow_pickle=False)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, rows_of(read_encoder_source(str(recording), str(encoder), UNET_328)))


def test_the_command_refuses_in_one_line(tmp_path: Path, recording: Path, encoder: Path) -> None:
    before = recording.read_bytes()
    for out, words in (
        (tmp_path / "no" / "f.npy", "there is no folder"),
        (tmp_path, "is a folder"),
        (recording, f"give --out {recording.stem}.npy"),
    ):
        result = in_process.command("features", recording, "--encoder", encoder, "--out", out)
        assert result.code == ExitCode.BAD_INPUT
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1
    assert recording.read_bytes() == before
