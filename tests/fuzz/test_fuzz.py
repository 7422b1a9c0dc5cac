"""Every reader against damaged inputs, thousands in the long run: a result that can be right, or one clear line."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from forked import run_forked
from fuzz_readers import COUNTS
from fuzz_worker import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")

MOST_DEATHS = 5

# Of so many damaged inputs the first is read each time; of networks, whose sessions take longest, fewer.
PART, PART_OF_NETWORKS = 12, 24


@dataclass
class Batch:
    """What became of a reader's mutants.

    Attributes:
        read: how many were accepted or refused.
        accepted: how many of them gave a result.
        problems: everything that must not be, in words.
    """

    read: int = 0
    accepted: int = 0
    problems: list[str] = field(default_factory=list)


def feed(name: str, count: int, folder: Path) -> Batch:
    """Feeds a reader the mutants ``0 <= index < count``; after one that kills the process, goes on with the next."""
    batch = Batch()
    first, deaths = 0, 0
    while first < count:
        inside = folder / str(first) / "in"
        inside.mkdir(parents=True)
        code, said, errors = run_forked(main, name, first, count, inside, folder=inside.parent, seconds=200)
        if code == 0:
            report: dict[str, Any] = json.loads(said)
            outcomes = report["outcomes"]
            batch.read += sum(outcomes.values())
            batch.accepted += outcomes.get("accepted", 0)
            batch.problems += [f"{name} {problem['index']}: {problem['problem']}" for problem in report["problems"]]
            break
        at = inside.parent / "at"
        # A positive code is a traceback of the worker itself; without a place it never came to the first mutant.
        assert code < 0, errors[-3000:]
        assert at.exists(), errors[-3000:]
        index, deaths = int(at.read_text()), deaths + 1
        where = "while its session was built" if (inside.parent / "session").exists() else "while it was read"
        batch.problems.append(f"{name} {index}: {signal.Signals(-code).name} {where}; it is in {inside}")
        assert deaths < MOST_DEATHS, batch.problems
        batch.read += index + 1 - first
        first = index + 1
    return batch


def test_there_are_ten_thousand_mutants() -> None:
    assert sum(COUNTS.values()) >= 10_000


@pytest.mark.parametrize(
    ("name", "count"),
    [(name, count // (PART_OF_NETWORKS if name == "onnx" else PART)) for name, count in COUNTS.items()],
    ids=[*COUNTS],
)
def test_a_damaged_input_gives_a_result_or_one_clear_line(name: str, count: int, tmp_path: Path) -> None:
    check(name, count, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_every_damaged_input_gives_a_result_or_one_clear_line(name: str, tmp_path: Path) -> None:
    check(name, COUNTS[name], tmp_path)


def check(name: str, count: int, folder: Path) -> None:
    batch = feed(name, count, folder)
    assert batch.problems == []
    # All of them were read, and they are neither all hopeless nor all harmless.
    assert batch.read == count
    assert 0 < batch.accepted < batch.read
