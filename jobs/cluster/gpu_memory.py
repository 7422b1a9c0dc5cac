"""How much memory the cluster's GPUs have, which Ray does not know."""

from __future__ import annotations

from collections.abc import Sequence

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.network.device import TOOL_SECONDS, least_gpu_memory

# Starting a process that asks takes a second or two, more on a node that installs what it needs first.
ASK_SECONDS = TOOL_SECONDS + 10.0


def least_memory(nodes: Sequence[str]) -> int:
    """Bytes of the smallest GPU's memory on these nodes; 0 where one of them does not tell it in time.

    Takes no GPU and no core, so that nobody waits for it.
    """
    ask = ray.remote(num_cpus=0, max_retries=0)(least_gpu_memory)
    answers = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote() for node in nodes
    ]
    try:
        found: list[int] = ray.get(answers, timeout=ASK_SECONDS)
    except ray.exceptions.RayError:
        # The layout for an unknown GPU does as well.
        return 0
    return min(found, default=0)
