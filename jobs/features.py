"""Audio features from a recording: an encoder hears it, one row for each output frame, kept beside the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import ray
import ray.exceptions
import xxhash
from numpy.typing import NDArray

from actors import storage
from actors.core.errors import InputError, StoppedError
from actors.core.kind import ModelKind
from actors.core.mel import RATE, mel_windows
from actors.digest import model_digest
from actors.encoder import BATCH, FEATURES, ROW_SHAPE, Encoder, EncoderConfig, EncoderTensors, read_encoder
from jobs.clip.features import read_features
from jobs.digest import text_digest
from jobs.recording import mono, seconds

Rows: TypeAlias = NDArray[np.float32]

# Batches of mel windows ``(n, 80, 16)`` to as many batches of feature rows ``(n, 512)``, in order.
Encode: TypeAlias = Callable[[Iterable[Rows]], Iterable[Rows]]

# Goes up with every change of `jobs.recording` or `actors.core.mel` that changes features, so that older ones are not
# taken for new ones.
FRONT_END = 1

# Batches that an encoder elsewhere holds while this process prepares the next one.
_IN_FLIGHT = 4

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording and the encoder that shall hear it, both checked.

    Attributes:
        recording: absolute path of the recording.
        encoder: absolute path of the encoder.
        tensors: the encoder's input and output.
        seconds: length of the recording.
        frames: output frames, one feature row for each.
        key: names what decides the features: every byte of both files, and the front end.
    """

    recording: str
    encoder: str
    tensors: EncoderTensors
    seconds: Fraction
    frames: int
    key: str

    def __len__(self) -> int:
        return self.frames


def read_speech(recording: str, encoder: str, kind: ModelKind) -> Speech:
    """Checks a recording and an encoder; decodes the whole recording once, to find its length.

    Args:
        recording: see `jobs.recording.decoded`.
        encoder: an ONNX file, see `actors.encoder.read_encoder`.
        kind: the network that the features are for.

    Raises:
        InputError: one of them cannot be used, or the sound is shorter than a frame.
    """
    recording, encoder = storage.resolve(recording), storage.resolve(encoder)
    if kind.feature != ROW_SHAPE:
        raise InputError("--encoder", f"{kind.name} does not take features of mel windows", "give --features instead")
    tensors = read_encoder(encoder)
    length = seconds(recording)
    if length * kind.fps < 1:
        raise InputError(
            recording,
            f"lasts {float(length) * 1e3:.1f} ms, less than a frame",
            f"give at least {1000 / kind.fps:g} ms of sound",
        )
    parts = (FRONT_END, kind.fps, _content_digest(recording), model_digest(encoder, tensors.external))
    frames = round(length * kind.fps)
    return Speech(recording, encoder, tensors, length, frames, text_digest(repr(parts))[:32])


def feature_rows(speech: Speech, kind: ModelKind, encode: Encode) -> Iterator[Rows]:
    """The features of a recording, as they become ready; memory does not grow with its length.

    The sequence is SyncTalk_2D's, the first and the last encoded row standing twice, and then goes on with its last
    row to one row for each output frame. Only sound of less than `actors.core.mel.SHORTEST` samples has more rows
    than frames; there the first ones are taken.

    Args:
        speech: what to hear.
        kind: the network that the features are for.
        encode: the encoder, here or elsewhere.

    Yields:
        ``(n, 512)`` float32, finite, n at least 1; ``speech.frames`` rows in all.

    Raises:
        InputError: the recording or the encoder cannot be used, or a feature is not a finite number.
    """
    windows = mel_windows(mono(speech.recording, RATE), kind.fps)
    fixed = speech.tensors.batch or BATCH
    encoded = encode(_batches(windows, max(fixed, BATCH // fixed * fixed)))
    return sequence(_finite(encoded, speech.encoder), speech.frames)


def sequence(encoded: Iterable[Rows], frames: int) -> Iterator[Rows]:
    """Encoded rows as the features of output frames: the first one twice, the last one as often as is needed.

    Args:
        encoded: ``(n, 512)`` each, at least one row in all.
        frames: rows that are wanted.

    Yields:
        ``(n, 512)``, n at least 1.
    """
    given, last = 0, np.zeros((0, FEATURES), np.float32)
    for rows in encoded:
        part = (rows if len(last) else np.concatenate([rows[:1], rows]))[: frames - given]
        given, last = given + len(part), rows[-1:]
        if len(part):
            yield part
    if given < frames:
        yield np.repeat(last, frames - given, axis=0)


def write_features(path: str, rows: Iterable[Rows], frames: int) -> None:
    """Writes features as they come into a ``.npy`` file, which stands there whole or not at all.

    Args:
        path: of the file.
        rows: ``(n, 512)`` float32 each.
        frames: rows in all.

    Raises:
        OSError: it cannot be written.
        ValueError: there are more or fewer rows.
    """
    with _written(rows, frames) as (local, _):
        storage.place_file(local, path)


def load_features(folder: str, speech: Speech, kind: ModelKind) -> Rows | None:
    """The features that an earlier run kept, ``(frames, 512)`` float32; ``None`` if it kept none, or damaged ones.

    Args:
        folder: where features are kept.
        speech: what they are of.
        kind: the network that they are for.
    """
    for entry in storage.children(folder):
        key, _, checksum = entry.name.removesuffix(".npy").partition("-")
        if key != speech.key or _content_digest(entry.path) != checksum:
            continue
        rows = read_features(entry.path, kind)
        if len(rows) == speech.frames:
            return rows
    return None


def make_features(folder: str, speech: Speech, kind: ModelKind, encode: Encode) -> Rows:
    """Features from the recording, ``(frames, 512)`` float32; they are kept, in place of damaged ones.

    Args:
        folder: where features are kept; made if need be.
        speech: what to hear.
        kind: the network that they are for.
        encode: the encoder.

    Raises:
        InputError: the recording or the encoder cannot be used.
        OSError: they cannot be kept.
    """
    with _written(feature_rows(speech, kind, encode), speech.frames) as (local, checksum):
        storage.make_folder(folder)
        before = [entry.path for entry in storage.children(folder) if entry.name.startswith(f"{speech.key}-")]
        # The name holds the content's checksum, so that there is no second file that could say something else.
        path = storage.join(folder, f"{speech.key}-{checksum}.npy")
        storage.place_file(local, path)
    for old in before:
        if old != path:
            storage.remove_file(old)
    return read_features(path, kind)


def local_encoder(speech: Speech, threads: int) -> Encode:
    """An encoder in this process, on so many of its cores."""
    # Imported here: a driver whose encoder is an actor never loads the runtime.
    from actors.session import CPU  # noqa: PLC0415

    encoder = Encoder(EncoderConfig(speech.encoder, speech.tensors, CPU, threads, gpus=0))
    return lambda batches: map(encoder.encode, batches)


@contextmanager
def encoder_actor(config: EncoderConfig, *, cpus: float, wait: float) -> Iterator[Encode]:
    """An encoder as an actor of the connected cluster; it is gone afterwards, and its share of a card is free again.

    If it dies, Ray starts it elsewhere and asks it again.

    Args:
        config: the encoder's.
        cpus: cores that it takes of Ray's books.
        wait: seconds to wait for it to become ready.

    Yields:
        What encodes batches, a few at a time.

    Raises:
        InputError: the encoder or its device cannot be used.
        StoppedError: no node had room for it.
        RayError: it is lost for good.
    """
    options = {"num_cpus": cpus, "num_gpus": config.gpus, "max_restarts": 3, "max_task_retries": 3}
    actor: Any = ray.remote(Encoder).options(**options).remote(config)
    try:
        _answer(actor.prepare.remote(), wait)
        yield lambda batches: _pipelined(actor, batches)
    finally:
        ray.kill(actor)


def _pipelined(actor: Any, batches: Iterable[Rows]) -> Iterator[Rows]:  # noqa: ANN401 - Ray's handles have no type
    waiting: deque[Any] = deque()
    for batch in batches:
        waiting.append(actor.encode.remote(batch))
        if len(waiting) == _IN_FLIGHT:
            yield _answer(waiting.popleft())
    while waiting:
        yield _answer(waiting.popleft())


def _answer(reference: Any, wait: float | None = None) -> Any:  # noqa: ANN401 - an answer may be anything
    try:
        return ray.get(reference, timeout=wait)
    except ray.exceptions.GetTimeoutError as error:
        raise StoppedError(
            f"no encoder became ready within {wait:g} s", "see ray status; --wait waits longer"
        ) from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from error
        raise


def _batches(windows: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The same windows, ``size`` at a time counted from the first: how they were cut changes no batch."""
    held: Rows | None = None
    for part in windows:
        held = part if held is None else np.concatenate([held, part])
        whole = len(held) // size * size
        yield from (held[start : start + size] for start in range(0, whole, size))
        held = held[whole:]
    if held is not None and len(held):
        yield held


def _finite(encoded: Iterable[Rows], encoder: str) -> Iterator[Rows]:
    count = 0
    for rows in encoded:
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if bad.size:
            raise InputError(
                encoder, f"gives features that are not finite numbers (row {count + bad[0]})", "export it again"
            )
        count += len(rows)
        yield rows


@contextmanager
def _written(rows: Iterable[Rows], frames: int) -> Iterator[tuple[Path, str]]:
    """A local file of features that stands for a while, and its content's digest."""
    with TemporaryDirectory(prefix="mouthpiece-") as scratch:
        local = Path(scratch) / "features.npy"
        count = 0
        with local.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (frames, FEATURES)}
            np.lib.format.write_array_header_1_0(file, header)
            for part in rows:
                file.write(np.ascontiguousarray(part, "<f4").data)
                count += len(part)
        if count != frames:
            raise ValueError(f"{count} rows of features for {frames} frames")
        yield local, _content_digest(str(local))


def _content_digest(path: str) -> str:
    """xxh3-128 of a file's whole content."""
    digest = xxhash.xxh3_128()
    with storage.open_input(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
