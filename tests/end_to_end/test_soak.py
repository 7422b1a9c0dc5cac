"""A short soak of a small clip: the long one is a command of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import small
from rich.console import Console

from jobs.diagnostics.endurance import soak


# A soak goes on until a worker and a driver were killed; the short one's seed gives each driver a single worker.
@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "seed"), [(0.01, 15), pytest.param(2, 0, marks=pytest.mark.timeout(900))])
def test_a_soak_loses_nothing(minutes: float, seed: int, clip: small.SmallClip, model: Path, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+") as said:
        tally = soak(
            clip.folder, model, tmp_path, minutes=minutes, kill_every=0.2, seed=seed, console=Console(file=said)
        )
        said.seek(0)
        lines = said.readlines()
    assert tally.renders == len(lines) > 0
    assert tally.workers_killed > 0
    assert tally.drivers_killed > 0
    assert tally.frames_checked == tally.renders * small.ROWS
    assert (tally.frames_lost, tally.stops) == (0, 0), tally.last_stop
    assert tally.memory_start > 0
    assert tally.memory_end > 0
