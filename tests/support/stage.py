"""A stage for faults: one run in a folder of its own, what a test may do to it, and the proof that nothing was lost."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faulty
import in_process
import numpy as np
import pandas as pd
import psutil
import pytest
import reference
import small
from clusters import CONFIG, join, start_head
from ray.cluster_utils import Cluster
from small import Result, SmallClip

import jobs.run.engine
from jobs.run.verification import verify_run

ROWS = 120

# For runs in which nobody dies: starting another worker takes longer than what it would render.
ONE_WORKER = ("--workers", 1)

# Ends a wait for something that must come: far above what it takes, below the suite's own limit for a test.
SECONDS = 120.0


@dataclass(frozen=True)
class Obeyed:
    """An order that a worker obeyed: which, at which frame, and the worker's process."""

    kind: str
    frame: int
    pid: int


@dataclass(frozen=True)
class Death:
    """A worker that died: its process, ``None`` if it had not become ready, and the reason."""

    pid: int | None
    reason: str


class Stage:
    """A run that can be disturbed.

    Attributes:
        folder: the test's own folder.
        run: the run's folder in it.
        clip: what is rendered.
        address: the cluster that it is rendered on.
    """

    def __init__(
        self,
        folder: Path,
        clip: SmallClip,
        model: Path,
        undisturbed: dict[int, np.ndarray],
        address: str,
    ) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.clip = clip
        self.address = address
        self._base = ["--model", model, "--out", self.run, "--device", "cpu"]
        self._undisturbed = undisturbed
        (folder / "faults").mkdir()

    def render(self, *flags: object, clip: Path | None = None, at: str | None = None) -> Result:
        """Runs ``composite`` in this process, with workers that obey; ``at`` another cluster's address."""
        if at is None:
            join(self.address)
        address = ("--address", at or self.address)
        return in_process.command("composite", clip or self.clip.folder, *self._base, *flags, *address)

    def start(self, *flags: object, before: Collection[str] = ()) -> subprocess.Popen[str]:
        """Starts ``composite`` in a process of its own, with workers that obey.

        Args:
            flags: of the command, ``--address`` among them where it is to join a cluster.
            before: a command that executes the one given to it.
        """
        command = [*before, sys.executable, faulty.__file__, "composite", self.clip.folder, *self._base, *flags]
        return subprocess.Popen(
            [*map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def order(self, *faults: str, said: str = "") -> None:
        for fault in faults:
            (self.folder / "faults" / fault).write_text(said)

    def withdraw(self, fault: str) -> None:
        (self.folder / "faults" / fault).unlink()

    def obeyed(self) -> list[Obeyed]:
        """What was obeyed, in order."""
        mark = self.folder / "obeyed"
        lines = mark.read_text().splitlines() if mark.exists() else []
        return [Obeyed(kind, int(frame), int(pid)) for kind, frame, pid in map(str.split, lines)]

    def pids(self) -> list[int]:
        """The processes that obeyed."""
        return [order.pid for order in self.obeyed()]

    def fragments(self) -> list[Path]:
        return sorted((self.run / "timings").glob("[0-9]*.parquet"))

    def table(self) -> pd.DataFrame:
        """The recorded frames, by number."""
        tables = [pd.read_parquet(path) for path in self.fragments()]
        return pd.concat(tables).set_index("frame").sort_index() if tables else pd.DataFrame()

    def frame(self, index: int) -> Path:
        return self.run / "frames" / f"frame_{index:06d}.png"

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.run / "run.json").read_text())
        return record

    def check_whole(self, frames: Collection[int] = range(ROWS)) -> None:
        """These frames are there, equal the reference and stand in exactly one fragment; nothing else lies about."""
        self.check_frames(frames)
        listed = [frame for path in self.fragments() for frame in pd.read_parquet(path)["frame"]]
        assert sorted(listed) == sorted(frames)
        assert verify_run(str(self.run)).whole

    def check_frames(self, frames: Collection[int]) -> None:
        """Exactly these frames are there, and each equals the reference."""
        got = small.read_frames(self.run)
        assert sorted(got) == sorted(frames)
        assert [i for i in frames if not np.array_equal(got[i], self._undisturbed[i])] == []

    def deaths(self) -> list[Death]:
        """What the record says of workers that died."""
        return [Death(death["pid"], death["reason"]) for death in self.record["deaths"]]

    def check_deaths(self, *pids: int, reason: str = "", alone: bool = True) -> None:
        """These processes died, and what they left was given out again.

        Args:
            pids: of workers that had become ready, one for each death.
            reason: part of the reason of every death.
            alone: nobody else died.
        """
        record = self.record
        deaths = self.deaths()
        died = Counter(death.pid for death in deaths)
        assert died == Counter(pids) if alone else died >= Counter(pids), deaths
        assert all(reason in death.reason for death in deaths)
        assert {worker["pid"] for worker in record["workers_ready"]}.issuperset(pids)
        for pid in pids:
            wait_for(partial(is_gone, pid))
        again = [range(*frames) for frames in record["retried"]]
        assert again
        # A frame at which a process died is among them, and what stands there came from another process.
        rendered = self.table()["pid"].to_dict()
        for order in self.obeyed():
            if order.pid in pids:
                assert any(order.frame in span for span in again)
                assert rendered.get(order.frame) != order.pid

    def check_stopped(self, result: Result, reason: str) -> dict[Path, int]:
        """The run ended with the reason, and what it had done is intact.

        Returns:
            What `done` says.
        """
        assert result.code == 3, result.output
        assert reason in result.output
        assert "run the same command again" in result.output
        assert "Traceback" not in result.output
        verdict = verify_run(str(self.run))
        assert verdict.damaged == ()
        done = self.done()
        assert 0 < len(done) == verdict.intact < verdict.expected
        return done

    def done(self) -> dict[Path, int]:
        """The files of the recorded frames, each with the time of its writing."""
        return {path: path.stat().st_mtime_ns for path in map(self.frame, self.table().index)}

    def check_resumes(self, done: dict[Path, int], *flags: object, clip: Path | None = None) -> None:
        """The same command, with other flags where they may differ, renders what is not done, and only that."""
        result = self.render(*ONE_WORKER, *flags, clip=clip)
        assert result.code == 0, result.output
        assert f"{len(done)} of {ROWS} done, rendering {ROWS - len(done)}" in result.output
        assert {path: path.stat().st_mtime_ns for path in done} == done
        self.check_whole()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Waits for what must come; fails if it does not, or if the process ends before."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not come"
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the run ended too early, with {process.returncode}: {process.communicate()[0]}")
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> SmallClip:
    """The small clip with features and sound for `ROWS` frames."""
    clip = small.write_dataset(tmp_path_factory.mktemp("long") / "clip")
    features = small.feature_rows(ROWS)
    np.save(clip.folder / "aud_ave.npy", features)
    small.write_tone(clip.folder / "aud.wav", ROWS / 25)
    return SmallClip(clip.folder, clip.frames, clip.boxes, features)


@pytest.fixture(scope="session")
def undisturbed(long_clip: SmallClip, model: Path) -> dict[int, np.ndarray]:
    rendered = reference.render(long_clip.frames, long_clip.boxes, long_clip.features, model)
    return {index: frame for index, _, frame in rendered}


@pytest.fixture
def stage(
    cluster: Cluster,
    long_clip: SmallClip,
    model: Path,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    """A run on the suite's cluster."""
    monkeypatch.setattr(jobs.run.engine, "Compositor", faulty.FaultyCompositor)
    return Stage(tmp_path, long_clip, model, undisturbed, cluster.address)


@pytest.fixture(scope="session")
def bare_cluster() -> Iterator[Cluster]:
    """A head that does not render; each test adds the nodes it needs."""
    # A node that is killed is missed within five of these periods, not within a quarter of a minute. Half of that took
    # nodes for dead that a busy machine had kept from answering.
    missing = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}
    started = start_head(num_cpus=0, object_store_memory=100 << 20, _system_config={**CONFIG, **missing})
    yield started
    started.shutdown()


class Nodes:
    """Nodes of one core each, beside a head that does not render."""

    def __init__(self, cluster: Any) -> None:  # noqa: ANN401 - Ray's test helper is untyped
        self._cluster = cluster
        self._there: list[Any] = []
        self.head: str = cluster.head_node.node_id
        self.address: str = cluster.address

    def add(self, **how: Any) -> Any:  # noqa: ANN401
        """Starts a node and waits until it is there; ``how`` as `Cluster.add_node` takes it."""
        node = self._cluster.add_node(**{"num_cpus": 1, "object_store_memory": 100 << 20, **how})
        self._there.append(node)
        return node

    def kill(self, node: Any) -> None:  # noqa: ANN401
        """Ends all processes of a node without grace."""
        self._there.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def clear(self) -> None:
        """Ends all of them, and waits until the head knows, so that nothing is offered to the next run there."""
        for node in self._there:
            self._cluster.remove_node(node)
        self._there.clear()
        nodes = self._cluster.global_state.node_table
        wait_for(lambda: [node["NodeID"] for node in nodes() if node["Alive"]] == [self.head])


@pytest.fixture
def nodes(bare_cluster: Cluster) -> Iterator[Nodes]:
    added = Nodes(bare_cluster)
    yield added
    added.clear()


@pytest.fixture
def stage_on_nodes(stage: Stage, nodes: Nodes) -> Stage:
    """A run on the nodes that the test adds."""
    stage.address = nodes.address
    return stage
