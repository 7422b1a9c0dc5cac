"""Digests by which files, arrays, models and the program itself are known again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

import actors
from actors.files import storage

# A large file is known by so many pieces of so many bytes.
SAMPLE = 1 << 20
SAMPLES = 16
CHUNK = 1 << 20


def model_digest(path: str, external: tuple[str, ...]) -> str:
    """SHA-256 of the model and then of the files that hold its weights, in hexadecimal.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for name in (path, *(storage.beside(path, name) for name in external)):
        with storage.open_input(name) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def code_digest() -> str:
    """SHA-256 of the names and contents of this package's sources where this process imports them, in hexadecimal.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    root = Path(actors.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


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


def content_digest(path: storage.AnyPath) -> str:
    """xxh3-128 of a file's whole content."""
    digest = xxhash.xxh3_128()
    with storage.open_input(path) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stream_checksum(file: IO[bytes]) -> str:
    """xxh3-64, in hexadecimal, of what is left of an open file: by it the ledger knows what it wrote."""
    digest = xxhash.xxh3_64()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def file_facts(path: storage.AnyPath) -> dict[str, Any]:
    """Size and `stream_checksum` of a file, as run.json keeps them."""
    with storage.open_input(path) as file:
        checksum = stream_checksum(file)
        return {"bytes": file.tell(), "checksum": checksum}


def array_digest(array: NDArray[np.float32] | NDArray[np.uint8]) -> str:
    """SHA-256 of an array's shape and bytes."""
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
