"""Python and packages, against what the program needs and the versions that it is tested with."""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import actors
from actors.core.errors import InputError
from jobs.doctor.finding import Finding, error, ok, warning
from jobs.faces.weights import read_weights

LEAST_PYTHON = (3, 11)
INSTALL = "run: pip install -c constraints.txt ."
# Two builds of one package in one folder.
CPU_BUILD, CUDA_BUILD = "onnxruntime", "onnxruntime-gpu"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the program needs on this system.

    Attributes:
        requirements: packages with the versions that will do.
        pinned: versions by name that it is tested with; empty where nothing says so.
    """

    requirements: tuple[Requirement, ...]
    pinned: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All packages that matter."""
        return tuple(dict.fromkeys([*(one.name for one in self.requirements), CPU_BUILD, CUDA_BUILD]))


def read_wanted() -> Wanted:
    """What stands beside the program's source; where it is installed without, what its package says."""
    root = Path(actors.__file__).parents[1]
    project, pins = root / "pyproject.toml", root / "constraints.txt"
    if project.is_file():
        said: Sequence[str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        said = importlib.metadata.requires("mouthpiece") or ()
    pinned = pins.read_text(encoding="utf-8") if pins.is_file() else ""
    return Wanted(parse_requirements(said), parse_pins(pinned))


def parse_requirements(lines: Sequence[str]) -> tuple[Requirement, ...]:
    """Those that hold on this system and for no extra."""
    every = map(Requirement, lines)
    return tuple(one for one in every if one.marker is None or one.marker.evaluate({"extra": ""}))


def parse_pins(text: str) -> dict[str, str]:
    """Versions by name, from lines ``name==version``."""
    pairs = [line.partition("==") for line in text.splitlines() if "==" in line]
    return {canonicalize_name(name.strip()): version.strip() for name, _, version in pairs}


def check_packages(python: str, installed: Mapping[str, str], wanted: Wanted, *, cuda: bool) -> list[Finding]:
    """Python, each package that will not do or is not the one tested with, and the builds of ONNX Runtime.

    Args:
        python: version.
        installed: versions by name.
        wanted: what is needed.
        cuda: whether sessions run on a GPU.
    """
    found = [_check_python(python)]
    others = [one for one in wanted.requirements if one.name not in {CPU_BUILD, CUDA_BUILD}]
    bad = [finding for one in others if (finding := _check_package(one, installed, wanted.pinned)) is not None]
    right = len(others) - len(bad)
    told = "at their pinned versions" if wanted.pinned else "at versions that will do; nothing pins them here"
    return [*found, ok("packages", f"{right} of {len(others)} {told}"), *bad, _check_runtime(installed, wanted, cuda)]


def check_faces() -> Finding:
    """The networks that find faces, which only footage without face boxes needs."""
    try:
        read_weights()
    except InputError as refused:
        return warning("face networks", f"{refused.subject}: {refused.problem}", refused.fix)
    return ok("face networks", "installed")


def _check_python(python: str) -> Finding:
    if tuple(map(int, python.split(".")[:2])) < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        return error("python", python, f"use {least} or newer")
    return ok("python", python)


def _check_package(one: Requirement, installed: Mapping[str, str], pinned: Mapping[str, str]) -> Finding | None:
    version, pin = installed.get(one.name), pinned.get(canonicalize_name(one.name))
    if version is None:
        return error(one.name, "is not installed", INSTALL)
    if not one.specifier.contains(version, prereleases=True):
        return error(one.name, f"{version} is installed, and {one.specifier} is needed", INSTALL)
    if pin is not None and version != pin:
        return warning(one.name, f"{version} is installed, and all was tested with {pin}", INSTALL)
    return None


def _check_runtime(installed: Mapping[str, str], wanted: Wanted, cuda: bool) -> Finding:
    subject = "onnx runtime"
    builds = {name: installed[name] for name in (CPU_BUILD, CUDA_BUILD) if name in installed}
    if len(builds) > 1:
        fix = f"uninstall both, then install {CUDA_BUILD} alone"
        return error(subject, f"{' and '.join(builds)} are both installed: the last one wins", fix)
    if not builds:
        return error(subject, "is not installed", INSTALL)
    ((name, version),) = builds.items()
    if cuda and name == CPU_BUILD:
        return error(subject, f"{name} is the build without CUDA", f"uninstall it, then install {CUDA_BUILD}")
    asked = next((one for one in wanted.requirements if one.name in {CPU_BUILD, CUDA_BUILD}), Requirement(name))
    told = _check_package(Requirement(f"{name}{asked.specifier}"), builds, wanted.pinned)
    return ok(subject, f"{name} {version}") if told is None else Finding(subject, told.level, told.text, told.fix)
