"""Real faults on a real cluster: processes that die, nodes that go, disks that fill. Nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import faulty
import numpy as np
import pandas as pd
import pytest
import ray
import reference
import small
from ray.cluster_utils import Cluster
from small import Result, SmallClip

import jobs.__main__
import jobs.dispatch
import jobs.render
from actors.backgrounds import load_block
from actors.core.timeline import FrameRange
from jobs.plan import BlockPlan
from jobs.scheduler import Patience
from jobs.verify import verify_run

ROWS = 160
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> SmallClip:
    clip = small.write_dataset(tmp_path_factory.mktemp("long") / "clip")
    features = small.feature_rows(ROWS)
    np.save(clip.folder / "aud_ave.npy", features)
    return SmallClip(clip.folder, clip.frames, clip.rects, features)


@pytest.fixture(scope="module")
def undisturbed(long_clip: SmallClip, model: Path) -> dict[int, np.ndarray]:
    rendered = reference.render(long_clip.frames, long_clip.rects, long_clip.features, model)
    return {index: frame for index, _, frame in rendered}


@pytest.fixture
def base(long_clip: SmallClip, model: Path, tmp_path: Path) -> list[object]:
    (tmp_path / "faults").mkdir()
    return ["composite", long_clip.folder, "--model", model, "--out", tmp_path / "run", "--device", "cpu"]


@pytest.fixture
def here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process, with workers that can be told to fail."""
    monkeypatch.setattr(jobs.dispatch, "Compositor", faulty.FaultyCompositor)

    def command(*arguments: object, address: str = cluster.address) -> Result:
        code = jobs.__main__.run([*map(str, arguments), "--address", address])
        said = capsys.readouterr()
        return Result(code, said.out + said.err)

    return command


def order(tmp_path: Path, *faults: str) -> None:
    for fault in faults:
        (tmp_path / "faults" / fault).touch()


def obeyed(tmp_path: Path) -> list[str]:
    return [line.split()[0] for line in (tmp_path / "obeyed").read_text().splitlines()]


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    return record


def check_whole(run: Path, wanted: dict[int, np.ndarray]) -> None:
    """Every frame is there, equals the reference, and stands in exactly one fragment; nothing else lies about."""
    got = small.read_frames(run)
    assert sorted(got) == sorted(wanted)
    assert [i for i in wanted if not np.array_equal(got[i], wanted[i])] == []
    fragments = [pd.read_parquet(path)["frame"].tolist() for path in (run / "timings").iterdir()]
    assert sorted(frame for fragment in fragments for frame in fragment) == sorted(wanted)
    assert verify_run(str(run)).whole


def finished_fragments(run: Path) -> list[Path]:
    return sorted((run / "timings").glob("[0-9]*.parquet"), key=lambda path: path.stat().st_mtime_ns)


@contextmanager
def meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Runs ``act`` beside the body; it gets an event that is set when the body has ended."""
    ended = threading.Event()
    thread = threading.Thread(target=act, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


def until(condition: Callable[[], bool], ended: threading.Event) -> bool:
    """Waits for a condition; false if the run ends first."""
    while not condition():
        if ended.wait(0.02):
            return False
    return True


def test_workers_that_exit_and_crash(
    base: list[object], here: Run, undisturbed: dict[int, np.ndarray], tmp_path: Path
) -> None:
    order(tmp_path, "exit-10", "segfault-60", "exit-139")
    result = here(*base)
    assert result.code == 0, result.output
    assert sorted(obeyed(tmp_path)) == ["exit", "exit", "segfault"]
    record = record_of(tmp_path / "run")
    assert len(record["deaths"]) == 3
    again = [range(*map(int, name.split(":"))) for name in record["retried"]]
    assert all(any(frame in span for span in again) for frame in (10, 60, 139))
    assert result.output.count("died: worker") == 3
    check_whole(tmp_path / "run", undisturbed)


def test_a_poison_frame_is_isolated(
    base: list[object], here: Run, undisturbed: dict[int, np.ndarray], tmp_path: Path
) -> None:
    order(tmp_path, "poison-7")
    result = here(*base, "--frames", ":24", "--video", "--workers", 1)
    assert result.code == 1, result.output
    assert "frame 7 failed: its worker died 3 times" in result.output
    assert "no video" in result.output
    record = record_of(tmp_path / "run")
    assert [failure["frame"] for failure in record["failures"]] == [7]
    got = small.read_frames(tmp_path / "run")
    assert sorted(got) == [i for i in range(24) if i != 7]
    assert all(np.array_equal(got[i], undisturbed[i]) for i in got)
    # Once the cause is gone, the same command renders exactly that frame.
    (tmp_path / "faults" / "poison-7").unlink()
    result = here(*base, "--frames", ":24")
    assert result.code == 0, result.output
    assert "23 of 24 done, rendering 1" in result.output
    check_whole(tmp_path / "run", {i: undisturbed[i] for i in range(24)})


def test_a_hung_worker_is_replaced(
    base: list[object],
    here: Run,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs.render, "Patience", lambda: Patience(least=4, factor=2))
    order(tmp_path, "hang-33")
    result = here(*base, "--frames", ":60")
    assert result.code == 0, result.output
    assert obeyed(tmp_path) == ["hang"]
    assert "made no progress" in record_of(tmp_path / "run")["deaths"][0]
    check_whole(tmp_path / "run", {i: undisturbed[i] for i in range(60)})


def test_ray_kill(
    base: list[object],
    here: Run,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[int] = []

    class Killing(jobs.dispatch.Dispatcher):
        def _collect(self) -> None:
            super()._collect()
            if len(killed) < 2 and self._scheduler.done > 20 * (len(killed) + 1):
                slot = next(iter(self._actors))
                ray.kill(self._actors[slot])
                killed.append(slot)

    monkeypatch.setattr(jobs.render, "Dispatcher", Killing)
    result = here(*base)
    assert result.code == 0, result.output
    assert len(record_of(tmp_path / "run")["deaths"]) == len(killed) == 2
    check_whole(tmp_path / "run", undisturbed)


def test_lost_blocks_are_loaded_again(
    base: list[object],
    here: Run,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The node that holds the backgrounds goes before they are used, and Ray may not rebuild them."""
    monkeypatch.setattr(jobs.render, "plan_blocks", lambda *_: BlockPlan(2, 10, 10, 1 << 20))
    nodes: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 150 << 20})
    try:
        holder = nodes.add_node(num_cpus=0, object_store_memory=150 << 20)
        nodes.wait_for_nodes()

        class Losing(jobs.dispatch.Dispatcher):
            """Lets no worker start before all blocks are loaded and their node is gone."""

            def __init__(self, *arguments: Any) -> None:  # noqa: ANN401
                super().__init__(*arguments)
                self._load = ray.remote(num_cpus=0, num_returns=2, max_retries=0)(load_block)
                self._nodes = [holder.node_id]
                self.held: list[int] = []

            def _start(self, slot: int) -> None:
                self.held.append(slot)

            def _collect(self) -> None:
                super()._collect()
                loading = any(call[0] == "load" for call in self._waiting.values())
                if self.held and len(self._blocks) == 10 and not loading:
                    nodes.remove_node(holder, allow_graceful=False)
                    for slot in self.held:
                        super()._start(slot)
                    self.held.clear()

        monkeypatch.setattr(jobs.render, "Dispatcher", Losing)
        result = here(*base, address=nodes.address)
        assert result.code == 0, result.output
    finally:
        nodes.shutdown()
    record = record_of(tmp_path / "run")
    assert record["blocks_lost"] > 0
    assert record["retried"]
    assert record["deaths"] == []
    check_whole(tmp_path / "run", undisturbed)


def test_worker_processes_killed_as_they_work(
    base: list[object], here: Run, undisturbed: dict[int, np.ndarray], tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(ended: threading.Event) -> None:
        while len(killed) < 4:
            seen = len(finished_fragments(tmp_path / "run"))
            if not until(lambda: len(finished_fragments(tmp_path / "run")) > seen, ended):  # noqa: B023
                return
            pid = int(pd.read_parquet(finished_fragments(tmp_path / "run")[-1])["pid"].iloc[0])
            if pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    with meanwhile(kill):
        result = here(*base)
    assert result.code == 0, result.output
    assert killed
    assert len(record_of(tmp_path / "run")["deaths"]) >= len(killed) - 1  # the last may die after the last range
    check_whole(tmp_path / "run", undisturbed)


def test_a_node_goes_without_a_word(
    base: list[object],
    here: Run,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its worker is held in the middle of a range, so that it cannot go between two; another node takes its place."""
    nodes: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 150 << 20})
    try:
        lost = nodes.add_node(num_cpus=1, object_store_memory=150 << 20)
        nodes.wait_for_nodes()

        class Losing(jobs.dispatch.Dispatcher):
            held = gone = False

            def _render(self, slot: int, frames: FrameRange, blocks: tuple[int, ...]) -> None:
                if not self.held:
                    order(tmp_path, f"hang-{frames.stop - 1}")
                    self.held = True
                super()._render(slot, frames, blocks)

            def _collect(self) -> None:
                super()._collect()
                if not self.gone and (tmp_path / "obeyed").exists():
                    nodes.add_node(num_cpus=1, object_store_memory=150 << 20)
                    nodes.remove_node(lost, allow_graceful=False)
                    self.gone = True

        monkeypatch.setattr(jobs.render, "Dispatcher", Losing)
        result = here(*base, address=nodes.address)
        assert result.code == 0, result.output
    finally:
        nodes.shutdown()
    record = record_of(tmp_path / "run")
    assert record["deaths"]
    assert record["retried"]
    check_whole(tmp_path / "run", undisturbed)


def test_a_cluster_that_grows_is_used(
    base: list[object],
    here: Run,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The only worker hangs at once; what is rendered before it is killed comes from the node that was added."""
    order(tmp_path, "hang-5")
    run, mark = tmp_path / "run", tmp_path / "obeyed"
    nodes: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 150 << 20})
    try:

        class Growing(jobs.dispatch.Dispatcher):
            grown = killed = False

            def _collect(self) -> None:
                super()._collect()
                if mark.exists() and not self.grown:
                    nodes.add_node(num_cpus=1, object_store_memory=150 << 20)
                    self.grown = True
                elif self.grown and not self.killed and finished_fragments(run):
                    os.kill(int(mark.read_text().split()[1]), signal.SIGKILL)
                    self.killed = True

        monkeypatch.setattr(jobs.render, "Dispatcher", Growing)
        result = here(*base, address=nodes.address)
        assert result.code == 0, result.output
    finally:
        nodes.shutdown()
    assert {worker["worker"] for worker in record_of(run)["workers_ready"]} == {0, 1}
    check_whole(run, undisturbed)


def test_verify_of_a_run_that_wrote_nothing(base: list[object], here: Run, tmp_path: Path) -> None:
    assert here(*base, "--frames", ":5", "--no-composite").code == 0
    verified = small.command("verify", tmp_path / "run")
    assert verified.code == 0
    assert "nothing on disk to compare" in verified.output
    assert "5 of 5 frames are intact" in verified.output


def start_driver(cluster: Cluster, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "jobs", *map(str, arguments), "--address", cluster.address],
        env={**os.environ, "PYTHONPATH": str(small.ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_fragments(driver: subprocess.Popen[bytes], run: Path, count: int) -> None:
    while len(finished_fragments(run)) < count:
        assert driver.poll() is None, "the run ended before it could be disturbed"
        time.sleep(0.02)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_driver_is_ended_and_another_goes_on(
    by: signal.Signals,
    cluster: Cluster,
    base: list[object],
    here: Run,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    driver = start_driver(cluster, *base, "--workers", 1)
    wait_for_fragments(driver, run, 2)
    driver.send_signal(by)
    code = driver.wait(60)
    assert code == (-signal.SIGKILL if by is signal.SIGKILL else 130)
    done = pd.concat(map(pd.read_parquet, finished_fragments(run)))["frame"].tolist()
    kept = {frame: (run / "frames" / f"frame_{frame:06d}.png").stat().st_mtime_ns for frame in done}
    result = here(*base, "--workers", 2, "--batch", 3)
    assert result.code == 0, result.output
    assert f"{len(done)} of {ROWS} done, rendering {ROWS - len(done)}" in result.output
    assert all((run / "frames" / f"frame_{i:06d}.png").stat().st_mtime_ns == at for i, at in kept.items())
    check_whole(run, undisturbed)


def test_output_that_cannot_grow(
    base: list[object], here: Run, undisturbed: dict[int, np.ndarray], tmp_path: Path
) -> None:
    order(tmp_path, "limit-50")
    result = here(*base)
    assert result.code == 3, result.output
    assert "File too large" in result.output
    assert "run the same command again" in result.output
    assert record_of(tmp_path / "run")["status"] == "stopped"
    assert not list((tmp_path / "run" / "frames").glob("frame_000050*"))
    result = here(*base)
    assert result.code == 0, result.output
    check_whole(tmp_path / "run", undisturbed)


def test_frames_damaged_between_runs(
    base: list[object], here: Run, undisturbed: dict[int, np.ndarray], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert here(*base, "--frames", ":40").code == 0
    frames = [run / "frames" / f"frame_{i:06d}.png" for i in range(40)]
    content = bytearray(frames[3].read_bytes())
    content[len(content) // 2] ^= 1
    frames[3].write_bytes(content)
    frames[17].write_bytes(frames[17].read_bytes()[:-9])
    frames[31].unlink()
    (run / "frames" / "frame_000040.png").write_bytes(b"someone else's")
    kept = {path: path.stat().st_mtime_ns for i, path in enumerate(frames) if i not in {3, 17, 31}}
    verified = small.command("verify", run)
    assert verified.code == 1
    for part in ("frame 3: ", "has changed", "frame 17: ", "bytes instead of", "frame 31: ", "is missing", "extra: "):
        assert part in verified.output
    result = here(*base, "--frames", ":40")
    assert result.code == 0, result.output
    assert "37 of 40 done, rendering 3" in result.output
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    # A wider range goes on from what is there, and takes the stranger's place.
    assert here(*base).code == 0
    check_whole(run, undisturbed)


def test_a_video_is_mended_from_its_segments(base: list[object], here: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = [*base, "--frames", ":60", "--format", "none", "--video"]
    assert here(*flags).code == 0
    whole = pictures(run / "video.mp4")
    segments = sorted((run / "segments").iterdir())
    kept = {path: path.stat().st_mtime_ns for path in segments[1:]}
    segments[0].write_bytes(segments[0].read_bytes()[:1000])
    (run / "video.mp4").write_bytes((run / "video.mp4").read_bytes()[:5000])
    damaged = " ".join(verify_run(str(run)).damaged)
    assert "video.mp4 has changed" in damaged
    assert segments[0].name in damaged
    result = here(*flags)
    assert result.code == 0, result.output
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert verify_run(str(run)).whole
    mended = pictures(run / "video.mp4")
    assert len(mended) == len(whole) == 60
    # The mended stretch is cut into other segments, so it is the same pictures, but not the same bits: each is nearer
    # to its own frame than to that frame's neighbour.
    for i in range(59):
        assert np.abs(mended[i].astype(int) - whole[i]).mean() < np.abs(mended[i].astype(int) - whole[i + 1]).mean() / 2


def pictures(video: Path) -> list[np.ndarray]:
    with av.open(str(video)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def test_other_pixels_are_refused_and_named(base: list[object], here: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert here(*base, "--frames", ":8").code == 0
    before = small.contents(run)
    result = here(*base, "--frames", ":8", "--interpolation", "linear", "--loop", "wrap")
    assert result.code == 2
    assert "interpolation was cubic, is linear" in result.output
    assert "loop was bounce, is wrap" in result.output
    assert small.contents(run) == before
    assert here(*base, "--frames", ":8", "--interpolation", "linear", "--restart").code == 0
    assert small.contents(run).keys() == before.keys()
    assert small.contents(run) != before


def test_the_source_goes_away(
    base: list[object],
    here: Run,
    long_clip: SmallClip,
    undisturbed: dict[int, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks of two backgrounds, three at a time: the last ones are read when frames have long been written."""
    monkeypatch.setattr(jobs.render, "plan_blocks", lambda *_: BlockPlan(2, 10, 3, 1 << 20))
    copy = tmp_path / "clip"
    shutil.copytree(long_clip.folder, copy)
    base = [base[0], copy, *base[2:]]
    last = copy / "full_body_img" / "20.png"

    def remove(ended: threading.Event) -> None:
        if until(lambda: len(finished_fragments(tmp_path / "run")) >= 1, ended):
            last.rename(copy / "away")

    with meanwhile(remove):
        result = here(*base)
    assert result.code == 3, result.output
    assert "20.png" in result.output
    (copy / "away").rename(last)
    result = here(*base)
    assert result.code == 0, result.output
    check_whole(tmp_path / "run", undisturbed)
