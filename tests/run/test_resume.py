"""Looking at an earlier run before anything is started: what is told, and what refuses to go on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from made_run import BEGAN, one_range, record, write_run
from rich.console import Console

from actors.core.choices import ImageFormat
from actors.core.errors import InputError
from actors.core.ranges import FrameRange
from actors.files.run_folder import RunFolder
from jobs.run.ledger import Ledger
from jobs.run.resume import FAULTS_SHOWN, audit_run


def look(run: Path) -> tuple[list[int], str]:
    """What is left to do of 40 frames, and what is said."""
    console = Console(file=io.StringIO(), width=200)
    folder = RunFolder.at(run)
    ledger = Ledger(folder, ImageFormat.JPG, None)
    todo = audit_run(ledger, FrameRange(0, 40), folder, console).frames
    assert isinstance(console.file, io.StringIO)
    return todo, console.file.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose 40 frames are recorded with other sizes than their files have, and whose last fragment is torn."""
    run = write_run(tmp_path / "run", one_range(0, 40, BEGAN), record(40))
    (run / "timings" / "000000040-000000050.parquet").write_bytes(b"torn")
    return run


def test_what_was_lost_is_told_in_a_few_lines(run: Path) -> None:
    todo, said = look(run)
    assert todo == [*range(40)]
    assert said.count("bytes instead of") == FAULTS_SHOWN
    assert f"and {40 + 1 - FAULTS_SHOWN} more of these" in said
    assert said.endswith("0 of 40 done, rendering 40\n")


@pytest.mark.parametrize("name", ["frames", "timings", "segments", "features"])
def test_a_folder_that_cannot_be_looked_into_says_nothing_of_its_frames(run: Path, name: str) -> None:
    """Whether it is a file, lost permission or is a mount that is away: nothing is taken for lost."""
    before = {path.name: path.read_bytes() for path in (run / "timings").iterdir()}
    if (run / name).exists():
        (run / name).rename(run / "aside")
    (run / name).touch()
    with pytest.raises(InputError, match="cannot be read") as caught:
        look(run)
    assert name in caught.value.problem
    kept = run / ("aside" if name == "timings" else "timings")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
