"""Runs ``guard.py``: inputs read in a process of their own, and what that process did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import small

GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Report:
    """What a guarded process did.

    Attributes:
        outcome: what it read, or ``refused: `` and the message.
        outside: names of the watched files that anyone in it opened.
        opened: everything that Python opened.
        done: what else Python did that readers must not.
        grown: bytes by which its peak of resident memory grew.
    """

    outcome: str
    outside: list[str]
    opened: list[str]
    done: list[str]
    grown: int


def run_guarded(outside: Path, *jobs: tuple[str, Path, Path]) -> list[Report]:
    """Does the jobs, each a scenario, its input and its working directory; files below ``outside`` are watched."""
    done = subprocess.run(
        [sys.executable, GUARD, outside, json.dumps([[str(part) for part in job] for job in jobs])],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(small.ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [Report(**json.loads(line)) for line in done.stdout.splitlines()]
