"""Which device, how many workers, and what each asks Ray for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from actors.core.choices import Device
from actors.core.errors import InputError, NoCudaError
from actors.network.device import CONTEXT_BYTES, arena_limit
from jobs.cluster.connection import Cluster, ClusterResources
from jobs.cluster.layout import CUDA_BATCH, Layout
from jobs.inputs.options import DeviceChoice

# On CPUs larger batches are slower (measured).
CPU_BATCH = 1

# Compositing and encoding a frame is a few milliseconds of one core; more threads than this outrun any GPU.
MOST_COMPOSITING_THREADS = 8

# Several workers on a GPU fill the gaps that one leaves; and one worker finishes about 850 frames a second whatever its
# cores (Python's lock), which is less than a large GPU gives. Tuning finds how many.
WORKERS_PER_GPU = (8, 4, 2)

# That many where a GPU or its memory is unknown.
USUAL_WORKERS = 4

# Cores that a worker needs to feed its session, composite and encode: about two, as a container may have 15 of 16.
CORES_PER_GPU_WORKER = 1.75

# Bytes that the network takes at batch 16 beside CUDA itself: those of a UNet-328 in single precision, generously.
NETWORK_BYTES = 1_200_000_000

# The reason of a device that the user named.
ASKED_FOR = "asked for"

# Ray counts resources in ten-thousandths.
PRECISION = 10_000


@dataclass(frozen=True, slots=True)
class ChosenDevice:
    """A device, and why."""

    device: Device
    reason: str

    @property
    def asked(self) -> str:
        """What stands for it in messages: the flag, where one was given."""
        return f"--device {self.device}" if self.reason == ASKED_FOR else f"device {self.device} ({self.reason})"

    @property
    def line(self) -> str:
        """What users are told."""
        return f"device: {self.device} ({self.reason})"

    def without_cuda(self, error: NoCudaError) -> ChosenDevice:
        """The CPU, where CUDA was chosen and could not be had."""
        return ChosenDevice(Device.CPU, f"{self.reason}, but {error.problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement(Layout):
    """A layout on one cluster.

    Attributes:
        compositing_threads: threads of each worker that composite, encode and write frames while its network runs.
        resources: what each worker asks Ray for, as keyword arguments of `options`.
    """

    compositing_threads: int
    resources: dict[str, Any]


def wait_for_resources(cluster: Cluster, wanted: DeviceChoice, wait: float, console: Console) -> ClusterResources:
    """What the cluster has; where that decides the device, once it has a node that can render.

    Where GPUs may be used, their memory is asked for.

    Raises:
        StoppedError: none came within ``wait`` seconds, or the cluster is no more.
    """
    resources = cluster.resources()
    if wanted is DeviceChoice.AUTO and not resources.rendering:
        resources = cluster.wait_for_node(wait, console)
    return cluster.with_gpu_memory(resources) if resources.gpus and wanted is not DeviceChoice.CPU else resources


def choose_device(wanted: DeviceChoice, resources: ClusterResources, *, started_here: bool) -> ChosenDevice:
    """Decides between CUDA and CPU; by itself for a cluster that has a node which renders.

    Raises:
        InputError: CUDA is asked for on a cluster that this process started and that has no GPU.
    """
    if wanted is DeviceChoice.CPU:
        return ChosenDevice(Device.CPU, ASKED_FOR)
    if wanted is DeviceChoice.CUDA:
        if started_here and not resources.gpus:
            raise InputError("--device cuda", "Ray finds no GPU on this machine", "use --device cpu, or a GPU machine")
        return ChosenDevice(Device.CUDA, ASKED_FOR)
    if resources.gpus:
        return ChosenDevice(Device.CUDA, f"the cluster has {resources.gpus:g} GPUs")
    return ChosenDevice(Device.CPU, "the cluster has no GPU")


def network_bytes(batch: int) -> int:
    """Bytes of a GPU's memory that the network may need in each worker at a batch."""
    return NETWORK_BYTES * max(batch, CUDA_BATCH) // CUDA_BATCH


def workers_per_gpu(memory: int, cores: float, gpus: float, batch: int = CUDA_BATCH) -> int:
    """How many workers share each GPU where the user does not say it.

    Args:
        memory: bytes of the smallest GPU's memory, 0 where unknown.
        cores: of the nodes that have GPUs.
        gpus: that they have; 0 where none has come yet.
        batch: frames per inference.
    """
    if not gpus:
        return USUAL_WORKERS
    for workers in WORKERS_PER_GPU:
        fits = arena_limit(memory, 1 / workers) >= network_bytes(batch) if memory else workers <= USUAL_WORKERS
        if fits and cores / gpus >= workers * CORES_PER_GPU_WORKER:
            return workers
    return 1


def check_share(memory: int, share: float, batch: int) -> str:
    """What is wrong with a share of a GPU that the user gave for each worker; empty where it has room enough.

    Args:
        memory: bytes of the smallest GPU's memory, 0 where unknown.
        share: the share.
        batch: frames per inference.

    Raises:
        InputError: CUDA itself does not fit into it.
    """
    room, needed = arena_limit(memory, share), network_bytes(batch)
    if not memory or room >= needed:
        return ""
    flag, whole = f"--gpus-per-worker {share:g}", f"the GPU's {memory / 1e9:.0f} GB"
    enough = next((1 / count for count in WORKERS_PER_GPU if arena_limit(memory, 1 / count) >= needed), 1)
    if room <= 1:
        problem = f"that share of {whole} is less than the {CONTEXT_BYTES / 1e9:g} GB that CUDA itself takes"
        raise InputError(flag, problem, f"give {enough:g} or more")
    return (
        f"{flag} leaves the network {room / 1e9:.1f} of {whole}, at batch {batch} it may need {needed / 1e9:.1f} GB:"
        f" give {enough:g} or more, or a smaller --batch, if it fails"
    )


def worker_capacity(resources: ClusterResources, device: Device, gpus_per_worker: float, threads: int) -> int:
    """How many workers fit on the cluster as it is: one per ``threads`` cores, or as many as share the GPUs."""
    if device is Device.CPU:
        return max(1, int(resources.cpus / threads))
    if gpus_per_worker < 1:
        return max(1, int(resources.gpus) * int(1 / gpus_per_worker + 1e-9))
    return max(1, int(resources.gpus / gpus_per_worker))


def place(
    resources: ClusterResources,
    device: Device,
    *,
    workers: int | None,
    threads: int | None,
    batch: int | None,
    gpus_per_worker: float | None,
    frames: int,
) -> Placement:
    """Lays out the workers.

    Args:
        resources: of the cluster.
        device: what they run on.
        workers: how many the user wants; ``None``: as many as there is capacity for.
        threads: intra-op threads that the user wants; ``None``: one on a GPU, else the cores that each worker has.
        batch: frames per inference that the user wants; ``None``: the device's default.
        gpus_per_worker: share of a GPU that the user wants for each; ``None`` or 0: as `workers_per_gpu` has it.
        frames: output frames there are to render; more workers than frames are useless.
    """
    if not gpus_per_worker:
        gpus_per_worker = 1 / workers_per_gpu(
            resources.gpu_memory, resources.gpu_node_cpus, resources.gpus, batch or CUDA_BATCH
        )
    count = min(workers or worker_capacity(resources, device, gpus_per_worker, threads or 1), frames)
    if device is Device.CUDA:
        cores = resources.gpu_node_cpus / count
        cpus = 1.0 if cores >= 1 or not cores else _round_down(cores)
        return Placement(
            workers=count,
            threads=threads or 1,
            batch=batch or CUDA_BATCH,
            gpus=gpus_per_worker,
            compositing_threads=max(1, min(int(cores), MOST_COMPOSITING_THREADS)),
            resources={"num_cpus": cpus, "num_gpus": gpus_per_worker},
        )
    cores = resources.cpus / count
    threads = threads or max(1, min(int(cores), int(resources.smallest_node_cpus)))
    # More threads than the cluster has cores share them, because the user said so; where there are no cores yet, each
    # asks for its own.
    cpus = threads if cores >= threads or not resources.cpus else _round_down(cores)
    return Placement(
        workers=count, threads=threads, batch=batch or CPU_BATCH, compositing_threads=0, resources={"num_cpus": cpus}
    )


def place_layout(resources: ClusterResources, device: Device, layout: Layout, *, frames: int) -> Placement:
    """Places a layout as it is, but for workers that would have no frame."""
    placed = place(
        resources,
        device,
        workers=layout.workers,
        threads=layout.threads,
        batch=layout.batch,
        gpus_per_worker=layout.gpus,
        frames=frames,
    )
    return replace(placed, tuning=layout.tuning)


def _round_down(cores: float) -> float:
    """As Ray takes it: below one core a fraction of four decimals, else whole cores."""
    return int(cores) if cores >= 1 else int(cores * PRECISION) / PRECISION
