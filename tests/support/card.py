"""A cluster whose workers have the CUDA that stands in; the driver has none, and the cluster's books have a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import cuda_stand_in
import in_process
import pytest
import ray
from ray.cluster_utils import Cluster
from small import Result

Command: TypeAlias = Callable[..., Result]


@pytest.fixture
def card(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Joins the cluster with workers that have a card which behaves as told; gives what runs commands there."""

    def join(**settings: object) -> Command:
        ray.shutdown()
        environment = cuda_stand_in.environment(tmp_path, **settings)
        runtime = {"env_vars": environment}
        ray.init(cluster.address, runtime_env=runtime, log_to_driver=False, logging_level=logging.ERROR)
        return lambda *arguments: in_process.command(*arguments, "--address", cluster.address)

    yield join
    ray.shutdown()
