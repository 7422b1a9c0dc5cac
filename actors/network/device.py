"""Which device Ray gave to this worker."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass


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


def _gpu(index: str) -> tuple[str, int]:
    """Name and memory in bytes of a GPU, as NVIDIA's own tool tells them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return f"cuda:{index}", 0
    query = [tool, f"--id={index}", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    name, _, mebibytes = answer.stdout.strip().rpartition(", ")
    return (name, int(mebibytes) << 20) if answer.returncode == 0 and mebibytes.isdecimal() else (f"cuda:{index}", 0)
