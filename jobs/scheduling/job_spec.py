"""What a dispatcher runs on Ray, and on which part of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.core.ranges import ClipBlock
from jobs.cluster.connection import ClusterResources
from jobs.scheduling.deaths import Death
from jobs.scheduling.milestones import Milestones


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """What workers and loaders are told of a clip.

    Attributes:
        config: for workers, in the object store.
        loader_arguments: what the loader is called with for a block.
        milestones: filled with when things happened.
    """

    config: Any
    loader_arguments: Callable[[ClipBlock], tuple[Any, ...]]
    milestones: Milestones = field(default_factory=Milestones)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What the dispatcher needs besides the scheduler.

    Attributes:
        worker_class: made with a slot's number and its network; it has ``prepare`` and ``render`` as
            `actors.rendering.compositor.Compositor` has them, and ``close_clip`` where clips are closed.
        networks: what workers are told of each network, by its name; of every network that a clip needs.
        clips: what is told of each clip that the scheduler has open, by its id.
        loader: loads a block, as `actors.rendering.blocks.load_block` does.
        nodes: ids of the nodes that can render now, where blocks are loaded until workers say where they are.
        worker_resources: Ray's resources for one worker, as keyword arguments of `options`.
        calls: how many ranges a worker renders at once; its methods are then called on as many threads.
        wait: seconds that a run may go without any worker that is ready.
        cluster_resources: asks the cluster what it has now.
        capacity: how many workers that has room for; ``None`` when the user fixed the number.
        device_flag: the flag or setting that the kind of resources comes from, as users know it.
        on_death: told of each worker that died, when it is known.
    """

    worker_class: type
    networks: dict[str, Any]
    clips: dict[str, ClipSpec]
    loader: Callable[..., tuple[Any, Any]]
    nodes: tuple[str, ...]
    worker_resources: dict[str, Any]
    calls: int
    wait: float
    cluster_resources: Callable[[], ClusterResources]
    capacity: Callable[[ClusterResources], int] | None
    device_flag: str
    on_death: Callable[[Death], None]
