"""Worker processes that end, crash, hang or are killed: each is seen to be gone, and what it left is rendered again."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from disturbance import Disturbance
from stage import ONE_WORKER, ROWS, Stage

import jobs.run.decide
from jobs.cluster.placement import Placement, place
from jobs.report.write import write_report
from jobs.scheduling.pending_calls import PendingRender

Kill = Callable[[int, Any], None]


def test_workers_that_exit_and_crash(stage: Stage) -> None:
    stage.order("exit-10", "segfault-60", "exit-109")
    result = stage.render()
    assert result.code == 0, result.output
    assert sorted(order.kind for order in stage.obeyed()) == ["exit", "exit", "segfault"]
    stage.check_deaths(*stage.pids())
    assert result.output.count("died: worker") == 3
    stage.check_whole()
    # The report shows where each of them died that had rendered anything.
    seen = set(stage.pids()) & set(stage.table()["pid"])
    page = Path(write_report(str(stage.run))).read_text(encoding="utf-8")
    assert seen
    assert [pid for pid in seen if f"process {pid} died between" not in page] == []


def test_workers_that_die_with_several_ranges_under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beside a GPU, where calls of a worker overlap; then which range has killed it is not known."""
    monkeypatch.setattr(jobs.run.decide, "place", overlapping)
    stage.order("exit-10", "segfault-60", "exit-109")
    result = stage.render("--video")
    assert result.code == 0, result.output
    assert stage.record["plan"]["compositing_threads"] == 2
    assert len(stage.obeyed()) == 3
    stage.check_deaths(*stage.pids())
    stage.check_whole()


def overlapping(*given: Any, **named: Any) -> Placement:  # noqa: ANN401
    return replace(place(*given, **named), compositing_threads=2)


def test_a_poison_frame_is_isolated(stage: Stage) -> None:
    stage.order("poison-7")
    flags = ("--frames", ":24")
    result = stage.render(*flags, "--video", *ONE_WORKER)
    assert result.code == 1, result.output
    assert "frame 7 failed: its worker died 3 times" in result.output
    assert "no video" in result.output
    assert [failure["frame"] for failure in stage.record["failures"]] == [7]
    stage.check_deaths(*stage.pids())
    stage.check_frames([i for i in range(24) if i != 7])
    # Once the cause is gone, the same command renders exactly that frame.
    stage.withdraw("poison-7")
    result = stage.render(*flags, *ONE_WORKER)
    assert result.code == 0, result.output
    assert "23 of 24 done, rendering 1" in result.output
    stage.check_whole(range(24))


def sigkill(pid: int, _actor: Any) -> None:  # noqa: ANN401
    os.kill(pid, signal.SIGKILL)


def ray_kill(_pid: int, actor: Any) -> None:  # noqa: ANN401
    ray.kill(actor)


@pytest.mark.parametrize("kill", [sigkill, ray_kill])
def test_workers_are_killed_as_they_work(kill: Kill, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they are: the driver does not know what a worker is doing when it has it killed."""
    chance = random.Random(3)
    killed: list[int] = []

    class Killing(Disturbance):
        def tick(self) -> None:
            dispatcher = self.dispatcher
            busy = {call.slot for call in dispatcher.calls if isinstance(call, PendingRender)}
            pids = {worker.worker: worker.pid for worker in dispatcher.workers}
            alive = sorted(slot for slot in busy if pids[slot] not in killed)
            # While that much is left, a dead worker is given something to do, so that its death is seen.
            if alive and 10 * (len(killed) + 1) <= self.done < ROWS // 2:
                slot = chance.choice(alive)
                kill(pids[slot], dispatcher.slots[slot].actor)
                killed.append(pids[slot])

    Killing().install(monkeypatch)
    result = stage.render()
    assert result.code == 0, result.output
    assert killed
    stage.check_deaths(*killed)
    stage.check_whole()
