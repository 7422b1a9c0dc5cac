"""What a node has, as its system shows it: packages, GPUs, libraries, memory, disk, limits. Nothing is judged here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import resource
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from actors.core.choices import GPU_DEVICES
from actors.core.errors import error_text
from actors.files import storage
from actors.files.program_output import program_output

# What the CUDA provider of ONNX Runtime is linked with or loads, each with the registry package that has it.
LIBRARIES: dict[str, str] = {
    "libcuda.so.1": "",
    "libcudart.so.13": "nvidia-cuda-runtime",
    "libcublas.so.13": "nvidia-cublas",
    "libcublasLt.so.13": "nvidia-cublas",
    "libcurand.so.10": "nvidia-curand",
    "libnvrtc.so.13": "nvidia-cuda-nvrtc",
    "libcudnn.so.9": "nvidia-cudnn-cu13",
}
# Where `onnxruntime.preload_dlls` looks first, from the folder that its package lies in.
NVIDIA_FOLDERS = ("nvidia/cu13/lib", "nvidia/cudnn/lib")

# Files of the size of a frame, as a run writes them: at most so many, and none is begun after so many seconds.
TRIAL_FILES, TRIAL_BYTES, TRIAL_SECONDS = 2_000, 150_000, 0.5
# What processes of NVIDIA's multi-process service are called, as far as the system keeps names.
MPS = "nvidia-cuda-mps"


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: its name, its driver's version, bytes of its memory and of what is taken, whether one process has it."""

    name: str
    driver: str
    memory: int
    taken: int
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Library:
    """Where a library was found and its version; empty where it was not, or where nothing tells."""

    name: str
    path: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder's file system.

    Attributes:
        folder: what was looked at.
        files: how many were written and renamed, of `TRIAL_BYTES` each; 0 where none could be.
        seconds: what that took.
        inodes: how many more files it takes, ``None`` where it has no such limit.
        free: bytes.
        fault: why nothing could be written, or empty.
    """

    folder: str
    files: int = 0
    seconds: float = 0.0
    inodes: int | None = None
    free: int = 0
    fault: str = ""

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.files * TRIAL_BYTES / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What one node has.

    Attributes:
        host: its name.
        python: version.
        packages: versions by name, of those that were asked for and are installed.
        gpu_shown: whether the system shows NVIDIA's driver.
        cards: its GPUs, as NVIDIA's own tool lists them.
        libraries: all of `LIBRARIES`.
        mps: whether NVIDIA's multi-process service runs.
        memory: bytes.
        shared_memory: free bytes of /dev/shm, ``None`` where there is none.
        disk: the folder that was named.
        open_files: how many a process may have open at the most.
    """

    host: str
    python: str
    packages: Mapping[str, str]
    gpu_shown: bool
    cards: tuple[Card, ...]
    libraries: tuple[Library, ...]
    mps: bool
    memory: int
    shared_memory: int | None
    disk: Disk
    open_files: int


def node_facts(packages: Sequence[str], folder: str) -> NodeFacts:
    """What this node has.

    Args:
        packages: names to look for.
        folder: where files are written for a second, or where it would be made.
    """
    shm = Path("/dev/shm")  # noqa: S108 - looked at only
    return NodeFacts(
        host=socket.gethostname(),
        python=platform.python_version(),
        packages={name: version for name in packages if (version := _version(name))},
        gpu_shown=any(Path(device).exists() for device in GPU_DEVICES),
        cards=_cards(),
        libraries=find_libraries(runtime_folder(), os.environ.get("LD_LIBRARY_PATH", ""), _loader_cache()),
        mps=any((process.info["name"] or "").startswith(MPS) for process in psutil.process_iter(["name"])),
        memory=psutil.virtual_memory().total,
        shared_memory=shutil.disk_usage(shm).free if shm.is_dir() else None,
        disk=try_disk(folder),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    )


def find_here(name: str) -> Library:
    """One of `LIBRARIES`, as this process would find it."""
    found = find_libraries(runtime_folder(), os.environ.get("LD_LIBRARY_PATH", ""), _loader_cache())
    return next(one for one in found if one.name == name)


def find_libraries(site: Path | None, search: str, cache: Mapping[str, str]) -> tuple[Library, ...]:
    """All of `LIBRARIES`, found as `onnxruntime.preload_dlls` does and loading none of them.

    Args:
        site: the folder that ONNX Runtime's package lies in.
        search: of the environment, folders with colons between.
        cache: paths of the loader's own, by name.
    """
    folders = [*(site / one for one in NVIDIA_FOLDERS if site), *(Path(one) for one in search.split(":") if one)]
    found = []
    for name, package in LIBRARIES.items():
        path = next((str(folder / name) for folder in folders if (folder / name).is_file()), cache.get(name, ""))
        found.append(Library(name, path, _library_version(path, package) if path else ""))
    return tuple(found)


def try_disk(folder: str, seconds: float = TRIAL_SECONDS) -> Disk:
    """How fast files of a frame's size are written into a folder, or into what it would be made in."""
    if not storage.is_local(folder):
        return Disk(folder, fault="is no folder of a file system")
    base = Path(folder)
    while not base.exists() and base != base.parent:
        base = base.parent
    system = storage.locate(str(base / f".doctor-{uuid.uuid4().hex[:8]}"))
    content, files, began = memoryview(os.urandom(TRIAL_BYTES)), 0, time.perf_counter()
    try:
        storage.make_folder(system)
        while files < TRIAL_FILES and time.perf_counter() - began < seconds:
            storage.write_atomic(system / f"{files:06d}.bin", content)
            files += 1
        took = time.perf_counter() - began
        limits = os.statvfs(base)
    except OSError as error:
        return Disk(str(base), fault=error_text(error))
    finally:
        with suppress(OSError):
            storage.remove_folder(system)
    inodes = limits.f_favail if limits.f_files else None
    return Disk(str(base), files, took, inodes, limits.f_bavail * limits.f_frsize)


def parse_cards(listed: str) -> tuple[Card, ...]:
    """Lines ``name, driver, MiB, MiB, mode``, as `nvidia-smi` answers `CARD_QUERY`; others are no cards."""
    rows = [[word.strip() for word in line.rsplit(",", 4)] for line in listed.splitlines()]
    return tuple(
        Card(row[0], row[1], _bytes(row[2]), _bytes(row[3]), row[4].startswith("Exclusive"))
        for row in rows
        if len(row) == 5
    )


CARD_QUERY = ("--query-gpu=name,driver_version,memory.total,memory.used,compute_mode", "--format=csv,noheader,nounits")


def parse_loader_cache(listed: str) -> dict[str, str]:
    """Paths by name, as ``ldconfig -p`` prints them; of several the first, which the loader takes."""
    found: dict[str, str] = {}
    for name, path in re.findall(r"^\s*(\S+) \(.*\) => (\S+)$", listed, flags=re.MULTILINE):
        found.setdefault(name, path)
    return found


def _cards() -> tuple[Card, ...]:
    return parse_cards(program_output("nvidia-smi", *CARD_QUERY))


def _loader_cache() -> dict[str, str]:
    return parse_loader_cache(program_output("ldconfig", "-p") or program_output("/sbin/ldconfig", "-p"))


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) << 20 if mebibytes.isdecimal() else 0


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def runtime_folder() -> Path | None:
    """The folder that ONNX Runtime's package lies in, without importing it."""
    spec = importlib.util.find_spec("onnxruntime")
    folders: Iterable[str] = (spec.submodule_search_locations or ()) if spec else ()
    return next((Path(folder).parent for folder in folders), None)


def _library_version(path: str, package: str) -> str:
    """The version in the name of the file itself, else that of the package whose file it is."""
    told = Path(path).resolve().name.partition(".so.")[2]
    return told if told.count(".") or "/nvidia/" not in path or not package else _version(package) or told
