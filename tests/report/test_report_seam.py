"""The seam of a run: drawn over its frames, with what would hide it."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_run import BEGAN, record, timing, write_run

from actors.core.errors import InputError
from jobs.report.run_data import read_run
from jobs.report.seam_section import MOST_BUCKETS, DrawnSeam, draw_seam
from jobs.report.write import write_report
from jobs.run.record import RunRecord


def record_of(**options: object) -> RunRecord:
    said = record(60)
    return RunRecord.model_validate({**said, "options": {**said["options"], **options}})


def table(*seams: float, first: int = 0, edge: str = "mask") -> pd.DataFrame:
    rows = [asdict(timing(first + i, BEGAN, seam=seam, seam_at=edge)) for i, seam in enumerate(seams)]
    return pd.DataFrame(rows)


def drawn(frames: pd.DataFrame, **options: object) -> DrawnSeam:
    found = draw_seam(frames, record_of(**options))
    assert found is not None
    return found


def heights(path: str) -> list[float]:
    """Percent of the drawing's height at which each step stands, from the top."""
    return [float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)H", path)]


def test_every_frame_has_its_place_and_its_height() -> None:
    found = drawn(table(1.0, 2.0, 4.0, 1.0, first=10))
    assert found.text.startswith("1.50 median, 4.00 at most (frame 12, the mask's edge)")
    assert [text for _, text in found.parts] == ["frame 10: 1.00", "frame 11: 2.00", "frame 12: 4.00", "frame 13: 1.00"]
    assert [box.x for box, _ in found.parts] == [0, 250, 500, 750]
    assert heights(found.path) == [75, 50, 0, 75]
    assert [mark.text for mark in found.marks] == ["0", "1", "2", "3", "4"]
    assert found.along[0].text == "frame 10"
    assert found.visible == 72.5


def test_many_frames_share_parts_and_the_largest_is_seen() -> None:
    seams = [1.0] * 5000
    seams[3210] = 3.0
    found = drawn(table(*seams))
    assert len(found.parts) == MOST_BUCKETS
    assert [text for _, text in found.parts if "3.00" in text] == ["frames 3200 to 3224: 3.00"]
    assert "frame 3210" in found.text


def test_frames_that_are_missing_leave_their_place_empty() -> None:
    frames = table(*[1.0] * 100)
    found = drawn(frames[(frames["frame"] < 20) | (frames["frame"] >= 70)])
    assert sum(box.width for box, _ in found.parts) == pytest.approx(500)


def test_how_patches_were_laid_on_is_said() -> None:
    assert drawn(table(1.0)).how == "Faces were pasted with hard edges."
    everything = {"blend": "feather", "colour_match": True, "smooth_crops": True, "parsing": "/masks"}
    how = drawn(table(1.0), **everything).how
    assert how == "Faces were feathered, colours matched, their boxes smoothed, kept behind a parsing."


@pytest.mark.parametrize(
    ("seams", "options", "words"),
    [
        ([1.0, 1.05, 1.1], {}, []),
        ([1.0, 1.0, 1.0, 2.0], {}, ["Most frames show no edge"]),
        ([1.5, 2.0], {}, ["--blend feather"]),
        ([1.5, 2.0], {"colour_match": True}, ["--blend feather"]),
        ([1.5, 2.0], {"blend": "feather"}, ["--colour-match"]),
        ([1.5, 2.0], {"blend": "feather", "colour_match": True}, ["trained on this clip"]),
    ],
)
def test_advice_is_what_has_not_been_done(seams: list[float], options: dict[str, Any], words: list[str]) -> None:
    advice = drawn(table(*seams), **options).advice
    assert bool(advice) == bool(words)
    assert all(word in advice for word in words)


def test_without_compositing_there_is_nothing_to_draw(tmp_path: Path) -> None:
    assert draw_seam(table(0.0, 0.0, edge=""), record_of()) is None
    rows = [timing(i, BEGAN, seam=0.0, seam_at="") for i in range(4)]
    page = Path(write_report(str(write_run(tmp_path / "run", rows, record(4))))).read_text(encoding="utf-8")
    assert 'id="seam"' not in page


@pytest.mark.parametrize(
    ("seam", "edge"), [(float("nan"), "mask"), (-1.0, "mask"), (1.5, "<b>"), (float("inf"), "inner")]
)
def test_a_table_with_other_seams_is_refused(tmp_path: Path, seam: float, edge: str) -> None:
    run = write_run(tmp_path / "run", [timing(0, BEGAN, seam=seam, seam_at=edge)], record(1))
    with pytest.raises(InputError, match="seams that are no seams"):
        read_run(str(run))
