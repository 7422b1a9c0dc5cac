"""A local run's own cluster: it offers nothing to other machines, and has what its processes must inherit."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
import small

# Starts Ray as a local run does, and waits to be looked at.
PROGRAM = """
import sys
from jobs.cluster import connect
with connect(None, None):
    print("up", flush=True)
    sys.stdin.read()
"""


def test_ray_listens_on_loopback_alone() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=small.ROOT) as local:
        assert local.stdout is not None
        assert local.stdout.readline() == b"up\n"
        tree = [psutil.Process(local.pid), *psutil.Process(local.pid).children(recursive=True)]
        sockets = [
            connection.laddr.ip
            for process in tree
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        local.communicate(timeout=60)
    assert len(sockets) > 3
    assert {ip.removeprefix("::ffff:") for ip in sockets} == {"127.0.0.1"}


@pytest.mark.parametrize("own", [None, "glibc.malloc.arena_max=4"])
def test_ray_asks_for_huge_pages_unless_the_user_has_tuned_the_allocator(own: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if own is not None:
        environment["GLIBC_TUNABLES"] = own
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=small.ROOT, env=environment
    ) as local:
        assert local.stdout is not None
        assert local.stdout.readline() == b"up\n"
        (raylet,) = [child for child in psutil.Process(local.pid).children() if child.name() == "raylet"]
        inherited = raylet.environ()["GLIBC_TUNABLES"]
        local.communicate(timeout=60)
    assert inherited == (own or "glibc.malloc.hugetlb=1")


@pytest.mark.parametrize("before", [None, "glibc.malloc.arena_max=4"])
def test_this_process_has_its_own_environment_back_afterwards(before: str | None) -> None:
    program = """
import os
from ray._private import ray_constants
from jobs.cluster import connect
names = ("GLIBC_TUNABLES", ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR)
before = {name: os.environ.get(name) for name in names}
with connect(None, None):
    pass
assert {name: os.environ.get(name) for name in names} == before, os.environ
"""
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    if before is not None:
        environment["GLIBC_TUNABLES"] = before
    subprocess.run([sys.executable, "-c", program], cwd=small.ROOT, env=environment, check=True, timeout=120)
