"""A local run offers nothing to other machines and users, and takes nothing that a cluster beside it needs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest
import small
from stage import is_gone, wait_for

# Starts Ray as a local run does, and waits to be looked at.
PROGRAM = """
import sys
from rich.console import Console
from jobs.cluster.connection import connect
with connect(None, (), Console()):
    print("up", flush=True)
    sys.stdin.read()
"""

# Those of Ray's servers that nobody asks where there is one machine and no dashboard; each takes seconds to start.
NEEDLESS = {"dashboard.py", "log_monitor.py", "monitor.py"}

# Of `ray start --head`: its own, its dashboard's, its agent's and its clients'.
RAYS_PORTS = {6379, 8265, 52365, 10001}


@pytest.mark.cluster
def test_a_local_run_keeps_to_itself(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path), "RAY_TMPDIR": ""}
    del environment["RAY_AUTH_MODE"]
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=small.ROOT, env=environment
    ) as local:
        assert local.stdout is not None
        assert local.stdout.readline() == b"up\n"
        tree = [psutil.Process(local.pid), *psutil.Process(local.pid).children(recursive=True)]
        sockets = [
            connection.laddr
            for process in tree
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        (raylet,) = [process for process in tree if process.name() == "raylet"]
        (folder,) = [word.partition("=")[2] for word in raylet.cmdline() if word.startswith("--temp_dir=")]
        private = Path(folder).parent
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert stat.S_IMODE((private / "token").stat().st_mode) == 0o600
        programs = {Path(word).name for process in tree for word in process.cmdline()}
        local.communicate(timeout=60)
    assert {"gcs_server", "raylet"} <= programs
    assert programs.isdisjoint(NEEDLESS)
    assert len(sockets) > 3
    assert {socket.ip.removeprefix("::ffff:") for socket in sockets} == {"127.0.0.1"}
    assert {socket.port for socket in sockets}.isdisjoint(RAYS_PORTS)
    # Nothing stays: no process, no session, no token that clusters started later would ask for.
    for process in tree:
        wait_for(partial(is_gone, process.pid))
    assert not private.exists()
    assert not (tmp_path / "home").exists()
