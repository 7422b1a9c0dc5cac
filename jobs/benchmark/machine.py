"""What the benchmark ran on, without names of hosts or users."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from jobs.cluster.environment import versions

# Where a container's control group (version 2) says how much processor time it has.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine.

    Attributes:
        cpu: model of its processor.
        cores: logical cores that this process may use.
        memory_gib: physical memory.
        gpu: name and driver of its first GPU, or ``None``.
        system: name of the operating system.
        versions: of Python and of the packages that matter.
    """

    cpu: str
    cores: int
    memory_gib: float
    gpu: str | None
    system: str
    versions: dict[str, str]

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def line(self) -> str:
        """In a few words."""
        gpu = f", {self.gpu}" if self.gpu else ", no GPU"
        return f"{self.cores} cores of {self.cpu}, {self.memory_gib:.0f} GiB{gpu}"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    return Machine(
        cpu=_cpu(),
        cores=usable_cores(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpu=_gpu(),
        system=platform.system(),
        versions=versions(),
    )


def usable_cores() -> int:
    """Logical cores that this process may run on, or fewer where a container has less of their time (as Ray counts)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = QUOTA.read_text(encoding="utf-8") if QUOTA.is_file() else ""
    return max(1, min(cores, quota_cores(quota)))


def quota_cores(quota: str) -> int:
    """Whole cores that a control group's ``cpu.max`` allows (``"200000 100000"`` is two), at least one.

    ``"max ..."`` or nothing allow any number.
    """
    allowed, _, period = quota.strip().partition(" ")
    return max(1, int(allowed) // int(period)) if allowed.isdecimal() and period.isdecimal() else sys.maxsize


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in ``/proc/cpuinfo``, or empty."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return ""


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    found = cpu_model(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else ""
    return found or platform.processor() or platform.machine()


def _gpu() -> str | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    first = answer.stdout.strip().partition("\n")[0]
    return first.replace(", ", ", driver ") if answer.returncode == 0 and first else None
