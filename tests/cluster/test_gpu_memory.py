"""How much memory a cluster's GPUs have, from the node that knows it to the session that keeps to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cuda_stand_in
import pytest
import ray
import small
from card import Command

from actors.network.device import arena_limit
from jobs.cluster.gpu_memory import least_memory

MEMORY = 24576 << 20


def test_a_run_is_laid_out_for_the_gpu_that_its_node_has(
    clip: small.SmallClip, model: Path, tmp_path: Path, card: Callable[..., Command]
) -> None:
    log, out = tmp_path / "log", tmp_path / "run"
    command = card(log=str(log))
    result = command("composite", clip.folder, "--model", model, "--out", out, "--device", "cuda", "--format", "none")
    assert result.code == 0, result.output
    record = json.loads((out / "run.json").read_text())
    assert record["cluster"]["gpu_memory"] == MEMORY
    plan = record["plan"]
    assert (plan["workers"], plan["gpus"], plan["batch"], plan["compositing_threads"]) == (1, 1.0, 16, 1)
    limits = [session["provider_options"]["gpu_mem_limit"] for session in cuda_stand_in.sessions(log)]
    assert set(limits) == {str(arena_limit(MEMORY, 1.0))}


@pytest.mark.usefixtures("on_cluster")
def test_nodes_that_do_not_tell_or_have_left_are_unknown() -> None:
    nodes: list[dict[str, str]] = ray.nodes()  # type: ignore[no-untyped-call]
    there = [node["NodeID"] for node in nodes]
    if shutil.which("nvidia-smi") is None:
        assert least_memory(there) == 0
    assert least_memory(["a" * len(there[0])]) == least_memory([]) == 0
