"""Starting or joining Ray, and what it offers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any

# Read by Ray when it is imported: under `uv run` it would otherwise rebuild the environment for every worker.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

import psutil
import ray
from ray._private import ray_constants

from actors.core.errors import InputError, StoppedError

CONNECT_SECONDS = 10.0

JOB_MARK = "RAY_JOB_CONFIG_JSON_ENV_VAR"

# By itself Ray ends a process that has been idle for a second: those that have loaded backgrounds, just when workers
# begin to render. That takes a fifth of a second of a core, and starting one for the next block twice as much.
OWN_SYSTEM = {"idle_worker_killing_time_threshold_ms": 20_000}

# Without one of these a cluster of one machine is no more. Ray ends the driver for it, but only after up to a minute,
# without a record, and with a code that means something else.
SERVERS = frozenset({"gcs_server", "raylet"})


@dataclass(frozen=True, slots=True)
class Offer:
    """What the live nodes have.

    Attributes:
        cpus: logical CPUs of all nodes.
        gpus: logical GPUs of all nodes.
        nodes: ids of the nodes that are alive.
        rendering: ids of those that have CPUs or GPUs; a head that only schedules has neither.
        store: bytes of the smallest object store among nodes that can render.
        smallest_node_cpus: CPUs of the smallest node that can render.
        gpu_node_cpus: CPUs of the nodes that have GPUs.
    """

    cpus: float
    gpus: float
    nodes: tuple[str, ...]
    rendering: tuple[str, ...]
    store: int
    smallest_node_cpus: float
    gpu_node_cpus: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that this process has joined.

    Attributes:
        own: whether it was started by this process, for itself.
        servers: Ray's own processes, if so.
    """

    own: bool
    servers: tuple[psutil.Process, ...]

    def offer(self) -> Offer:
        """What is there right now.

        Raises:
            StoppedError: Ray's own processes are no more.
        """
        for server in self.servers:
            if _is_gone(server):
                raise StoppedError(
                    f"Ray's own process {server.pid} died, and with it the cluster", "run the same command again"
                )
        alive: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        nodes = {node["NodeID"]: node["Resources"] for node in alive if node["Alive"]}
        rendering = {name: has for name, has in nodes.items() if has.get("CPU", 0) or has.get("GPU", 0)}
        stores = [has.get("object_store_memory", 0) for has in (rendering or nodes).values()]
        return Offer(
            cpus=sum(has.get("CPU", 0.0) for has in nodes.values()),
            gpus=sum(has.get("GPU", 0.0) for has in nodes.values()),
            nodes=tuple(nodes),
            rendering=tuple(rendering),
            store=int(min(stores, default=0)),
            smallest_node_cpus=min((has.get("CPU", 0.0) for has in rendering.values()), default=0.0),
            gpu_node_cpus=sum(has.get("CPU", 0.0) for has in nodes.values() if has.get("GPU", 0)),
        )


def inside_job() -> bool:
    """Whether this process is the driver of a `ray job submit`."""
    return JOB_MARK in os.environ


@contextmanager
def connect(address: str | None, package: ModuleType | None) -> Iterator[Cluster]:
    """Joins the cluster at ``address`` (or the one that Ray's environment names), else starts one for this process.

    Args:
        address: as `ray.init` takes it, or ``None``.
        package: the package that workers run; shipped to a cluster that this process joins from outside of a job.
            ``None`` where this process starts no workers itself.

    Yields:
        The cluster.

    Raises:
        InputError: there is no cluster at that address.
        StoppedError: Ray could not be started.
    """
    target = address or os.environ.get("RAY_ADDRESS")
    local = target is None or target == "local"
    if target is not None:
        _check_reachable(target)
    runtime_env = None if local or package is None or inside_job() else {"py_modules": [package]}
    own: dict[str, Any] = {"include_dashboard": False, "_system_config": OWN_SYSTEM} if local else {}
    with _loopback() if local else nullcontext():
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address="local" if local else target,
                runtime_env=runtime_env,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **own,
            )
        except SystemExit as error:
            raise KeyboardInterrupt from error  # Ray's own handler of SIGTERM stands while it starts
        except Exception as error:  # Ray raises whatever went wrong, down to a plain Exception for a time-out
            message = " ".join(str(error).split())[:300]
            if local:
                raise StoppedError(f"Ray could not be started ({message})", "mend it and run again") from error
            problem = f"no Ray cluster could be joined ({message})"
            raise InputError(f"--address {target}", problem, "check it") from error
        # Ray takes SIGTERM for itself and would end the process with a code of its own.
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        try:
            yield Cluster(local, _servers() if local else ())
        finally:
            ray.shutdown()


@contextmanager
def _loopback() -> Iterator[None]:
    """Makes Ray's servers on this machine listen on 127.0.0.1 alone, here and in the processes that it starts.

    Ray does so by itself on systems where it runs without clusters; its switch for that is read when it is imported.
    ``_node_ip_address="127.0.0.1"`` would not do: Ray replaces it by an address that others can reach.
    """
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before, enabled = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = enabled
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _servers() -> tuple[psutil.Process, ...]:
    """Ray's servers among the processes that this one has started."""
    return tuple(child for child in psutil.Process().children() if child.name() in SERVERS)


def _is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; one that nobody has asked how it ended is still listed."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _check_reachable(address: str) -> None:
    """Tries a ``host:port`` address at once; Ray itself tries for minutes before it gives up."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}", f"nothing answers there ({error})", "start Ray there first") from error
