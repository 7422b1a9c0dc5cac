"""Starting or joining Ray, and the resources of its nodes."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import psutil
import ray
from ray import _raylet
from ray._private import ray_constants
from ray.autoscaler.sdk import request_resources
from rich.console import Console

from actors.core.errors import InputError, StoppedError, error_text
from jobs.cluster.address import Gcs, Target, check_cluster, find_cluster, read_target
from jobs.cluster.auth_token import MODE, make_token_private, private_token
from jobs.cluster.gpu_memory import least_memory
from jobs.cluster.local_ray import loopback, start_ray
from jobs.cluster.program_files import job_config
from jobs.cluster.ray_thread import WATCH_SECONDS, RayConnection, connected, watched
from jobs.console import say
from jobs.process.temporary_folders import ray_folder
from jobs.process.time_limits import within

T = TypeVar("T")

JOB_MARK = "RAY_JOB_CONFIG_JSON_ENV_VAR"

# Without one of these a cluster of one machine is no more. Ray ends the driver for it, but only after up to a minute,
# without a record, and with a code that means something else.
SERVERS = frozenset({"gcs_server", "raylet"})

# A cluster that answers is joined in a second or two; nobody waits longer than this, all questions included.
JOIN_SECONDS = 27.0

# How long a joined cluster's head may be silent. Ray ends the driver after 60 s, as above.
SILENT_SECONDS = 25.0

# How long a question to the cluster may take.
ASK_SECONDS = 15.0

# Below this Ray's processes fail one by one, and fill the disk with their complaints.
LEAST_FILES, MOST_FILES = 512, 65536

# Bytes of a path to one of Ray's sockets: what Unix allows, less what lies below our folder.
LONGEST_SOCKET = 107
SESSION = "r/session_12345678/sockets/plasma_store.1"


@dataclass(frozen=True, slots=True)
class ClusterResources:
    """What the live nodes have.

    Attributes:
        cpus: logical CPUs of all nodes.
        gpus: logical GPUs of all nodes.
        nodes: ids of the nodes that are alive.
        rendering: ids of those that have CPUs or GPUs; a head that only schedules has neither.
        store: bytes of the smallest object store among nodes that can render.
        smallest_node_cpus: CPUs of the smallest node that can render.
        gpu_node_cpus: CPUs of the nodes that have GPUs.
        gpu_memory: bytes of the smallest GPU's memory; 0 where that is unknown, or nobody has asked.
    """

    cpus: float
    gpus: float
    nodes: tuple[str, ...]
    rendering: tuple[str, ...]
    store: int
    smallest_node_cpus: float
    gpu_node_cpus: float
    gpu_memory: int = 0


class Cluster:
    """The cluster that this process has joined.

    Args:
        started_here: whether this process started it, for itself alone.
        connection: whether it is still there.
    """

    def __init__(self, connection: RayConnection, *, started_here: bool) -> None:
        self.started_here = started_here
        self._connection = connection

    @property
    def lost(self) -> StoppedError | None:
        """Why it is no more, or ``None``."""
        return self._connection.lost

    def hurry(self) -> None:
        """Lets nobody wait for Ray's leave any more."""
        self._connection.hurry = True

    def resources(self) -> ClusterResources:
        """What the live nodes have now.

        Raises:
            StoppedError: the cluster is no more.
        """
        if self.lost is not None:
            raise self.lost
        nodes = {node["NodeID"]: node["Resources"] for node in self._ask(ray.nodes) if node["Alive"]}
        rendering = {name: has for name, has in nodes.items() if has.get("CPU", 0) or has.get("GPU", 0)}
        stores = [has.get("object_store_memory", 0) for has in (rendering or nodes).values()]
        return ClusterResources(
            cpus=sum(has.get("CPU", 0.0) for has in nodes.values()),
            gpus=sum(has.get("GPU", 0.0) for has in nodes.values()),
            nodes=tuple(nodes),
            rendering=tuple(rendering),
            store=int(min(stores, default=0)),
            smallest_node_cpus=min((has.get("CPU", 0.0) for has in rendering.values()), default=0.0),
            gpu_node_cpus=sum(has.get("CPU", 0.0) for has in nodes.values() if has.get("GPU", 0)),
        )

    def with_gpu_memory(self, resources: ClusterResources) -> ClusterResources:
        """The same, with the memory of the GPUs; every node that has one is asked.

        Raises:
            StoppedError: the cluster is no more.
        """
        nodes = [node for node in self._ask(ray.nodes) if node["Alive"] and node["Resources"].get("GPU", 0)]
        return replace(resources, gpu_memory=least_memory([node["NodeID"] for node in nodes]))

    def wait_for_node(self, seconds: float, console: Console) -> ClusterResources:
        """What the live nodes have once one of them can render; an autoscaler is asked for such a node.

        Raises:
            StoppedError: none came in time, or the cluster is no more.
        """
        say(console, "waiting for a node that can render: the cluster has none yet")
        until = time.monotonic() + seconds
        self._ask(partial(request_resources, num_cpus=1))
        try:
            while not (found := self.resources()).rendering:
                if time.monotonic() > until:
                    raise StoppedError(
                        f"no node that can render joined the cluster within {seconds:g} s",
                        "check what it has (`ray status`), or give --wait more seconds",
                    )
                time.sleep(WATCH_SECONDS)
        finally:
            with suppress(TimeoutError):
                within(ASK_SECONDS, partial(request_resources, num_cpus=0))
        return found

    def _ask(self, question: Callable[[], T]) -> T:
        """What the cluster answers; one that does not answer counts as lost, so that leaving it takes no time either.

        Raises:
            StoppedError: it does not answer.
        """
        try:
            return within(ASK_SECONDS, question)
        except TimeoutError as error:
            self._connection.lost = self.lost or _no_answer("the cluster", ASK_SECONDS)
            raise self._connection.lost from error


def inside_job() -> bool:
    """Whether this process is the driver of a `ray job submit`."""
    return JOB_MARK in os.environ


@contextmanager
def connect(address: str | None, packages: Sequence[ModuleType], console: Console) -> Iterator[Cluster]:
    """Joins the cluster at ``address`` (or the one that Ray's environment names), else starts one for this process.

    Where the program has called `ray.init` already, that Ray is used, and left as it is.

    Args:
        address: ``host:port``, ``auto``, ``local`` or ``None``.
        packages: what processes of the cluster run of this program; shipped to a cluster that this process joins from
            outside of a job. None where it starts no processes itself.
        console: where it is said what was done to make Ray safe.

    Yields:
        The cluster. Its servers are watched while it is in use: where they are lost, the main thread is interrupted.

    Raises:
        InputError: there is no cluster at that address, or this machine cannot have one.
        StoppedError: Ray could not be started, or was lost.
    """
    target = read_target(address)
    if ray.is_initialized():
        with _initialised(target) as cluster:
            yield cluster
        return
    _allow_files()
    note = make_token_private()
    if note is not None:
        say(console, f"warning: {note}", style="yellow")
    # Ray prints before it reads the level that it is given.
    logging.getLogger("ray").setLevel(logging.ERROR)
    with _local_cluster() if target.address == "local" else _remote_cluster(target, packages) as cluster:
        yield cluster


@contextmanager
def _local_cluster() -> Iterator[Cluster]:
    """A cluster of this process alone."""
    servers = _LocalServers()
    with (
        ray_folder(LONGEST_SOCKET - len(f"/{SESSION}")) as folder,
        _environment({ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0", **private_token(folder)}),
        loopback(),
        connected(partial(start_ray, folder), servers.problem, servers.problem, folder) as connection,
    ):
        yield Cluster(connection, started_here=True)


@contextmanager
def _remote_cluster(target: Target, packages: Sequence[ModuleType]) -> Iterator[Cluster]:
    """Somebody's cluster."""
    until = time.monotonic() + JOIN_SECONDS
    problem = f"the cluster there could not be joined within {JOIN_SECONDS:g} s"
    with _environment({}):
        target = find_cluster(target)
        late = InputError(target.asked, problem, "check it by `ray status`")
        start = partial(_join, target, () if inside_job() else packages)
        with closing(check_cluster(target)) as gcs:
            servers = _HeadServer(target.address, gcs)
            with connected(
                start, lambda: late if time.monotonic() > until else None, servers.problem, None
            ) as connection:
                yield Cluster(connection, started_here=False)


@contextmanager
def _initialised(target: Target) -> Iterator[Cluster]:
    """The Ray that this program has started or joined itself.

    Raises:
        InputError: another one was asked for by name.
    """
    address: str = ray.get_runtime_context().gcs_address
    if target.asked.startswith("--address") and target.address not in {"auto", address}:
        raise InputError(
            target.asked,
            f"this program has called ray.init and is connected to {address}",
            "leave it out, or call ray.shutdown first",
        )
    connection = RayConnection()
    with closing(Gcs(address)) as gcs, watched(connection, _HeadServer(address, gcs).problem):
        yield Cluster(connection, started_here=False)


def _join(target: Target, packages: Sequence[ModuleType]) -> None:
    try:
        ray.init(
            target.address,
            runtime_env={"py_modules": list(packages)} if packages else None,
            job_config=job_config(shipped=bool(packages)),
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:  # as above
        problem = f"no Ray cluster could be joined ({error_text(error)})"
        raise InputError(target.asked, problem, "check it by `ray status`") from error


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for this process and those that it starts; takes back what Ray makes of its token's as well."""
    before = {name: os.environ.get(name) for name in (*changes, MODE)}
    os.environ.update(changes)
    _read_environment()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _read_environment()


def _read_environment() -> None:
    """Ray keeps what it has read of its token."""
    known: Any = _raylet
    known.Config.initialize("")
    known.AuthenticationTokenLoader.instance().reset_cache()


def _allow_files() -> None:
    """Raises the limit of open files as far as it goes.

    Raises:
        InputError: that is too low for Ray.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < MOST_FILES:
        allowed = MOST_FILES if most == resource.RLIM_INFINITY else max(allowed, min(most, MOST_FILES))
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    if allowed < LEAST_FILES:
        raise InputError(
            f"ulimit -n {allowed}",
            f"Ray needs at least {LEAST_FILES} open files in each process",
            f"raise the hard limit (`ulimit -Hn {MOST_FILES}`, as its administrator), then run it again",
        )


class _LocalServers:
    """Ray's servers among the processes that this one has started."""

    def __init__(self) -> None:
        self._seen: dict[int, psutil.Process] = {}
        # Made before Ray starts: what runs by then belongs to the program that calls us.
        self._earlier = {child.pid for child in psutil.Process().children()}

    def problem(self) -> StoppedError | None:
        """Which of them died."""
        if len(self._seen) < len(SERVERS):
            # Those seen before stay: what has died is listed no more.
            children = [child for child in psutil.Process().children() if child.pid not in self._earlier]
            self._seen |= {child.pid: child for child in children if _name(child) in SERVERS}
        for server in self._seen.values():
            if _is_gone(server):
                return StoppedError(
                    f"Ray's own process {server.pid} died, and with it the cluster", "run the same command again"
                )
        return None


class _HeadServer:
    """The head of a cluster that others run; it may be away for a while, as when it is started anew."""

    def __init__(self, address: str, gcs: Gcs) -> None:
        self._address, self._gcs = address, gcs
        self._silent, self._asked = 0.0, time.monotonic()

    def problem(self) -> StoppedError | None:
        """Whether it has been silent for too long, not counting what this process slept itself."""
        answered = self._gcs.answers()
        now = time.monotonic()
        self._silent = 0.0 if answered else self._silent + min(now - self._asked, 5.0)
        self._asked = now
        return (
            _no_answer(f"the cluster's head at {self._address}", self._silent)
            if self._silent > SILENT_SECONDS
            else None
        )


def _no_answer(who: str, seconds: float) -> StoppedError:
    return StoppedError(f"{who} has not answered for {seconds:.0f} s", "start it again, then run the same command")


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; one that nobody has asked how it ended is still listed."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
