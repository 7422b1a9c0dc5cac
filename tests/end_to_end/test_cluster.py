"""A cluster that the program itself has joined, and a head that is away for a while."""

from __future__ import annotations

from pathlib import Path

import in_process
import pytest
import ray
import small
from ray.cluster_utils import Cluster
from small import SmallClip

from actors.core.errors import StoppedError
from jobs.cluster.address import Gcs
from jobs.cluster.connection import _HeadServer


def test_a_program_that_has_called_ray_init_keeps_its_ray(
    cluster: Cluster, clip: SmallClip, model: Path, tmp_path: Path
) -> None:
    base = ["composite", clip.folder, "--model", model, "--device", "cpu", "--frames", ":4", "--out", tmp_path / "run"]
    ray.init(cluster.address, log_to_driver=False)
    try:
        refused = in_process.command(*base, "--address", "192.0.2.1:6379")
        assert refused.code == 2
        assert "--address 192.0.2.1:6379: this program has called ray.init" in refused.output
        result = in_process.command(*base)
        assert result.code == 0, result.output
        assert ray.is_initialized()
        assert ray.nodes()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()
    assert len(small.contents(tmp_path / "run")) == 4


def test_a_head_may_be_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is started anew; the time that this process slept itself does not count."""
    now, there = 0.0, False

    class Head(Gcs):
        def __init__(self) -> None:
            """Asks nobody."""

        def answers(self) -> bool:
            return there

    monkeypatch.setattr("time.monotonic", lambda: now)
    servers = _HeadServer("head:6379", Head())

    def after(seconds: float) -> StoppedError | None:
        nonlocal now
        now += seconds
        return servers.problem()

    assert [after(4.0) for _ in range(6)] == [None] * 6
    there = True
    assert after(4.0) is None
    there = False
    assert [after(3600.0), *(after(4.0) for _ in range(5))] == [None] * 6
    assert "the cluster's head at head:6379 has not answered" in str(after(4.0))
