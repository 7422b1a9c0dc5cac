"""What the benchmark ran on, without names of hosts or users."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from actors.files.program_output import program_output
from jobs.cluster.environment import versions

# Where a container's control group (version 2) says how much processor time it has.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: its processor's model, its GPU's name and driver, versions of what matters."""

    cpu: str
    cores: int  # logical ones that this process may use
    memory_gib: float
    gpu: str | None
    versions: dict[str, str]


def this_machine() -> Machine:
    """The machine that this process runs on."""
    info = Path("/proc/cpuinfo")
    cpu = cpu_model(info.read_text(encoding="utf-8", errors="replace")) if info.exists() else ""
    memory = round(psutil.virtual_memory().total / 2**30, 1)
    return Machine(cpu or platform.processor() or platform.machine(), usable_cores(), memory, _gpu(), versions())


def usable_cores() -> int:
    """Logical cores that this process may run on, or fewer where a container has less of their time (as Ray counts)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = QUOTA.read_text(encoding="utf-8") if QUOTA.is_file() else ""
    return max(1, min(cores, quota_cores(quota)))


def quota_cores(quota: str) -> int:
    """Whole cores that ``cpu.max`` allows, at least one: ``"200000 100000"`` two, ``"max ..."`` or nothing any."""
    allowed, _, period = quota.strip().partition(" ")
    return max(1, int(allowed) // int(period)) if allowed.isdecimal() and period.isdecimal() else sys.maxsize


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in ``/proc/cpuinfo``, or empty."""
    found = re.search(r"^model name\s*:(.*)$", cpuinfo, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _gpu() -> str | None:
    told = program_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    first = told.strip().partition("\n")[0]
    return first.replace(", ", ", driver ") or None
