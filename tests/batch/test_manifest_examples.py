"""The manifests of docs/batch.md are manifests, and say what the page says of them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from jobs.batch.manifest import Manifest, Row

PAGE = Path(__file__).parents[2] / "docs" / "batch.md"


def example(language: str) -> str:
    """The page's only block of code in that language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return str(block)


def rows(path: Path) -> list[Row]:
    manifest = Manifest.of_file(str(path))
    found = list(manifest.rows())
    assert manifest.check() == len(found)
    return found


@pytest.mark.parametrize(("language", "ending"), [("json", "jsonl"), ("csv", "csv")])
def test_lines_and_csv_are_the_same_three_clips(language: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"clips.{ending}"
    path.write_text(example(language), encoding="utf-8")
    found = rows(path)
    assert [(row.id, row.priority) for row in found] == [("intro", 0), ("news", 10), ("ben-ben", 0)]
    assert found[0].values == {"clip": f"{tmp_path}/avatars/anna", "audio": f"{tmp_path}/voices/intro.wav"}
    assert found[2].values["video"] is True
    assert found[2].values["features"] == f"{tmp_path}/voices/ben.npy"


def test_pandas_writes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "example.py").write_text(example("python"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    found = rows(tmp_path / "clips.parquet")
    assert [row.id for row in found] == ["intro", "news", "weather"]
    assert {row.values["clip"] for row in found} == {f"{tmp_path}/avatars/anna"}
