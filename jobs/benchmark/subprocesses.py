"""Running a program with everything it starts, with a time limit, watched."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.benchmark.memory import Memory, Sampler, family

# After being asked to end, a program has so long to stop what it has started.
GRACE_SECONDS = 15.0
LONGEST_FAULT = 200
# What every program is given: on a GPU "fp32" means ten bits of mantissa to nobody, as it does not in ours.
ALIKE = {"NVIDIA_TF32_OVERRIDE": "0"}
# All of a path but its last part.
FOLDERS = re.compile(r"(?<![\w.])(?:/[\w.@+~-]+)*/(?=[\w.@+~-])")


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that is gone, and all its descendants with it."""

    said: str  # on standard output
    memory: Memory | None  # what they held, where the system tells
    fault: str  # why it did not succeed, one line without folders, or empty


def run_process(command: list[str], folder: Path, limit: float) -> Ended:
    """Runs a program to its end, or for ``limit`` seconds, in a folder where two files keep what it says."""
    paths = folder / "stdout.txt", folder / "stderr.txt"
    # Everybody is alone on this machine: nobody joins a cluster that happens to be there.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | ALIKE
    with paths[0].open("wb") as stdout, paths[1].open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment, cwd=folder)
        with _gone_afterwards(process), Sampler(process.pid) as sampler:
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
    said, errors = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    failed = f"ended with {code}: {last_words(errors or said)}" if code else ""
    return Ended(said, sampler.memory, f"was not done after {limit:.0f} s" if code is None else failed)


def last_words(text: str) -> str:
    """The last line of what a program said, in few characters and without folders."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return FOLDERS.sub("", lines[-1])[-LONGEST_FAULT:] if lines else "without a word"


@contextmanager
def _gone_afterwards(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends a program that is still running, and whatever it has started."""
    try:
        yield
    finally:
        if process.poll() is None:
            members = family(psutil.Process(process.pid))
            process.terminate()
            # Not by the process's own `wait`: an interrupt may have come while that held its lock, which stays held.
            psutil.wait_procs(members[:1], GRACE_SECONDS)
            for member in members:
                with suppress(psutil.Error):
                    member.kill()
            psutil.wait_procs(members, GRACE_SECONDS)
