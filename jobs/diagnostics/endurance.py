"""Rendering again and again while workers and drivers are killed, and counting what was lost."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import ray
import xxhash
from rich.console import Console

from actors.core.errors import ExitCode, StoppedError
from actors.files.run_folder import RunFolder
from jobs.cluster.connection import connect
from jobs.cluster.program_files import program_command
from jobs.console import say
from jobs.run.folder import clear
from jobs.run.verification import verify_run

# How often the run is looked at between kills.
LOOK_SECONDS = 0.2

# One kill in this many, the first among them, hits the driver instead of a worker.
DRIVER_SHARE = 4

# Ray names a worker's process after the actor it holds.
WORKER_TITLE = "ray::Compositor"


@dataclass(slots=True)
class Tally:
    """What a soak saw.

    Attributes:
        renders: runs that came to their end and were checked.
        workers_killed: worker processes that were ended by SIGKILL.
        drivers_killed: drivers that were.
        stops: runs that ended by themselves before they were complete, and were started again.
        frames_checked: frames compared with those of an undisturbed run.
        frames_lost: of these, missing or different.
        memory_start: bytes of the cluster's own processes before the first kill.
        memory_end: the same at the end.
        last_stop: the last words of the last run that stopped by itself.
    """

    renders: int = 0
    workers_killed: int = 0
    drivers_killed: int = 0
    stops: int = 0
    frames_checked: int = 0
    frames_lost: int = 0
    memory_start: int = 0
    memory_end: int = 0
    last_stop: str = ""


def soak(
    clip: Path, model: Path, folder: Path, minutes: float, kill_every: float, seed: int, console: Console
) -> Tally:
    """Renders a clip until the time is up and both a worker and a driver were killed: without, nothing was proved.

    Args:
        clip: what is rendered.
        model: the network that renders it.
        folder: where the runs go.
        minutes: how long to go on starting renders.
        kill_every: seconds between two kills, on average; more where workers take long to come back.
        seed: of the choice of victims, moments and layouts.
        console: where each finished render is reported.

    Raises:
        StoppedError: the undisturbed run that all others are compared with did not come about.
    """
    rng = random.Random(seed)  # noqa: S311 - victims need no secrecy
    with connect("local", (), console):
        address = ray.get_runtime_context().gcs_address
        command = [*program_command(), "composite", str(clip), "--model", str(model), "--format", "jpg"]
        command += ["--device", "cpu", "--address", address]
        undisturbed = folder / "undisturbed"
        clear(RunFolder.at(undisturbed))
        with _driver([*command, "--out", str(undisturbed)], folder / "driver.log") as driver:
            if driver.wait() != ExitCode.COMPLETE:
                raise StoppedError("the undisturbed run failed", f"see {folder / 'driver.log'}")
        wanted = _digests(undisturbed)
        tally = Tally(memory_start=_memory())
        kills = _Kills(kill_every, rng, tally)
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end or not (tally.workers_killed and tally.drivers_killed):
            run = folder / "run"
            clear(RunFolder.at(run))
            _render_disturbed([*command, "--out", str(run)], run, kills, rng)
            got = _digests(run)
            verdict = verify_run(str(run))
            lost = sum(got.get(name) != digest for name, digest in wanted.items())
            tally.renders += 1
            tally.frames_checked += len(wanted)
            tally.frames_lost += max(lost, verdict.expected - verdict.intact)
            say(
                console,
                f"render {tally.renders}: {lost} of {len(wanted)} frames lost,"
                f" {tally.workers_killed} workers and {tally.drivers_killed} drivers killed so far",
            )
        tally.memory_end = _memory()
    return tally


class _Kills:
    """The next kill: when it is due and whom it hits.

    Args:
        every: seconds between two kills, on average. They are counted across renders, or those that are shorter than
            this would never be disturbed.
        rng: chooses moments and victims.
        tally: where kills are counted.
    """

    def __init__(self, every: float, rng: random.Random, tally: Tally) -> None:
        self.tally = tally
        self._every = every
        self._rng = rng
        self._next = self._moment()

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def kill(self, driver: subprocess.Popen[bytes]) -> bool:
        """Kills the driver or one of its workers; false if there was nobody yet who renders."""
        workers = _workers()
        if not workers:
            return False
        if (self.tally.workers_killed + self.tally.drivers_killed) % DRIVER_SHARE == 0:
            driver.kill()
            self.tally.drivers_killed += 1
        else:
            try:
                self._rng.choice(workers).kill()
            except psutil.NoSuchProcess:
                return False
            self.tally.workers_killed += 1
        self._next = self._moment()
        return True

    def _moment(self) -> float:
        return time.monotonic() + self._every * self._rng.uniform(0.5, 1.5)


def _render_disturbed(command: list[str], run: Path, kills: _Kills, rng: random.Random) -> None:
    """Starts a run as often as it takes to complete it, killing as it goes.

    Between two kills a range is delivered: where starting a worker takes longer than the time between kills, no run
    would ever be complete.
    """
    log = run.with_name("driver.log")
    delivered = 0
    while True:
        layout = ["--workers", str(rng.randint(1, 3)), "--batch", str(rng.randint(1, 4))]
        with _driver([*command, *layout], log) as driver:
            while driver.poll() is None:
                time.sleep(LOOK_SECONDS)
                if kills.due() and _ranges(run) > delivered and kills.kill(driver):
                    delivered = _ranges(run)
            if driver.returncode == ExitCode.COMPLETE:
                return
            if driver.returncode > 0:
                kills.tally.stops += 1
                kills.tally.last_stop = log.read_text(encoding="utf-8", errors="replace")[-2000:]


def _ranges(run: Path) -> int:
    """How many ranges have been delivered."""
    return len(list(Path(str(RunFolder.at(run).timings)).glob("*.parquet")))


@contextmanager
def _driver(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as driver:
        try:
            yield driver
        finally:
            driver.kill()


def _workers() -> list[psutil.Process]:
    """The processes below this one that hold a compositor."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline() and process.cmdline()[0].startswith(WORKER_TITLE):
                found.append(process)
        except psutil.Error:
            continue  # it ended between the two looks
    return found


def _memory() -> int:
    """Bytes that this process and the cluster's own processes hold alone, renders' drivers and workers not counted."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            if not any(part.startswith("ray::") for part in process.cmdline()[:1]):
                total += process.memory_full_info().uss
        except psutil.Error:
            continue
    return total


def _digests(run: Path) -> dict[str, str]:
    frames = sorted(Path(str(RunFolder.at(run).frames)).glob("frame_*"))
    return {path.name: xxhash.xxh3_128_hexdigest(path.read_bytes()) for path in frames}
