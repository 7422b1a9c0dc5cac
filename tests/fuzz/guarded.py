"""Runs ``guard.py``: one input read in a process of its own, and what that process did."""

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


def run_guarded(scenario: str, path: Path, outside: Path, *, folder: Path | None = None) -> Report:
    """Reads ``path`` while every file below ``outside`` is watched; ``folder`` is the working directory."""
    done = subprocess.run(
        [sys.executable, GUARD, scenario, path, outside],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(small.ROOT)},
        cwd=folder or "/",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Report(**json.loads(done.stdout))
