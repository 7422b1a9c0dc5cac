"""The watch over Ray's servers: what is lost stays lost, and nobody else's processes count."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

import jobs.cluster.ray_thread
from actors.core.errors import StoppedError
from jobs.cluster.connection import SERVERS, _LocalServers
from jobs.cluster.ray_thread import RayConnection, watched


def test_what_is_lost_stays_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.cluster.ray_thread, "WATCH_SECONDS", 0.01)
    connection, looks = RayConnection(), threading.Semaphore(0)
    with watched(connection, looks.release):
        connection.lost = lost = StoppedError("the head is silent", "start it again")
        # Two looks that began later: the second begins only when the first has been dealt with.
        for _ in range(3):
            assert looks.acquire(timeout=30)
    assert connection.lost is lost


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_a_server_that_the_program_had_before_is_none_of_ours(tmp_path: Path, server: str) -> None:
    program = tmp_path / server
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "60"]) as others:
        servers = _LocalServers()
        others.kill()
        # Nobody has asked how it ended, so it is still listed.
        while Path(f"/proc/{others.pid}/stat").read_text().split()[2] != "Z":
            pass
        assert servers.problem() is None
