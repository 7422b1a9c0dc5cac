"""Digests by which a later run knows that its inputs are the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import IO, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from actors import storage
from actors.core.clip import Clip, ImageFrames
from actors.core.fingerprints import image_digest
from jobs.clip.files import readable
from jobs.clip.many import read_many

SAMPLE = 1 << 20
SAMPLES = 16
CHUNK = 1 << 20


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


def content_digest(path: str) -> str:
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


def file_facts(path: str) -> dict[str, Any]:
    """Size and `stream_checksum` of a file, as run.json keeps them."""
    with storage.open_input(path) as file:
        checksum = stream_checksum(file)
        return {"bytes": file.tell(), "checksum": checksum}


def backgrounds_digest(clip: Clip) -> str:
    """Digest of the clip's pictures: of every image its content, of a video what decides its frames."""
    if clip.frames is None:
        return file_digest(clip.planes.path) if clip.planes else ""
    frames = clip.frames
    if isinstance(frames, ImageFrames):
        return images_digest(frames)
    order = repr((frames.places, frames.timestamps, frames.time_base, frames.picture))
    return xxhash.xxh3_128(frames.packets.header + frames.packets.digests + order.encode()).hexdigest()


def images_digest(images: ImageFrames) -> str:
    """Digest of image files that have been `witnessed`."""
    digest = xxhash.xxh3_128()
    for each in images.digests:
        digest.update(each.encode())
    return digest.hexdigest()


def witnessed(images: ImageFrames) -> ImageFrames:
    """The images with what the driver sees of them now, all bytes of every file.

    Raises:
        InputError: one of them cannot be read.
    """
    return replace(images, digests=tuple(read_many(_digest_of, images.paths)))


def _digest_of(path: str) -> str:
    with readable(path):
        return image_digest(storage.read_bytes(path))


def array_digest(array: NDArray[np.float32] | NDArray[np.uint8]) -> str:
    """SHA-256 of an array's shape and bytes."""
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def text_digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
