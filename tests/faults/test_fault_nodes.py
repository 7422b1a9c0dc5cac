"""Nodes that go and come, and what one node runs out of, on a real cluster whose head does not render."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import faulty
import psutil
import pytest
import ray
from disturbance import Disturbance, before_loads
from ray._common.utils import get_system_memory
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from stage import Nodes, Stage

import jobs.planning.preparation
import jobs.run.engine
import jobs.scheduling.block_loading
import jobs.scheduling.dispatcher
from actors.core.kind import ModelKind
from actors.core.ranges import ClipBlock
from actors.rendering.blocks import Block, BlockReceipt, BlockRequest, load_block
from jobs.planning.block_plan import BlockPlan
from jobs.scheduling.awake_clock import AwakeClock
from jobs.scheduling.job_spec import JobSpec
from jobs.scheduling.pending_calls import PendingLoad
from jobs.scheduling.scheduler import Patience

# Ten blocks of two backgrounds, all held at once.
TEN_BLOCKS = BlockPlan(2, 10, 10, 1 << 20)

# What others on the machine may take or give back while the test runs, and the most that the test itself takes.
MARGIN = 3 << 29
MOST = 3 << 30


def test_lost_blocks_are_loaded_again(stage_on_nodes: Stage, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node that holds the backgrounds goes before they are used, and Ray may not rebuild them."""
    stage = stage_on_nodes
    nodes.add()
    holder = nodes.add(num_cpus=0)

    class Losing(Disturbance):
        """No worker gets ready before all blocks are loaded and their node is gone."""

        lost = False

        def change(self, job: JobSpec) -> JobSpec:
            return replace(before_loads(job, asked.add), nodes=(holder.node_id,))

        def tick(self) -> None:
            loading = any(isinstance(call, PendingLoad) for call in self.dispatcher.calls)
            if not self.lost and len(asked) == TEN_BLOCKS.count and not loading:
                nodes.kill(holder)
                stage.withdraw("wait-prepare")
                self.lost = True

    asked: set[ClipBlock] = set()
    monkeypatch.setattr(jobs.planning.preparation, "plan_blocks", lambda *_: TEN_BLOCKS)
    monkeypatch.setattr(jobs.scheduling.block_loading, "LOAD_RETRIES", 0)
    Losing().install(monkeypatch)
    stage.order("wait-prepare")
    result = stage.render()
    assert result.code == 0, result.output
    assert stage.record["blocks_lost"] > 0
    assert stage.record["retried"]
    assert stage.record["deaths"] == []
    stage.check_whole()


def test_a_node_goes_without_a_word(stage_on_nodes: Stage, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker is held in the middle of a range, so that it cannot go between two; another node takes its place."""
    stage = stage_on_nodes
    lost = nodes.add()

    class Losing(Disturbance):
        gone = False

        def tick(self) -> None:
            if not self.gone and stage.obeyed():
                nodes.add()
                nodes.kill(lost)
                self.gone = True

    Losing().install(monkeypatch)
    stage.order("hang-5")
    result = stage.render()
    assert result.code == 0, result.output
    # Until Ray has noticed, a replacement may be sent to the lost node and die there before it is ready. No other may.
    stage.check_deaths(*stage.pids(), alone=False)
    assert {death.pid for death in stage.deaths()} <= {*stage.pids(), None}, stage.deaths()
    assert lost.node_id not in set(stage.table()["node"])
    stage.check_whole()


def test_a_cluster_that_grows_is_used(stage_on_nodes: Stage, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only worker hangs at once; what is rendered before it is killed comes from the node that was added."""
    stage = stage_on_nodes
    first = nodes.add()

    class Growing(Disturbance):
        grown = killed = False

        def tick(self) -> None:
            if stage.obeyed() and not self.grown:
                nodes.add()
                self.grown = True
            elif self.grown and not self.killed and stage.fragments():
                assert first.node_id not in set(stage.table()["node"])
                os.kill(stage.pids()[0], signal.SIGKILL)
                self.killed = True

    Growing().install(monkeypatch)
    stage.order("hang-5")
    result = stage.render()
    assert result.code == 0, result.output
    stage.check_deaths(*stage.pids())
    assert {worker["worker"] for worker in stage.record["workers_ready"]} == {0, 1}
    stage.check_whole()


def test_blocks_are_not_loaded_where_no_worker_has_become_ready(
    stage_on_nodes: Stage, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that joins late may lack the clip: its worker would say so. This one gets none."""
    stage = stage_on_nodes
    first = nodes.add()
    loaded_on: set[str] = set()

    class Growing(Disturbance):
        grown = looked = False

        def change(self, job: JobSpec) -> JobSpec:
            return before_loads(job, lambda _: loaded_on.update(self.dispatcher.blocks.nodes))

        def tick(self) -> None:
            if self.grown and not self.looked:
                assert len(self.dispatcher.job.cluster_resources().rendering) == 2
                stage.withdraw("wait-5")
                self.looked = True
            elif stage.obeyed() and not self.grown:
                nodes.add()
                self.grown = True

    monkeypatch.setattr(jobs.planning.preparation, "plan_blocks", lambda *_: replace(TEN_BLOCKS, capacity=3))
    monkeypatch.setattr(jobs.scheduling.dispatcher, "LOOK_SECONDS", 0.0)
    Growing().install(monkeypatch)
    stage.order("wait-5")
    result = stage.render("--workers", 1)
    assert result.code == 0, result.output
    assert loaded_on == {first.node_id}
    stage.check_whole()


def test_a_hung_worker_is_replaced(stage_on_nodes: Stage, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another one that gets the node's only core: that is free once the hung process is really gone.

    The clock is put forward past the scheduler's patience.
    """
    stage = stage_on_nodes
    nodes.add()

    class Forward(AwakeClock):
        def now(self) -> float:
            return super().now() + (Patience().least + 1 if stage.obeyed() else 0)

    monkeypatch.setattr(jobs.scheduling.dispatcher, "AwakeClock", Forward)
    stage.order("hang-33")
    result = stage.render()
    assert result.code == 0, result.output
    stage.check_deaths(*stage.pids(), reason="made no progress for 600 s")
    stage.check_whole()


@pytest.mark.skipif(psutil.virtual_memory().available < 2 * MOST, reason="too little memory to run short of it")
def test_a_worker_is_killed_for_want_of_memory(stage_on_nodes: Stage, nodes: Nodes) -> None:
    """By Ray's own monitor: the worker takes memory until the node counts as full.

    The monitor looks at the whole machine. Where others take gigabytes in these seconds, innocent workers are killed
    too; where they give back as much, nobody is, and the test begins anew.
    """
    stage = stage_on_nodes
    for _ in range(3):
        full = faulty.used_memory() + MARGIN
        node = nodes.add(env_vars={"RAY_memory_usage_threshold": str(full / get_system_memory())})
        stage.order("allocate-12", said=f"{full + faulty.STEP} {MOST}")
        result = stage.render("--restart")
        if result.code == 0 and stage.pids()[-1] in [death.pid for death in stage.deaths()]:
            break
        nodes.kill(node)
    assert result.code == 0, result.output
    stage.check_deaths(stage.pids()[-1], reason="OutOfMemoryError", alone=False)
    stage.check_whole()


@contextmanager
def gone(folder: Path) -> Iterator[None]:
    """Puts a file where a folder was."""
    shutil.rmtree(folder)
    folder.touch()
    yield
    folder.unlink()
    folder.mkdir()


@pytest.mark.parametrize("at", ["the loader", "the worker"])
def test_the_object_store_is_full(
    at: str, stage_on_nodes: Stage, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there is nowhere to move anything: the disk counts as full, and the folder to spill to has gone.

    Blocks are loaded on the worker's node, which cannot hold another, or elsewhere, and cannot be brought to it.
    """
    stage = stage_on_nodes
    spill = tmp_path / "spill"
    node = nodes.add(object_spilling_directory=str(spill), env_vars={"RAY_local_fs_capacity_threshold": "0.0001"})
    holder = node.node_id if at == "the loader" else nodes.head
    filler: Any = ray.remote(num_cpus=0)(faulty.Filler)
    refused: list[str] = []

    waiting = tmp_path / "waiting"
    waiting.touch()

    def load_later(request: BlockRequest, kind: ModelKind) -> tuple[Block, BlockReceipt]:
        while request.first >= TEN_BLOCKS.frames * TEN_BLOCKS.count // 2 and waiting.exists():
            time.sleep(0.02)
        return load_block(request, kind)

    class Filling(Disturbance):
        """Lets the later blocks wait until frames are done and the store is full."""

        def change(self, job: JobSpec) -> JobSpec:
            def hold(_: ClipBlock) -> None:
                self.dispatcher.blocks.nodes = [holder]

            return replace(before_loads(job, hold), loader=load_later)

        def tick(self) -> None:
            if not refused and self.done:
                here = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
                self.filler: Any = filler.options(scheduling_strategy=here).remote()
                refused.append(str(ray.get(self.filler.fill.remote())))
                waiting.unlink()

    with monkeypatch.context() as filling, gone(spill):
        filling.setattr(jobs.planning.preparation, "plan_blocks", lambda *_: TEN_BLOCKS)
        Filling().install(filling)
        result = stage.render()
    assert refused == ["OutOfDiskError"]
    done = stage.check_stopped(result, "Ray's object store is full, and it cannot move anything to disk")
    assert stage.record["blocks_lost"] == 0
    # The other job has ended with its driver, the disk is mended.
    ray.shutdown()
    stage.check_resumes(done)
