"""Packs the program and the Python packages that it needs for a GPU host that can install nothing.

    python3 -m deploy.gpu_pack OUT

fills the folder OUT with parts of one ``.tar.xz`` archive, a manifest and ``unpack.py``, and prints the two commands
that unpack it on the host and run ``mouthpiece doctor`` there. It needs pip and a package index, on Linux and x86-64.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deploy.gpu_unpack import MANIFEST, PackError, sha256
from deploy.slim_cuda_provider import SlimmingError, slim

ROOT = Path(__file__).parents[1]
UNPACKER = "unpack.py"
CONSTRAINTS = "constraints.txt"

# What GPU hosts have: CPython 3.12 on x86-64, and a C library no older than that of the newest tag.
PYTHON = "3.12"
NEWEST_GLIBC = 39
OLDEST_GLIBC = 5
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)),
    *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"),
)

CUDA_PROVIDER = "onnxruntime/capi/libonnxruntime_providers_cuda.so"

# What no command imports, runs or loads when Ray is started on one machine.
UNUSED = (
    "bin",  # scripts that begin with the path of this machine's Python
    "ray/jars",  # Ray for Java
    "ray/dashboard/client",  # the dashboard's page
    "ray/rllib",
    "ray/serve",
    "ray/tune",
    "ray/train",
    "ray/llm",
    "onnxruntime/capi/libonnxruntime_providers_tensorrt.so",
    "onnx/backend/test",
    "pyarrow/include",
    "pyarrow/libarrow_flight.so*",  # Arrow over the network
    "pyarrow/libarrow_python_flight.so*",
    "pyarrow/_flight*.so",
    "pyarrow/libarrow_s3.so*",  # storage elsewhere
    "pyarrow/_s3fs*.so",
    "*/tests",
    "numpy/*/tests",
)
# For environments and profiles that Ray makes only when it is asked to.
UNUSED_PACKAGES = ("virtualenv", "distlib", "python-discovery", "py-spy")

# The archive is compressed in pieces of that many bytes, beside each other; a file of several is an .xz file as well.
PIECE_BYTES = 64 << 20
# Nearly all of it is machine code for x86.
FILTERS: list[dict[str, Any]] = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]

LARGEST_PART_MIB = 60
PART_MIB = 56


def requirements(project: Mapping[str, Any], *, cuda_libraries: bool) -> list[str]:
    """The packages that the program asks for, as pip reads them.

    Args:
        project: the table ``project`` of ``pyproject.toml``.
        cuda_libraries: with NVIDIA's packages of CUDA and cuDNN.
    """
    optional = project["optional-dependencies"]["cuda"] if cuda_libraries else []
    return [*project["dependencies"], *optional]


def pinned(constraints: str) -> dict[str, str]:
    """Versions by name, of a file with a line ``name==version`` for each."""
    return {canonical(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)$", constraints)}


def canonical(name: str) -> str:
    """A package's name as every spelling of it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def unpinned(packages: Mapping[str, str], constraints: str) -> list[str]:
    """Packages that the constraints do not name at their version; NVIDIA's libraries need none."""
    wanted = pinned(constraints)
    return [
        name for name, version in packages.items() if wanted.get(name) != version and not name.startswith("nvidia-")
    ]


def install(wanted: Collection[str], site: Path) -> None:
    """Has pip put the packages, and all that they need, into a folder, for the host's Python.

    Raises:
        PackError: pip could not.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    command += ["--constraint", str(ROOT / CONSTRAINTS), "--target", str(site), *wanted]
    if subprocess.run(command, check=False).returncode:
        raise PackError("pip could not bring the packages; what it said stands above")


def packages_in(site: Path) -> dict[str, str]:
    """Versions by name of the packages in a folder."""
    found = importlib.metadata.distributions(path=[str(site)])
    return dict(sorted((canonical(package.name), package.version) for package in found))


def remove_package(site: Path, name: str) -> None:
    """Removes what a package brought.

    Raises:
        PackError: there is no such package.
    """
    found = next(iter(importlib.metadata.distributions(name=name, path=[str(site)])), None)
    if found is None:
        raise PackError(f"--on-host {name}: no package that would be packed has this name")
    # A package whose files lie among another's, such as google's, must leave those.
    for file in found.files or []:
        if ".." not in file.parts:
            (site / file).unlink(missing_ok=True)


def remove_unused(site: Path) -> None:
    """Removes what nothing here imports, and folders that are empty by now."""
    for pattern in UNUSED:
        for path in site.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for folder, _, _ in os.walk(site, topdown=False):
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def slim_provider(path: Path, architecture: int) -> None:
    """Leaves one architecture's code in ONNX Runtime's library for CUDA.

    Raises:
        PackError: it could not be slimmed.
    """
    library = bytearray(path.read_bytes())
    try:
        done = slim(library, architecture)
    except SlimmingError as error:
        raise PackError(f"{path.name} cannot be slimmed: {error}; try --architecture all") from error
    path.write_bytes(library)
    _say(f"GPU code: {done.kept / 1e6:.0f} MB for sm_{architecture} stay, {done.zeroed / 1e6:.0f} MB are zeros now")


def copy_program(site: Path) -> None:
    """The program's own code, with the two files by which `doctor` judges packages."""
    for name in ("actors", "jobs"):
        shutil.copytree(ROOT / name, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mouthpiece.py", "pyproject.toml", CONSTRAINTS):
        shutil.copy(ROOT / name, site)


def archive(site: Path, tar: Path) -> None:
    """Writes a tar archive that is the same for the same files: in order, nobody's, of no time."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(tar, "w") as file:
        for path in sorted(site.rglob("*")):
            file.add(path, path.relative_to(site).as_posix(), recursive=False, filter=plain)


def compressed(path: Path) -> Iterator[bytes]:
    """A file as the pieces of an .xz file, made by all cores."""

    def piece(start: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return lzma.compress(file.read(PIECE_BYTES), filters=FILTERS)

    # The compressor gives Python's lock free.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(piece, range(0, path.stat().st_size, PIECE_BYTES))


def split(pieces: Iterator[bytes], folder: Path, part_bytes: int) -> list[dict[str, Any]]:
    """Writes bytes into files of a length, the last one shorter; gives each part's entry in the manifest, in order."""
    written: list[dict[str, Any]] = []
    rest = b""
    for piece in pieces:
        rest += piece
        while len(rest) >= part_bytes:
            written.append(_part(folder, len(written), rest[:part_bytes]))
            rest = rest[part_bytes:]
    if rest:
        written.append(_part(folder, len(written), rest))
    return written


def _part(folder: Path, index: int, content: bytes) -> dict[str, Any]:
    path = folder / f"part-{index:02d}"
    path.write_bytes(content)
    return {"name": path.name, "bytes": len(content), "sha256": sha256(path)}


def pack(
    out: Path, *, architecture: int | None = 90, part_mib: int = PART_MIB, cuda_libraries: bool, on_host: list[str]
) -> None:
    """Makes the pack.

    Args:
        out: the folder to make.
        architecture: of the GPU, or None for all.
        part_mib: a part's length at most, in MiB.
        cuda_libraries: whether CUDA's and cuDNN's libraries are packed as well.
        on_host: packages that are left out because the host has them.

    Raises:
        PackError: it could not be made.
    """
    if out.exists():
        raise PackError(f"{out}: there already; name a folder that is not, or remove it")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory(prefix="mouthpiece-pack-") as scratch:
        site, tar = Path(scratch) / "site", Path(scratch) / "site.tar"
        install(requirements(project, cuda_libraries=cuda_libraries), site)
        for name in (*UNUSED_PACKAGES, *on_host):
            remove_package(site, name)
        remove_unused(site)
        packages = packages_in(site)
        if loose := unpinned(packages, (ROOT / CONSTRAINTS).read_text(encoding="utf-8")):
            raise PackError(f"{CONSTRAINTS} does not pin {', '.join(loose)}; add what pip chose")
        if architecture:
            slim_provider(site / CUDA_PROVIDER, architecture)
        copy_program(site)
        archive(site, tar)
        out.mkdir(parents=True)
        parts = split(compressed(tar), out, part_mib << 20)
    manifest = {
        "python": PYTHON,
        "architecture": architecture,
        "parts": parts,
        "packages": packages,
        "on_host": on_host,
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    shutil.copy(Path(__file__).with_name("gpu_unpack.py"), out / UNPACKER)
    for part in parts:
        _say(f"{part['name']}  {part['bytes'] / 2**20:.1f} MiB")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; exit code 2 with one line where it does not work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="folder for the parts, the manifest and unpack.py")
    parser.add_argument(
        "--architecture",
        type=_architecture,
        default=90,
        help="of the GPU, its compute capability without the point, or `all` (default 90, for H100 and H200)",
    )
    parser.add_argument(
        "--part-mib",
        type=int,
        default=PART_MIB,
        choices=range(1, LARGEST_PART_MIB + 1),
        metavar="MIB",
        help=f"a part's length at most (default {PART_MIB})",
    )
    parser.add_argument(
        "--cuda-libraries", action="store_true", help="pack CUDA and cuDNN too; hosts with torch have them"
    )
    parser.add_argument(
        "--on-host", action="append", default=[], metavar="PACKAGE", help="leave it out: the host has it"
    )
    given = parser.parse_args(arguments)
    try:
        pack(
            given.out,
            architecture=given.architecture,
            part_mib=given.part_mib,
            cuda_libraries=given.cuda_libraries,
            on_host=given.on_host,
        )
    except PackError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    _say("On the host, beside the folder:")
    _say(f"  python3 {given.out.name}/{UNPACKER} mouthpiece-gpu")
    _say("  mouthpiece-gpu/bin/python -m mouthpiece doctor --device cuda")


def _architecture(text: str) -> int | None:
    return None if text == "all" else int(text)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
