"""Audio features made of a recording, one row for each output frame, and kept in the run's folder.

They are the answers of an encoder, or for some networks the mel windows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Device
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.core.mel import RATE, mel_windows
from actors.files import storage
from actors.files.digests import content_digest
from actors.files.storage import StoragePath
from actors.network.audio_encoder import BATCH, Encoder, EncoderConfig
from jobs.audio.decoding import mono
from jobs.audio.feature_source import EncoderSource, FeatureSource
from jobs.clip.feature_file import read_features
from jobs.process.temporary_folders import scratch_folder

Rows: TypeAlias = NDArray[np.float32]

# Batches of mel windows ``(n, 80, 16)`` to as many batches of feature rows ``(n, 512)``, in order.
Encode: TypeAlias = Callable[[Iterable[Rows]], Iterable[Rows]]


def window_rows(source: FeatureSource, kind: ModelKind) -> Iterator[Rows]:
    """The mel windows of a recording for a network that takes them itself, as they become ready.

    They go on with the last one, which holds the last 16 rows of the recording, to one for each output frame.

    Args:
        source: the recording.
        kind: the network.

    Yields:
        ``(n, 80, 16)`` float32 in [-4, 4], n at least 1; ``source.frames`` windows in all.

    Raises:
        InputError: the recording cannot be used.
    """
    return _extended(mel_windows(mono(source.recording.path, RATE, source.recording.channels), kind.fps), source.frames)


def feature_rows(source: EncoderSource, kind: ModelKind, encode: Encode) -> Iterator[Rows]:
    """The features of a recording, as they become ready; memory does not grow with its length.

    The sequence is SyncTalk_2D's, the first and the last encoded row standing twice, and then goes on with its last
    row to one row for each output frame. Only sound of less than `actors.core.mel.SHORTEST` samples has more rows
    than frames; there the first ones are taken.

    Args:
        source: the recording and its encoder.
        kind: the network that the features are for.
        encode: the encoder, here or elsewhere.

    Yields:
        ``(n, 512)`` float32, finite, n at least 1; ``source.frames`` rows in all.

    Raises:
        InputError: the recording or the encoder cannot be used, or a feature is not a finite number.
    """
    windows = mel_windows(mono(source.recording.path, RATE, source.recording.channels), kind.fps)
    fixed = source.tensors.batch or BATCH
    encoded = encode(_batches(windows, max(fixed, BATCH // fixed * fixed)))
    return sequence(_finite(encoded, source.encoder), source.frames)


def sequence(encoded: Iterable[Rows], frames: int) -> Iterator[Rows]:
    """Encoded rows as the features of output frames: the first one twice, the last one as often as is needed.

    Args:
        encoded: ``(n, 512)`` each, at least one row in all.
        frames: rows that are wanted.

    Yields:
        ``(n, 512)``, n at least 1.
    """
    return _extended(_first_twice(encoded), frames)


def _first_twice(encoded: Iterable[Rows]) -> Iterator[Rows]:
    for number, rows in enumerate(encoded):
        yield rows if number else np.concatenate([rows[:1], rows])


def _extended(given: Iterable[Rows], frames: int) -> Iterator[Rows]:
    """The first rows, and the last one as often as is needed for so many in all."""
    count, last = 0, None
    for rows in given:
        part, last = rows[: frames - count], rows[-1:]
        count += len(part)
        if len(part):
            yield part
    if last is not None and count < frames:
        yield np.repeat(last, frames - count, axis=0)


def write_features(path: storage.AnyPath, rows: Iterable[Rows], frames: int) -> None:
    """Writes features as they come into a ``.npy`` file, which stands there whole or not at all.

    Args:
        path: of the file.
        rows: ``(n, *kind.feature)`` float32 each.
        frames: rows in all, at least 1.

    Raises:
        OSError: it cannot be written.
        ValueError: there are more or fewer rows.
    """
    with _written(rows, frames) as (local, _):
        storage.place_file(local, path)


def load_features(folder: StoragePath, source: FeatureSource, kind: ModelKind) -> Rows | None:
    """The features that an earlier run kept, ``(frames, *kind.feature)`` float32.

    ``None`` if it kept none, or damaged ones.

    Args:
        folder: where features are kept.
        source: what they are of.
        kind: the network that they are for.
    """
    for entry in storage.children(folder):
        key, _, checksum = entry.name.removesuffix(".npy").partition("-")
        path = folder / entry.name
        if key != source.key or content_digest(path) != checksum:
            continue
        rows = read_features(path, kind)
        if len(rows) == source.frames:
            return rows
    return None


def make_features(folder: StoragePath, source: FeatureSource, kind: ModelKind, rows: Iterable[Rows]) -> Rows:
    """Features from the recording, ``(frames, *kind.feature)`` float32; they are kept, in place of damaged ones.

    Args:
        folder: where features are kept; made if need be.
        source: what they are of.
        kind: the network that they are for.
        rows: the features as they become ready, from `feature_rows` or `window_rows`.

    Raises:
        InputError: the recording or the encoder cannot be used.
        OSError: they cannot be kept.
    """
    with _written(rows, source.frames) as (local, checksum):
        storage.make_folder(folder)
        before = [folder / entry.name for entry in storage.children(folder) if entry.name.startswith(f"{source.key}-")]
        # The name holds the content's checksum, so that there is no second file that could say something else.
        path = folder / f"{source.key}-{checksum}.npy"
        storage.place_file(local, path)
    for old in before:
        if old != path:
            storage.remove_file(old)
    return read_features(path, kind)


class LocalEncoder:
    """An encoder in this process."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def __call__(self, batches: Iterable[Rows]) -> Iterator[Rows]:
        """Encodes batches, one after the other."""
        return map(self._encoder.encode, batches)

    def remark(self) -> str:
        """As `Encoder.remark`; to be asked when all is encoded."""
        return self._encoder.remark()


def local_encoder(source: EncoderSource, threads: int) -> LocalEncoder:
    """An encoder in this process, on so many of its cores."""
    return LocalEncoder(Encoder(EncoderConfig(source.encoder, source.tensors, Device.CPU, threads, gpus=0)))


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
    with scratch_folder() as scratch:
        local = scratch / "features.npy"
        count = 0
        with local.open("wb") as file:
            for part in rows:
                if not count:
                    header = {"descr": "<f4", "fortran_order": False, "shape": (frames, *part.shape[1:])}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(np.ascontiguousarray(part, "<f4").data)
                count += len(part)
        if count != frames:
            raise ValueError(f"{count} rows of features for {frames} frames")
        yield local, content_digest(str(local))
