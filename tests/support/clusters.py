"""Clusters that tests share: started with what tests need, joined once and for many tests."""

from __future__ import annotations

import logging
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import ray
from ray._private.node import Node
from ray._private.utils import write_ray_address
from ray.cluster_utils import Cluster

# By itself Ray ends a process that has been idle for a second, and starts another for the next test's blocks.
CONFIG = {"idle_worker_killing_time_threshold_ms": 120_000}


def free_port() -> int:
    """A port below those that the system gives out by itself, to Ray's own servers among others."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def start_head(*, include_dashboard: bool = False, **how: Any) -> Any:  # noqa: ANN401 - Ray's test helper is untyped
    """A cluster of one node, ``how`` as `Cluster.add_node` takes it, without servers that no test asks.

    These would take a tenth of a core: what sends on the workers' output, what starts nodes, and the dashboard's
    server, which Ray starts even where no dashboard is wanted.
    """
    given = {"include_dashboard": include_dashboard, "include_log_monitor": False, "no_monitor": True, **how}
    with pytest.MonkeyPatch.context() as patch:
        if not include_dashboard:
            patch.setattr(Node, "start_api_server", lambda _node, **_how: None)
        return Cluster(initialize_head=True, head_node_args=given)


@contextmanager
def two_nodes(**head: Any) -> Iterator[Cluster]:  # noqa: ANN401
    """Two nodes of one core each; ``head`` as `start_head` takes it.

    In a folder of its own, because Ray sends a job to the cluster that was started last in its cluster's folder. Under
    ``/tmp`` itself: the paths of Ray's sockets have little room.
    """
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    given: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 1 << 30, "_system_config": CONFIG}
    started = start_head(temp_dir=folder, dashboard_agent_listen_port=free_port(), **given, **head)
    started.add_node(num_cpus=1, object_store_memory=1 << 30)
    started.wait_for_nodes()
    write_ray_address(started.gcs_address, folder)
    yield started
    ray.shutdown()
    started.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def join(address: str) -> None:
    """Connects this process to a cluster, unless it is.

    It stays connected until a test needs another cluster or none: Ray starts workers anew for everybody who joins.
    """
    if ray.is_initialized():
        context: Any = ray.get_runtime_context()
        if context.gcs_address == address:
            return
        ray.shutdown()
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
