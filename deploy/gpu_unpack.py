"""Unpacks what ``deploy.gpu_pack`` made into an environment of its own; travels with the pack and needs Python alone.

The environment sees no package of the host's Python but those that it links: CUDA's libraries and what the pack says
the host has. ONNX Runtime looks for CUDA beside itself, so the links are all that it needs to find the host's.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import io
import json
import lzma
import sys
import tarfile
import venv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
READ_BYTES = 1 << 20


class PackError(Exception):
    """The pack or the host is not what is needed."""


class Joined(io.RawIOBase):
    """Files read one after another, as if they were one."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._chunks = self._read_all(paths)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as io.RawIOBase has it
        """Fills the buffer as far as the next bytes reach; 0 at the end."""
        self._rest = self._rest or next(self._chunks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    @staticmethod
    def _read_all(paths: Iterable[Path]) -> Iterator[bytes]:
        for path in paths:
            with path.open("rb") as file:
                while chunk := file.read(READ_BYTES):
                    yield chunk


def read_manifest(pack: Path) -> dict[str, Any]:
    """What the pack says of itself.

    Raises:
        PackError: it is not there, or made for another Python than this one.
    """
    path = pack / MANIFEST
    if not path.is_file():
        raise PackError(f"{path}: missing; it travels with the parts")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if manifest["python"] != here:
        raise PackError(f"this is Python {here}; the pack needs {manifest['python']}")
    return manifest


def checked_parts(pack: Path, manifest: dict[str, Any]) -> list[Path]:
    """The parts, in order.

    Raises:
        PackError: one is missing or damaged.
    """
    for part in manifest["parts"]:
        path = pack / part["name"]
        if not path.is_file():
            raise PackError(f"{path}: missing; bring all {len(manifest['parts'])} parts into one folder")
        if path.stat().st_size != part["bytes"] or sha256(path) != part["sha256"]:
            raise PackError(f"{path}: damaged; bring this part again")
    return [pack / part["name"] for part in manifest["parts"]]


def sha256(path: Path) -> str:
    """The file's digest, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(parts: Sequence[Path], folder: Path) -> None:
    """Unpacks the archive that the parts are, one after another."""
    with (
        io.BufferedReader(Joined(parts), READ_BYTES) as joined,
        lzma.LZMAFile(joined) as tar,
        tarfile.open(fileobj=tar, mode="r|") as archive,
    ):
        archive.extractall(folder, filter="data")


def link_package(name: str, site: Path) -> None:
    """Links a package of this Python into a folder of packages, as far as nothing of that name is there.

    Raises:
        PackError: this Python does not have it.
    """
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise PackError(f"{name}: the pack leaves it to this Python, which lacks it; pack it as well") from error
    for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(str(found.locate_file(top)))


def cuda_packages() -> list[str]:
    """NVIDIA's packages of libraries that this Python has."""
    every = importlib.metadata.distributions()
    return sorted(one.name for one in every if any(file.parts[0] == "nvidia" for file in one.files or []))


def unpack(pack: Path, into: Path) -> list[str]:
    """Makes the environment; gives the packages that it has from this Python.

    Raises:
        PackError: nothing was unpacked, with the reason, or a package that is left to the host is not there.
    """
    manifest = read_manifest(pack)
    parts = checked_parts(pack, manifest)
    if into.exists():
        raise PackError(f"{into}: there already; name a folder that is not, or remove it")
    venv.create(into, symlinks=True)
    site = into / "lib" / f"python{manifest['python']}" / "site-packages"
    extract(parts, site)
    linked = [*manifest["on_host"], *([] if (site / "nvidia").exists() else cuda_packages())]
    for name in linked:
        link_package(name, site)
    return linked


def main(arguments: Sequence[str] | None = None) -> None:
    """``unpack.py FOLDER``; exit code 2 with one line where that does not work."""
    parser = argparse.ArgumentParser(description="Unpacks the parts beside this file into an environment of its own.")
    parser.add_argument("folder", type=Path, help="made by this; must not be there yet")
    folder = parser.parse_args(arguments).folder
    try:
        linked = unpack(Path(__file__).parent, folder)
    except PackError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    sys.stdout.write(f"unpacked into {folder}\nlinked from {sys.prefix}: {', '.join(linked) or 'nothing'}\n")


if __name__ == "__main__":
    main()
