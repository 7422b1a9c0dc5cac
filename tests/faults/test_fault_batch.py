"""Batches are disturbed: what happens to one clip harms no other, and what ends all is gone on with later."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import batches
import cv2
import faulty
import in_process
import numpy as np
import onnx
import psutil
import pytest
import reference
import small
from clusters import join
from disturbance import Disturbance, before_loads
from ray.cluster_utils import Cluster
from small import Result, SmallClip
from stage import is_gone, wait_for

import jobs.batch.batch_command
import jobs.batch.batch_run
import jobs.batch.open_ahead
import jobs.planning.preparation
import jobs.run.engine
from actors.core.ranges import ClipBlock
from jobs.planning.block_plan import BlockPlan
from jobs.run.verification import verify_run
from jobs.scheduling.job_spec import JobSpec

FRAMES = 12
NAMES = ("a", "b", "c", "d")


class BatchStage:
    """A batch of four recordings of one avatar that can be disturbed."""

    def __init__(
        self, folder: Path, clip: SmallClip, model: Path, address: str, expected: dict[str, dict[int, np.ndarray]]
    ) -> None:
        self.folder, self.clip, self.model, self.address, self.expected = folder, clip, model, address, expected
        self.out = folder / "batch"
        self.manifest = folder / "clips.jsonl"
        self.rows: list[dict[str, object]] = [
            {"id": name, "features": batches.write_features(folder / f"{name}.npy", FRAMES, ord(name))}
            for name in NAMES
        ]
        for name in NAMES:
            (folder / "faults" / name).mkdir(parents=True)

    def command(self, out: Path | None = None) -> tuple[object, ...]:
        batches.write_manifest(self.manifest, self.rows)
        given = ("--clip", self.clip.folder, "--model", self.model, "--out", out or self.out)
        return ("batch", self.manifest, *given, "--device", "cpu", "--address", self.address)

    def render(self, *flags: object) -> Result:
        """Runs ``batch`` in this process, with workers that obey."""
        join(self.address)
        return in_process.command(*self.command(), *flags)

    def start(self, *flags: object) -> subprocess.Popen[str]:
        """Starts ``batch`` in a process of its own, with workers that obey."""
        command = [sys.executable, faulty.__file__, *self.command(), *flags]
        return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def order(self, name: str, *faults: str) -> None:
        for fault in faults:
            (self.folder / "faults" / name / fault).write_text("")

    def withdraw(self, name: str, fault: str) -> None:
        (self.folder / "faults" / name / fault).unlink()

    def obeyed(self) -> list[int]:
        """The processes that obeyed."""
        mark = self.folder / "obeyed"
        return [int(line.split()[2]) for line in mark.read_text().splitlines()] if mark.exists() else []

    def check_whole(self, *names: str) -> None:
        """These clips are as if nothing had happened."""
        table = {row["id"]: row for row in batches.table_of(self.out)}
        for name in names:
            assert (table[name]["state"], table[name]["frames"]) == ("done", FRAMES), table[name]
            self.check_frames(name, range(FRAMES))
            assert verify_run(str(self.out / name)).whole

    def check_frames(self, name: str, frames: Collection[int]) -> None:
        """Exactly these frames of a clip are there, and each equals the reference."""
        got, expected = small.read_frames(self.out / name), self.expected[name]
        assert sorted(got) == sorted(frames)
        assert [i for i in frames if not np.array_equal(got[i], expected[i])] == []

    def check_finished(self) -> None:
        """All clips are, and nothing lies about."""
        self.check_whole(*NAMES)
        assert batches.strays(self.out) == []

    def record(self, name: str) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.out / name / "run.json").read_text())
        return record


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another network than `model`."""
    path = small.write_model(tmp_path_factory.mktemp("other") / "other.onnx")
    network = onnx.load(path)
    (weight,) = [constant for constant in network.graph.initializer if constant.name == "weight"]
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), "weight"))
    onnx.save(network, path)
    return path


@pytest.fixture(scope="module")
def expected(clip: SmallClip, model: Path) -> dict[str, dict[int, np.ndarray]]:
    """The frames of each clip."""

    def frames(name: str) -> dict[int, np.ndarray]:
        features = batches.features_of(FRAMES, ord(name))
        return {i: frame for i, _, frame in reference.render(clip.frames, clip.boxes, features, model)}

    return {name: frames(name) for name in NAMES}


@pytest.fixture
def stage(
    cluster: Cluster,
    clip: SmallClip,
    model: Path,
    expected: dict[str, dict[int, np.ndarray]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> BatchStage:
    """A batch on the suite's cluster."""
    monkeypatch.setattr(jobs.run.engine, "Compositor", faulty.FaultyCompositor)
    return BatchStage(tmp_path, clip, model, cluster.address, expected)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips begin when those before them have nearly ended."""
    monkeypatch.setattr(jobs.batch.open_ahead, "AHEAD_FRAMES", 4)
    monkeypatch.setattr(jobs.batch.open_ahead, "LEAST_OPEN", 1)
    monkeypatch.setattr(jobs.batch.batch_run, "MOST_BEGINNING", 1)


def test_a_worker_dies_and_a_poison_frame_is_its_clips(stage: BatchStage) -> None:
    stage.order("a", "exit-3")
    stage.order("c", "poison-5")
    result = stage.render("--workers", 2)
    assert result.code == 1, result.output
    stage.check_whole("a", "b", "d")
    stage.check_frames("c", set(range(FRAMES)) - {5})
    (row,) = [row for row in batches.table_of(stage.out) if row["id"] == "c"]
    assert (row["state"], row["frames"], row["failed_frames"]) == ("failed", FRAMES - 1, 1)
    assert "frame 5" in row["error"]
    assert "failed: c: " in result.output
    assert stage.record("a")["deaths"]
    stage.withdraw("c", "poison-5")
    again = stage.render("--workers", 1)
    assert again.code == 0, again.output
    stage.check_finished()


def desks() -> list[psutil.Process]:
    """The desks on this process's cluster."""

    def is_desk(process: psutil.Process) -> bool:
        try:
            return bool(process.cmdline()[0].startswith("ray::Desk"))
        except (psutil.Error, IndexError):
            return False

    return [child for child in psutil.Process().children(recursive=True) if is_desk(child)]


@pytest.mark.usefixtures("one_by_one")
def test_desks_die_and_steps_are_done_by_others(stage: BatchStage, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []

    class Killing(Disturbance):
        def tick(self) -> None:
            # While the first clip is begun, and while another is rendered.
            if self.begun() > len(killed):
                found = desks()
                for desk in found:
                    desk.kill()
                killed.append(len(found))

        def begun(self) -> int:
            return int((stage.out / "a").exists()) + int(self.done > 0)

    Killing().install(monkeypatch)
    result = stage.render("--workers", 1)
    assert result.code == 0, result.output
    assert len(killed) == 2
    assert max(killed) == 2
    stage.check_finished()
    # A step that is done again leaves no trace of the first time.
    assert [len(stage.record(name)["attempts"]) for name in NAMES] == [1] * 4


def test_the_source_of_one_clip_goes_away(stage: BatchStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two backgrounds, three at a time: the last one of `b` is read when frames have been written."""
    monkeypatch.setattr(jobs.planning.preparation, "plan_blocks", lambda *_: BlockPlan(2, 10, 3, 1 << 20))
    copy = stage.folder / "copy"
    shutil.copytree(stage.clip.folder, copy)
    # A picture is another, so that nobody shares its blocks.
    cv2.imwrite(str(copy / "full_body_img" / "20.png"), small.picture(77), small.READ_FAST)
    last, away = copy / "full_body_img" / "11.png", copy / "away"
    stage.rows[1]["clip"] = copy

    class Removing(Disturbance):
        def change(self, job: JobSpec) -> JobSpec:
            def remove(block: ClipBlock) -> None:
                if block.number == 5 and last.exists():
                    last.rename(away)

            return before_loads(job, remove)

    with monkeypatch.context() as removing:
        Removing().install(removing)
        result = stage.render("--workers", 1)
    assert result.code == 1, result.output
    stage.check_whole("a", "c", "d")
    (row,) = [row for row in batches.table_of(stage.out) if row["id"] == "b"]
    assert (row["state"], "11.png" in row["error"]) == ("failed", True), row
    away.replace(last)
    again = stage.render("--workers", 1)
    assert again.code == 0, again.output
    stage.check_finished()


def test_an_output_that_cannot_grow_stops_all(stage: BatchStage) -> None:
    stage.order("b", "limit-5")
    result = stage.render("--workers", 1)
    assert result.code == 3, result.output
    assert "File too large" in result.output
    assert "run the same command again" in result.output
    assert "Traceback" not in result.output
    assert {"done", "failed"}.isdisjoint({batches.states_of(stage.out)[name] for name in ("b",)})
    again = stage.render("--workers", 1)
    assert again.code == 0, again.output
    stage.check_finished()


@pytest.mark.usefixtures("one_by_one")
def test_a_disk_is_full_when_a_clip_begins(stage: BatchStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.batch.batch_command, "Desk", faulty.FaultyDesk)
    stage.order("c", "full")
    result = stage.render("--workers", 1)
    assert result.code == 3, result.output
    assert "No space left on device" in result.output
    assert "Traceback" not in result.output
    stage.check_whole("a", "b")
    assert list(batches.states_of(stage.out).values()) == ["done", "done", "stopped", "waiting"]
    stage.withdraw("c", "full")
    again = stage.render("--workers", 1)
    assert again.code == 0, again.output
    stage.check_finished()


def test_drivers_are_ended_and_another_goes_on(stage: BatchStage) -> None:
    for count, (by, name) in enumerate(((signal.SIGKILL, "a"), (signal.SIGINT, "c"))):
        stage.order(name, "hang-7")
        driver = stage.start("--workers", 1)
        wait_for(lambda count=count: len(stage.obeyed()) > count, driver)  # type: ignore[misc]
        driver.send_signal(by)
        said, _ = driver.communicate(timeout=60)
        assert driver.returncode == (-signal.SIGKILL if by is signal.SIGKILL else 130), said
        assert "Traceback" not in said
        wait_for(partial(is_gone, stage.obeyed()[-1]))
        wait_for(lambda: not desks())
    result = stage.render("--workers", 1)
    assert result.code == 0, result.output
    stage.check_finished()
    assert [attempt["status"] for attempt in stage.record("c")["attempts"]][-1] == "complete"


@pytest.mark.slow
def test_ten_drivers_are_killed_at_random(stage: BatchStage) -> None:
    rng = random.Random(20)

    def written() -> int:
        return len([*stage.out.glob("*/frames/frame_*.png")])

    def begun(driver: subprocess.Popen[str], enough: int) -> bool:
        return driver.poll() is not None or (stage.out.exists() and written() >= enough)

    for _ in range(10):
        driver = stage.start("--workers", 1, "--video")
        enough = written() + rng.randint(0, 9)
        wait_for(partial(begun, driver, enough))
        # Whatever it is doing then.
        time.sleep(rng.uniform(0.0, 1.0))
        driver.kill()
        said, _ = driver.communicate(timeout=60)
        assert "Traceback" not in said
        wait_for(lambda: not desks())
    result = stage.render("--workers", 1, "--video")
    assert result.code == 0, result.output
    stage.check_finished()
    assert all((stage.out / name / "video.mp4").is_file() for name in NAMES)


def test_a_network_that_kills_its_workers_harms_no_other(stage: BatchStage, other_model: Path) -> None:
    """Clips of the other network come first and last."""
    for row in stage.rows[0], stage.rows[3]:
        row["model"] = other_model
    for name in "a", "d":
        stage.order(name, "poison-prepare")
    result = stage.render("--workers", 2)
    stage.check_whole("b", "c")
    assert result.code in {1, 3}, result.output
    assert "Traceback" not in result.output
    states = batches.states_of(stage.out)
    assert not {"done"} & {states["a"], states["d"]}
    for name in "a", "d":
        stage.withdraw(name, "poison-prepare")
    again = stage.render("--workers", 2)
    assert again.code == 0, again.output
    assert set(batches.states_of(stage.out).values()) == {"done"}


def test_two_networks_share_the_workers(stage: BatchStage, other_model: Path) -> None:
    for row in stage.rows[1::2]:
        row["model"] = other_model
    result = stage.render("--workers", 2)
    assert result.code == 0, result.output
    stage.check_whole("a", "c")
    features = batches.features_of(FRAMES, ord("d"))
    wanted = reference.render(stage.clip.frames, stage.clip.boxes, features, other_model)
    got = small.read_frames(stage.out / "d")
    assert all(np.array_equal(got[i], frame) for i, _, frame in wanted)
    ready = {name: {worker["pid"] for worker in stage.record(name)["workers_ready"]} for name in NAMES}
    assert all(ready.values())
    assert not (ready["a"] | ready["c"]) & (ready["b"] | ready["d"])
