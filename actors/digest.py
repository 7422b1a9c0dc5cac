"""The digest by which driver and nodes agree on a model."""

from __future__ import annotations

import hashlib

from actors import storage


def model_digest(path: str, external: tuple[str, ...]) -> str:
    """SHA-256 of the model and then of the files that hold its weights, in hexadecimal.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for name in (path, *(storage.beside(path, name) for name in external)):
        with storage.open_input(name) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
