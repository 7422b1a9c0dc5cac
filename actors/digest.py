"""The digests by which driver and nodes agree on a model, and on the program itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

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


def code_digest() -> str:
    """SHA-256 of the names and contents of this package's sources where this process imports them, in hexadecimal.

    Raises:
        OSError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
