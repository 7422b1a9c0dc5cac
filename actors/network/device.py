"""Which device Ray gave to this worker, and how much of a GPU's memory a worker may take."""

from __future__ import annotations

from dataclasses import dataclass

from actors.files.program_output import program_output

# What CUDA and its libraries take of a GPU's memory in each process, whatever the network: reckoned, not measured.
CONTEXT_BYTES = 600_000_000

# The part of a GPU's memory that workers share: the driver and the display take some, and memory has gaps.
USABLE = 0.95

# How long NVIDIA's tool may take to answer; where the driver must be woken it takes seconds.
TOOL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class WorkerDevice:
    """Where this worker runs.

    Attributes:
        node: Ray node id, ``local`` outside of Ray.
        name: ``cpu`` or the name of the GPU.
        memory: bytes of the GPU's memory, 0 where unknown.
    """

    node: str
    name: str
    memory: int


def own_device(gpus: float) -> WorkerDevice:
    """The device of the calling worker, which asked Ray for ``gpus`` of a GPU."""
    # Whoever is a worker has it; a process that tries a network alone does without, and starts in half the time.
    import ray  # noqa: PLC0415

    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "local"
    if gpus == 0:
        return WorkerDevice(node, "cpu", 0)
    ids = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    name, memory = _gpu(ids[0]) if ids else ("cuda", 0)
    return WorkerDevice(node, name, memory)


def arena_limit(memory: int, share: float) -> int:
    """Bytes that one worker's arena may take of a GPU when it has ``share`` of it; 0 where that is unknown.

    All arenas and contexts of the workers on a GPU fit into it together. Where the contexts alone do not, 1 byte is
    left, at which no session can be had.

    Args:
        memory: bytes of the GPU's memory, 0 where unknown.
        share: of it; more than 1 stands for several GPUs, of which a worker uses one.
    """
    return max(1, int(memory * USABLE * min(share, 1.0)) - CONTEXT_BYTES) if memory else 0


def least_gpu_memory() -> int:
    """Bytes of the smallest memory among this machine's GPUs, 0 where one of them does not tell."""
    told = _ask("memory.total").splitlines()
    return min(int(each) if each.isdecimal() else 0 for each in told) << 20 if told else 0


def _gpu(index: str) -> tuple[str, int]:
    """Name and memory in bytes of a GPU."""
    name, _, mebibytes = _ask("name,memory.total", f"--id={index}").rpartition(", ")
    return (name, int(mebibytes) << 20) if mebibytes.isdecimal() else (f"cuda:{index}", 0)


def _ask(query: str, *flags: str) -> str:
    """What NVIDIA's own tool says, one line for each GPU; nothing where there is no answer."""
    # Names and limits are made without it.
    command = (*flags, f"--query-gpu={query}", "--format=csv,noheader,nounits")
    return program_output("nvidia-smi", *command, seconds=TOOL_SECONDS).strip()
