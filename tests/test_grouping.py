"""The groups of tests that share a process name tests that there are."""

from __future__ import annotations

import ast
from pathlib import Path

import grouping
import pytest

ROOT = Path(__file__).parents[1]
NAMED = [start for starts in grouping.GROUPS.values() for start in starts]


@pytest.mark.parametrize("start", NAMED)
def test_what_a_group_names_is_there(start: str) -> None:
    path, _, name = start.partition("::")
    assert (ROOT / path).exists()
    if name:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert any(node.name.startswith(name) for node in tree.body if isinstance(node, ast.FunctionDef))


def test_whatever_asks_for_a_stand_in_is_in_their_group() -> None:
    paths = {path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)}
    asking = {path for path in paths if "from stand_ins import" in path.read_text(encoding="utf-8")}
    assert asking == {ROOT / start.partition("::")[0] for start in grouping.STAND_INS}
