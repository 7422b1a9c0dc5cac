"""Nobody is told that this program runs, by any of the processes that it starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import small

from jobs.cluster.connection import SERVERS

# What tells ONNX Runtime and Ray to be silent; the suite's own processes are told so by conftest.py.
SILENT = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}

# Where nothing stops it, ONNX Runtime first calls home 9 s after a session was made.
SECONDS = 12.0

# The driver of a local run and one of its workers each run a network, and go on living.
PROGRAM = """
import sys
import ray
from rich.console import Console
from jobs.cluster.connection import connect

def infer(model):
    from actors.network import runtime
    made = runtime.ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {one.name: runtime.np.zeros([1 if isinstance(n, str) else n for n in one.shape], "f4")
              for one in made.get_inputs()}
    return len(made.run(None, inputs))

class Worker:
    def infer(self, model):
        return infer(model)

with connect(None, (), Console()):
    worker = ray.remote(Worker).remote()
    print(infer(sys.argv[1]) + ray.get(worker.infer.remote(sys.argv[1])), flush=True)
    sys.stdin.read()
"""


@pytest.mark.cluster
def test_no_process_calls_home_or_leaves_an_id(model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(SECONDS)
        environment = {
            **{name: value for name, value in os.environ.items() if name not in SILENT},
            # The home folder comes from the system's list of users, whatever HOME says; this comes before it.
            "XDG_CACHE_HOME": str(tmp_path),
            # Whoever wants to reach the world comes by here.
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}",
        }
        command = [sys.executable, "-c", PROGRAM, str(model)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=environment, cwd=small.ROOT, **pipes) as driver:  # type: ignore[call-overload]
            assert driver.stdout.readline() == b"2\n"
            with pytest.raises(TimeoutError):
                proxy.accept()
            # One of them starts each other process of Ray's; those change their titles, which hides their environment.
            servers = [child for child in psutil.Process(driver.pid).children() if child.name() in SERVERS]
            told = [server.environ() for server in servers]
            driver.communicate(timeout=60)
    assert list(tmp_path.iterdir()) == []
    assert len(told) == len(SERVERS)
    for name, value in SILENT.items():
        assert {environment.get(name) for environment in told} == {value}
