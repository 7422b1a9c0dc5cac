"""Running a program with everything it starts, with a time limit, watched."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.benchmark.memory import Memory, Sampler, family

# After being asked to end, a program has so long to stop what it has started.
GRACE_SECONDS = 15.0
LONGEST_FAULT = 200
# All of a path but its last part.
FOLDERS = re.compile(r"(?<![\w.])(?:/[\w.@+~-]+)*/(?=[\w.@+~-])")


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that is gone, and all its descendants with it.

    Attributes:
        said: its standard output.
        seconds: from its start to its end.
        memory: what it and its descendants held, where the system tells.
        fault: why it did not succeed, one line without folders, or empty.
    """

    said: str
    seconds: float
    memory: Memory | None
    fault: str


def run_process(command: list[str], folder: Path, limit: float) -> Ended:
    """Runs a program to its end.

    Args:
        command: the program and its arguments.
        folder: its working directory, where two files keep what it says.
        limit: seconds after which it is ended.
    """
    paths = folder / "stdout.txt", folder / "stderr.txt"
    # Everybody is alone on this machine: nobody joins a cluster that happens to be there.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    began = time.perf_counter()
    with paths[0].open("wb") as stdout, paths[1].open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment, cwd=folder)
        with _gone_afterwards(process), Sampler(process.pid) as sampler:
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
    seconds = time.perf_counter() - began
    said, errors = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    fault = ""
    if code is None:
        fault = f"was not done after {limit:.0f} s"
    elif code != 0:
        fault = f"ended with {code}: {last_words(errors or said)}"
    return Ended(said, seconds, sampler.memory, fault)


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
                try:
                    member.kill()
                except psutil.Error:
                    continue
            psutil.wait_procs(members, GRACE_SECONDS)
