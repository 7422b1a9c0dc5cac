"""A local run offers nothing to other machines."""

from __future__ import annotations

import subprocess
import sys

import psutil
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
