"""Runs ``guard.py``: inputs read in a process of their own, and what that process did."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from forked import run_forked
from guard import main


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
    with tempfile.TemporaryDirectory() as folder:
        words = [tuple(map(str, job)) for job in jobs]
        code, said, errors = run_forked(main, outside, *words, folder=Path(folder), seconds=120)
    assert code == 0, errors[-3000:]
    return [Report(**json.loads(line)) for line in said.splitlines()]
