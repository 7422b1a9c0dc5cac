"""What the driver saw of a clip's files, and what a loader finds in their place later."""

from __future__ import annotations

import platform

import xxhash

from actors.core.errors import StoppedError

DIGEST_BYTES = 8


def packet_digest(content: bytes) -> bytes:
    """xxh3-64 of a packet of a video's stream: ``DIGEST_BYTES`` bytes."""
    return xxhash.xxh3_64_digest(content)


def image_digest(content: bytes) -> str:
    """xxh3-128 of an image file's size and content, in hexadecimal."""
    digest = xxhash.xxh3_128(str(len(content)).encode())
    digest.update(content)
    return digest.hexdigest()


def changed(path: str) -> StoppedError:
    """What is to be raised where a file is not what the driver saw: nothing may be made of it."""
    return StoppedError(
        f"{path} changed while the run lived, or node {platform.node()} sees another file",
        "restore it and run the same command again",
    )
