"""Features from a recording: the right rows in the right order, kept, made again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import in_process
import numpy as np
import pytest
import small
from encoders import write_encoder
from examples import examples
from feature_rows import encoded, oracle, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.choices import AudioSource
from actors.core.errors import ExitCode, InputError
from actors.core.mel import RATE, mel_spectrogram, mel_windows
from actors.files.storage import locate
from actors.kinds import all_kinds
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.audio_encoder import BATCH, EncoderTensors
from jobs.audio.decoding import mono
from jobs.audio.feature_making import (
    Rows,
    feature_rows,
    load_features,
    make_features,
    sequence,
    window_rows,
    write_features,
)
from jobs.audio.feature_source import read_encoder_source, read_mel_source


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


@settings(max_examples=examples(20))
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


# What is kept


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_features_are_kept_and_found_again(tmp_path: Path, recording: Path, encoder: Path) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    folder = tmp_path / "run" / "features"
    assert load_features(locate(str(folder)), source, UNET_328) is None
    made = make_features(locate(str(folder)), source, UNET_328, encoded(source))
    assert np.array_equal(made, rows_of(source))
    found = load_features(locate(str(folder)), source, UNET_328)
    assert found is not None
    assert np.array_equal(found, made)
    (path,) = kept(folder)
    assert np.array_equal(np.load(path, allow_pickle=False), made)


@pytest.mark.parametrize("change", ["a bit", "the end", "everything", "the name"])
def test_damaged_features_are_made_again(tmp_path: Path, recording: Path, encoder: Path, change: str) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    made = make_features(locate(str(tmp_path / "kept")), source, UNET_328, encoded(source))
    (path,) = kept(tmp_path / "kept")
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    spoilt = {"a bit": bytes(content), "the end": path.read_bytes()[:-4], "everything": b""}
    if change in spoilt:
        path.write_bytes(spoilt[change])
    else:
        path.rename(path.with_name(path.name.replace("-", "-0")))
    assert load_features(locate(str(tmp_path / "kept")), source, UNET_328) is None
    assert np.array_equal(make_features(locate(str(tmp_path / "kept")), source, UNET_328, encoded(source)), made)
    assert kept(tmp_path / "kept") == [path]
    assert load_features(locate(str(tmp_path / "kept")), source, UNET_328) is not None


def test_other_sound_and_another_encoder_have_features_of_their_own(
    tmp_path: Path, recording: Path, encoder: Path
) -> None:
    source = read_encoder_source(str(recording), str(encoder), UNET_328)
    make_features(locate(str(tmp_path / "kept")), source, UNET_328, encoded(source))
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


# The command


def test_the_command_makes_the_file_and_says_so(tmp_path: Path, recording: Path, encoder: Path) -> None:
    result = in_process.command("features", recording, "--encoder", encoder, "--out", tmp_path / "f.npy")
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
