"""``run.json``: what was asked for, with what, on what, and what came of it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from actors import storage
from actors.core.clip import Clip, ImageFrames
from actors.core.errors import InputError
from actors.layout import record_path

# Format of run.json; raised when a key changes its meaning.
VERSION = 1

PACKAGES = ("mouthpiece", "ray", "onnxruntime-gpu", "onnxruntime", "opencv-python-headless", "numpy", "pyarrow", "av")

SAMPLE = 1 << 20
SAMPLES = 16


def file_digest(path: str) -> str:
    """xxh3-128 of a file's size and content; of large files, of 16 samples of 1 MiB spread evenly over it."""
    found = storage.entry(path)
    size = found.size if found else 0
    digest = xxhash.xxh3_128(str(size).encode())
    with storage.open_input(path) as file:
        if size <= SAMPLE * SAMPLES:
            digest.update(file.read())
        else:
            for i in range(SAMPLES):
                file.seek(i * (size - SAMPLE) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE))
    return digest.hexdigest()


def backgrounds_digest(clip: Clip) -> str:
    """Digest of the clip's pictures: of a video or binary file its content, of images every name and size."""
    if clip.frames is None:
        return file_digest(clip.planes.path) if clip.planes else ""
    if not isinstance(clip.frames, ImageFrames):
        return file_digest(clip.frames.path)
    folders = {path.rsplit("/", 1)[0] for path in clip.frames.paths}
    sizes = {entry.path: entry.size for folder in folders for entry in storage.children(folder)}
    digest = xxhash.xxh3_128()
    for path in clip.frames.paths:
        digest.update(f"{path.rsplit('/', 1)[-1]}:{sizes.get(path)}\n".encode())
    return digest.hexdigest()


def array_digest(array: NDArray[np.float32]) -> str:
    """SHA-256 of an array's shape and bytes."""
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that touch pixels or schedule work."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The driver's machine."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}


def read_record(out: str) -> dict[str, Any] | None:
    """The record of an earlier run in this folder, or ``None``.

    Raises:
        InputError: there is a run.json that is not ours or cannot be read.
    """
    path = record_path(out)
    if not storage.is_file(path):
        return None
    try:
        record = json.loads(storage.read_bytes(path))
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({error})", "choose another --out") from error
    if not isinstance(record, dict) or record.get("version") != VERSION or not isinstance(record.get("identity"), dict):
        raise InputError(path, "is not a run of this version of mouthpiece", "choose another --out")
    return record


def write_record(out: str, record: Mapping[str, Any]) -> None:
    """Writes run.json, whole or not at all."""
    text = json.dumps({"version": VERSION, **record}, indent=2, sort_keys=False, ensure_ascii=False)
    storage.write_atomic(record_path(out), text.encode() + b"\n")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two identities, one text each."""
    return [
        f"{name} was {before.get(name)}, is {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
