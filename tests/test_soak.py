"""A short soak: the long one is a command of its own."""

from __future__ import annotations

from pathlib import Path

import small


def test_a_short_soak_loses_nothing(tmp_path: Path) -> None:
    result = small.command("soak", "--minutes", 0.1, "--kill-every", 3, "--out", tmp_path / "soak")
    assert result.code == 0, result.output
    assert "frames lost: 0" in result.output
    kills = next(line for line in result.output.splitlines() if line.startswith("kills survived: "))
    workers, drivers = (int(word) for word in kills.split() if word.isdecimal())
    assert workers + drivers > 0
    assert "frames checked: 0" not in result.output
