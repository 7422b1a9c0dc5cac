"""Which device, how many workers, and what each asks Ray for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.core.errors import InputError
from jobs.cluster import Offer
from jobs.options import DeviceChoice

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

# On CPUs larger batches are slower (measured); on a card one frame does not fill it.
CPU_BATCH = 1
CUDA_BATCH = 4

# Ray counts resources in ten-thousandths.
PRECISION = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider, and why."""

    provider: str
    reason: str


@dataclass(frozen=True, slots=True)
class Placement:
    """How the workers are laid out.

    Attributes:
        workers: how many to start.
        threads: intra-op threads of each session.
        batch: frames per inference that is asked for.
        gpus: fraction of a card per worker, 0 on CPUs.
        resources: what each asks Ray for, as keyword arguments of `options`.
    """

    workers: int
    threads: int
    batch: int
    gpus: float
    resources: dict[str, Any]


def choose_device(wanted: DeviceChoice, offer: Offer, *, own_cluster: bool) -> Choice:
    """Decides between CUDA and CPU.

    Raises:
        InputError: CUDA is asked for on a cluster that this process started and that has no card.
    """
    if wanted is DeviceChoice.CPU:
        return Choice(CPU, "asked for")
    if wanted is DeviceChoice.CUDA:
        if own_cluster and not offer.gpus:
            raise InputError("--device cuda", "Ray finds no GPU on this machine", "use --device cpu, or a GPU machine")
        return Choice(CUDA, "asked for")
    if offer.gpus:
        return Choice(CUDA, f"the cluster has {offer.gpus:g} GPUs")
    if not offer.cpus:
        return Choice(CUDA, "no node of the cluster renders on CPUs; GPUs are asked for")
    return Choice(CPU, "the cluster has no GPU")


def room(offer: Offer, provider: str, gpus_per_worker: float) -> int:
    """How many workers fit on the cluster as it is: one per core, or as many as share the cards."""
    if provider == CPU:
        return max(1, int(offer.cpus))
    if gpus_per_worker < 1:
        return max(1, int(offer.gpus) * int(1 / gpus_per_worker + 1e-9))
    return max(1, int(offer.gpus / gpus_per_worker))


def place(
    offer: Offer, provider: str, *, workers: int | None, batch: int | None, gpus_per_worker: float, frames: int
) -> Placement:
    """Lays out the workers.

    Args:
        offer: what the cluster has.
        provider: what they run on.
        workers: how many the user wants, if said.
        batch: what the user wants, if said.
        gpus_per_worker: fraction of a card each has.
        frames: output frames there are to render; more workers than frames are useless.
    """
    count = min(workers or room(offer, provider, gpus_per_worker), frames)
    if provider == CUDA:
        cores = offer.gpu_node_cpus / count
        cpus = 1.0 if cores >= 1 or not cores else _round_down(cores)
        resources = {"num_cpus": cpus, "num_gpus": gpus_per_worker}
        return Placement(count, 1, batch or CUDA_BATCH, gpus_per_worker, resources)
    cores = offer.cpus / count
    threads = max(1, min(int(cores), int(offer.smallest_node_cpus)))
    # More workers than cores share them, because the user said so; where there are none yet, each asks for one.
    resources = {"num_cpus": threads if cores >= 1 or not offer.cpus else _round_down(cores)}
    return Placement(count, threads, batch or CPU_BATCH, 0.0, resources)


def _round_down(cores: float) -> float:
    return int(cores * PRECISION) / PRECISION
