"""Ray on this machine for one process alone, with its own folder, ports and servers."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import ray
from ray import _raylet
from ray._private import node, parameter, ray_constants

from actors.core.errors import StoppedError, error_text
from jobs.cluster.program_files import job_config

# By itself Ray ends a process that has been idle for a second: those that have loaded backgrounds, just when workers
# begin to render. That takes a fifth of a second of a core, and starting one for the next block twice as much.
SYSTEM_CONFIG = {"idle_worker_killing_time_threshold_ms": 20_000}

POLL_SECONDS = 0.02

# Characters of what Ray says that a line about a stop holds.
LONGEST_MESSAGE = 300


def start_ray(folder: Path) -> None:
    """Starts Ray with its session in a folder, and with ports that nobody else wants.

    Raises:
        StoppedError: it could not be started.
    """
    known: Any = parameter.RayParams
    settings = partial(
        known,
        # By itself Ray takes 52365, which `ray start` needs.
        dashboard_agent_listen_port=0,
        session_name=f"session_{secrets.token_hex(4)}",
        # One would send on what workers print, which nobody reads here; the other would start nodes.
        include_log_monitor=False,
        no_monitor=True,
    )
    with (
        _replaced(parameter, "RayParams", settings),
        _replaced(node, "wait_for_persisted_port", _port),
        _replaced(node.Node, "start_api_server", _no_api_server),
    ):
        try:
            ray.init(
                "local",
                include_dashboard=False,
                job_config=job_config(shipped=False),
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=str(folder / "r"),
                _system_config=SYSTEM_CONFIG,
            )
        except Exception as error:  # Ray raises whatever went wrong, down to a plain Exception for a time-out
            raise StoppedError(
                f"Ray could not be started ({error_text(error, LONGEST_MESSAGE)})", "mend it and run again"
            ) from error


@contextmanager
def loopback() -> Iterator[None]:
    """Makes Ray's servers on this machine listen on 127.0.0.1 alone, with the variable that its processes inherit.

    Ray does so by itself on systems where it runs without clusters; its switch for that is read when it is imported.
    ``_node_ip_address="127.0.0.1"`` would not do: Ray replaces it by an address that others can reach.
    """
    with _replaced(ray_constants, "ENABLE_RAY_CLUSTER", value=False):
        yield


@contextmanager
def _replaced(owner: ModuleType | type, name: str, value: object) -> Iterator[None]:
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _no_api_server(_node: object, **_settings: object) -> None:
    """In place of the server of Ray's dashboard, which Ray starts and waits for even where no dashboard is wanted."""


def _port(folder: str, node_id: str, server: str, timeout_ms: int) -> int:
    """The port that a server has written down, as Ray waits for it, but so that other threads run meanwhile.

    Ray waits half a minute with Python's lock held: where the server died, nobody could say so, nor be interrupted.
    """
    known: Any = _raylet
    written = Path(folder) / known.get_port_filename(node_id, server)
    until = time.monotonic() + timeout_ms / 1e3
    while not written.exists() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return int(known.wait_for_persisted_port(folder, node_id, server, timeout_ms=1000))
