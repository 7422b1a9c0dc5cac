"""Of which kind a machine's processor is: ONNX Runtime has other kernels for other kinds, which round otherwise."""

from __future__ import annotations

import platform
from pathlib import Path

# Sets of instructions by which kernels are chosen, as Linux calls them on x86 and on ARM.
INSTRUCTIONS = (
    *("avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
)

# What a processor is called: by its maker's words, and by numbers where these are the same for several generations.
NAMES = ("model name", "cpu family", "model", "CPU implementer", "CPU part")
FLAGS = ("flags", "Features")

# A name is some maker's words, or a virtual machine's.
LONGEST = 100


def cpu_kind() -> str:
    """The kind of this machine's processor: what it is called, and its sets of instructions that kernels use."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{platform.machine()} {platform.processor()}".strip()
    return described(text) or platform.machine()


def described(cpuinfo: str) -> str:
    """The kind of the first processor of Linux's ``/proc/cpuinfo``; empty where it says nothing."""
    said: dict[str, str] = {}
    for line in cpuinfo.partition("\n\n")[0].splitlines():
        name, colon, value = line.partition(":")
        if colon:
            said.setdefault(name.strip(), " ".join(value.split()))
    names = [said[name] if name == "model name" else f"{name} {said[name]}" for name in NAMES if name in said]
    flags = {flag for name in FLAGS for flag in said.get(name, "").split()}
    sets = " ".join(one for one in INSTRUCTIONS if one in flags)
    called = ", ".join(names)[:LONGEST]
    return f"{called} ({sets})" if sets else called
