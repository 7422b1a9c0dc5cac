"""Digests by which a later run knows that its inputs are the same."""

from __future__ import annotations

from dataclasses import replace

import xxhash

from actors.core.clip import Clip, FrameSource, ImageFrames
from actors.core.fingerprints import image_digest
from actors.files import storage
from actors.files.digests import file_digest
from jobs.clip.files import as_input_errors
from jobs.clip.parallel_reads import read_many


def backgrounds_digest(clip: Clip) -> str:
    """Digest of the clip's pictures: of every image its content, of a video what decides its frames."""
    if clip.frames is None:
        return file_digest(clip.planes.path) if clip.planes else ""
    return frames_digest(clip.frames)


def frames_digest(frames: FrameSource) -> str:
    """Digest of full frames; images are those that went through `with_digests`."""
    if isinstance(frames, ImageFrames):
        return images_digest(frames)
    order = repr((frames.places, frames.timestamps, frames.time_base, frames.picture))
    return xxhash.xxh3_128(frames.packets.header + frames.packets.digests + order.encode()).hexdigest()


def images_digest(images: ImageFrames) -> str:
    """Digest of image files that went through `with_digests`."""
    digest = xxhash.xxh3_128()
    for each in images.digests:
        digest.update(each.encode())
    return digest.hexdigest()


def with_digests(images: ImageFrames) -> ImageFrames:
    """The images with what the driver sees of them now, all bytes of every file.

    Raises:
        InputError: one of them cannot be read.
    """
    return replace(images, digests=tuple(read_many(_digest_of, images.paths)))


def _digest_of(path: str) -> str:
    with as_input_errors(path):
        return image_digest(storage.read_bytes(path))
