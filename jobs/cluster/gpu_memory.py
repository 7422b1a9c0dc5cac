"""How much memory the cluster's GPUs have, which Ray does not know."""

from __future__ import annotations

from collections.abc import Sequence

import ray
import ray.exceptions

from actors.network.device import TOOL_SECONDS, least_gpu_memory
from jobs.cluster.node_tasks import on_each_node

# Starting a process that asks takes a second or two, more on a node that installs what it needs first.
ASK_SECONDS = TOOL_SECONDS + 10.0


def least_memory(nodes: Sequence[str]) -> int:
    """Bytes of the smallest GPU's memory on these nodes; 0 where one of them does not tell it in time."""
    answers = on_each_node(nodes, least_gpu_memory)
    try:
        found: list[int] = ray.get(list(answers.values()), timeout=ASK_SECONDS)
    except ray.exceptions.RayError:
        # The layout for an unknown GPU does as well.
        return 0
    return min(found, default=0)
