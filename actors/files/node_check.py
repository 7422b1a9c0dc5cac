"""Checks that a node sees the clip, the model and the folder of its frames, before it renders anything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import actors
from actors.core.errors import InputError, ProgramError, error_text
from actors.files import storage
from actors.files.digests import code_digest, model_digest
from actors.files.run_folder import RunFolder, new_node_mark

# Where two of Ray's nodes share a machine, the later one unpacks a job's folder again under the earlier one's feet.
UNPACKING_SECONDS = 10.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What must hold of the model on every node.

    Attributes:
        model: its path.
        external: files beside it that hold weights.
        digest: SHA-256 of the model and its weights as the driver sees them.
    """

    model: str
    external: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class ClipCheck:
    """What must hold of a clip, and of the folder of its frames, on every node.

    Attributes:
        sources: path and size in bytes of files of the clip.
        folder: the folder.
        mark: name of a file that the driver has written there.
    """

    sources: tuple[tuple[str, int], ...]
    folder: RunFolder
    mark: str


def check_clip(check: ClipCheck) -> None:
    """Checks that this node sees the same files of a clip as the driver and can write the folder of its frames.

    Seeing the driver's mark matters: every node can write to *a* folder of that name, and lose what it wrote.

    Raises:
        InputError: naming this node and the path that differs.
    """
    host = socket.gethostname()
    with _reached(str(check.folder), host):
        same = storage.is_file(check.folder.path / check.mark)
    if not same:
        raise InputError(
            "--out", f"node {host} does not see the same {check.folder}", "use a folder that all nodes share"
        )
    for path, size in check.sources:
        with _reached(path, host):
            found = storage.entry(path)
        if found is None or found.size != size:
            raise InputError(path, f"node {host} does not see the same file", "put the clip where all nodes read it")
    mark = check.folder.path / new_node_mark()
    try:
        storage.write_atomic(mark, b"")
        storage.remove_file(mark)
    except OSError as error:
        raise InputError(
            "--out", f"node {host} cannot write {check.folder} ({error})", "mend its permissions"
        ) from error


@contextmanager
def _reached(path: str, host: str) -> Iterator[None]:
    """Turns what keeps this node from looking at ``path``, such as credentials that it lacks, into an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            path, f"node {host} cannot look at it ({error_text(error)})", "give every node access to it"
        ) from error


@cache
def check_code(code: str, patience: float = UNPACKING_SECONDS) -> None:
    """Checks that this process runs the same files as the driver; once, for what it has imported stays.

    Args:
        code: the driver's `actors.files.digests.code_digest`.
        patience: seconds in which files that are being unpacked may become the same.

    Raises:
        ProgramError: naming this node and where its files are.
    """
    until = time.monotonic() + patience
    while not (same := _same_code(code)) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    if not same:
        raise ProgramError(
            str(Path(actors.__file__).parent),
            f"node {socket.gethostname()} runs these files, and they are not the driver's",
            "install the same mouthpiece on every node, and take other copies of it out of PYTHONPATH",
        )


def _same_code(code: str) -> bool:
    try:
        return code_digest() == code
    except OSError:
        return False


def check_model(check: ModelCheck) -> None:
    """Checks that this node sees the same model as the driver.

    Raises:
        InputError: naming this node and the model.
    """
    if not _same_model(check):
        problem = f"node {socket.gethostname()} does not see the same model"
        raise InputError(check.model, problem, "put the model where all nodes read it")


def _same_model(check: ModelCheck) -> bool:
    try:
        return model_digest(check.model, check.external) == check.digest
    except OSError:
        return False
