"""What an error of a CUDA session means for the user: there is no CUDA to be had, it has no room, or neither."""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.core.errors import InputError, NoCudaError

# What mouthpiece[cuda] needs of the machine.
_INSTALL = "install mouthpiece[cuda] and a driver for CUDA 13"
LIBRARIES = "install mouthpiece[cuda], or name the folder of CUDA 13 and cuDNN 9 in LD_LIBRARY_PATH"
_DRIVER = "install NVIDIA's driver 580 or newer"

# Of the arena, of CUDA, and of the libraries that ask CUDA for memory themselves.
_NO_ROOM = re.compile(
    r"smaller than requested bytes|failed to allocate memory|out of memory|MemoryAllocation|_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Fault:
    """A reason for which no CUDA is to be had.

    Attributes:
        words: what the message of such an error holds.
        problem: what is wrong.
        fix: what to do.
    """

    words: re.Pattern[str]
    problem: str
    fix: str


def _fault(words: str, problem: str, fix: str) -> _Fault:
    return _Fault(re.compile(words, re.IGNORECASE), problem, fix)


# The first that fits says the most.
_FAULTS = (
    _fault(r"driver version is insufficient|driver combination", "the driver is too old", _DRIVER),
    _fault(
        r"no kernel image|\bPTX\b|ARCH_MISMATCH",
        "there are no kernels for this GPU",
        "use a GPU and an onnxruntime-gpu that fit each other",
    ),
    _fault(
        r"no CUDA-capable device|invalid device ordinal|devices are busy",
        "no GPU can be used",
        "see what `nvidia-smi` says",
    ),
    _fault(
        r"cannot open shared object|load library|load symbol|unable to load|is not available\. Install|SUBLIBRARY",
        "a library is missing",
        LIBRARIES,
    ),
    _fault(r"cudnn", "cuDNN failed", LIBRARIES),
    _fault(r"cublas", "cuBLAS failed", _INSTALL),
    _fault("", "CUDA failed", _INSTALL),
)

# Names of CUDA and its libraries, but not of the provider, which any node's error may hold.
_NAMES = re.compile(
    r"\bcuda\b|cuda error|cudaError|cudnn|cublas|cufft|curand|nvrtc|\blibcu|no kernel image", re.IGNORECASE
)

# Files and functions of the runtime's sources, networks, and what an export calls its nodes: they are named in whatever
# goes wrong near them.
_NOT_SAID = re.compile(r"\S*/\S*\.(?:cc?|cu|h|cuh|hpp|cpp|onnx)\b\S*|\[with [^\]]*\]|\S*::\S*|Name:'[^']*'")

# The part of the runtime's message that CUDA or a library said, amid where it was said.
_TOLD = re.compile(r"\w+ failure -?\d+: .*?(?= ; GPU=|$)")


def device_failure(path: str, message: str, batch: int, clash: str | None = None) -> InputError | None:
    """What a CUDA session's error at its creation or its first run means; ``None`` where it is not the device's.

    Args:
        path: the file of the network.
        message: of the error, one line.
        batch: frames per inference.
        clash: the builds of the runtime that are installed beside each other, as `runtime_conflict` says it.
    """
    told = _TOLD.search(message)
    detail = told.group() if told else message
    if _NO_ROOM.search(message):
        return InputError(
            path,
            f"has no room at batch {batch} in the GPU's memory, or in a worker's share of it ({detail})",
            "give a smaller --batch, or each worker more with --gpus-per-worker, or use --device cpu",
        )
    said = _NOT_SAID.sub("", message)
    if not _NAMES.search(said):
        return None
    fault = next(fault for fault in _FAULTS if fault.words.search(said))
    return no_cuda(f"{fault.problem}: {detail}", fault.fix, clash)


def no_cuda(why: str, fix: str = _INSTALL, clash: str | None = None) -> NoCudaError:
    """The error that says so; ``clash`` as `device_failure` takes it."""
    fix = f"{fix}, or use --device cpu"
    if clash:
        fix = f"{clash} are both installed: uninstall both, then install onnxruntime-gpu alone"
    return NoCudaError("--device cuda", f"a CUDA session was asked for and could not be had ({why})", fix)
