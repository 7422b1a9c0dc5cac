"""The page about a batch and the command: every clip is there, whatever became of it, and nothing in a file can act."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import in_process
import pytest
from made_run import BEGAN, DIED, one_range, record, write_run
from page_reader import Reader

from actors.core.errors import InputError
from actors.files import storage
from jobs.report import batch_data
from jobs.report.batch_page import open_seconds, write_batch_report
from jobs.run.clip_table import ClipState, ClipStatus, ClipTable

DONE, FAILED, STOPPED, WAITING = ClipStatus.DONE, ClipStatus.FAILED, ClipStatus.STOPPED, ClipStatus.WAITING


def clip(folder: Path, place: int, **changes: Any) -> ClipState:  # noqa: ANN401 - any part of the record
    """A clip of 20 frames that two workers share: 10 frames each, 65 ms a frame, one clip after the other."""
    began = BEGAN + place * 0.7
    rows = [
        *one_range(0, 10, began),
        *one_range(10, 10, began + 0.02, worker=1, pid=200),
    ]
    name = f"clip-{place}"
    write_run(folder / name, rows, record(20, **changes))
    return ClipState(name, DONE, 20, 0, 0.68, 29.4, began, began + 0.68, options="ab")


def batch_of(folder: Path, *states: ClipState) -> Path:
    folder.mkdir(exist_ok=True)
    ClipTable(storage.locate(str(folder)), states).write()
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips that are done, one whose worker died, one that failed, one that stopped and one that waits."""
    folder = tmp_path_factory.mktemp("batch") / "monday"
    done = [clip(folder, place) for place in range(3)]
    (folder / "clip-1" / "report.html").write_text("a page")
    died = clip(folder, 3, deaths=[DIED | {"pid": 200, "worker": 1}])
    return batch_of(
        folder,
        *done,
        died,
        ClipState("no clip", FAILED, error="avatar: no such file; check the path"),
        ClipState("poisoned", FAILED, 19, 1, 1.0, 19.0, BEGAN + 3, BEGAN + 4, "frame 7: the network gives nan"),
        ClipState("later", STOPPED, 0, started=BEGAN + 3.5, ended=BEGAN + 4),
        ClipState("last"),
    )


def page_of(batch: Path) -> Reader:
    path = Path(write_batch_report(str(batch)))
    assert path == batch / "report.html"
    return Reader(path.read_text(encoding="utf-8"))


def test_every_clip_and_every_figure_is_there(mixed: Path) -> None:
    page = page_of(mixed)
    for promised in (
        "/monday",
        "✗ stopped",
        "A mouthpiece batch, begun 2026-11-18 11:06 UTC",
        "2 clips are not finished. The same command goes on.",
        "1 clip is left out of pictures and timeline: the runs cannot be read.",
        "clips done 4 of 8 2 failed",
        "frames 99 1 failed",
        # 0.0 to 2.78 s without 20 ms between clips, and 3.0 to 4.0 s.
        "time 3.72 s in which at least one clip was open",
        "fps 26.6 all frames over this time",
        "no clip avatar: no such file; check the path poisoned frame 7: the network gives nan",
        # Ranges take 0.65 s.
        "worker 0 40 frames of 4 clips, busy 94% of the time",
        "worker 1 40 frames of 4 clips, busy 94% of the time; process 200 died between 2.77 and 2.77 s",
        "Frames per second over 2.77 s: 28.9 on average",
        "clip-0 ✓ done 20 0.68 s 29.4 2026-11-18 11:06 UTC",
        "poisoned frame 7: the network gives nan ! failed 19 1 1.00 s 19.0",
        "last … waiting 0",
    ):
        assert promised in page.text, (promised, page.text)
    # A bar for each clip of each worker, in colours that change.
    bars = [attributes["class"] for tag, attributes in page.tags if tag == "rect" and attributes["class"] != "hit"]
    assert bars == ["clip0", "clip1", "clip2", "clip3"] * 2
    pictures = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert pictures == [f"clip-{place}, output frame 10" for place in range(4)]


def test_pages_that_there_are_are_linked(mixed: Path) -> None:
    links = [attributes["href"] for tag, attributes in page_of(mixed).tags if tag == "a"]
    assert links == ["clip-1/report.html"] * 2  # picture and table


def test_the_same_batch_gives_the_same_page(mixed: Path) -> None:
    first = Path(write_batch_report(str(mixed))).read_bytes()
    assert Path(write_batch_report(str(mixed))).read_bytes() == first


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([DONE, DONE], "✓ complete"),
        ([DONE, FAILED], "! 1 clip failed"),
        ([WAITING, FAILED], "… not finished"),
        ([WAITING, STOPPED], "✗ stopped"),
    ],
)
def test_how_the_whole_ended(tmp_path: Path, states: list[ClipStatus], said: str) -> None:
    page = page_of(batch_of(tmp_path / "b", *(ClipState(f"c{i}", state) for i, state in enumerate(states))))
    assert f"{tmp_path.name}/b {said} A mouthpiece batch" in page.text
    assert "Who worked when" not in page.text


EVIL = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*191 }}"


def test_whatever_files_say_is_text(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    name = EVIL.replace("/", "%")
    state = clip(folder, 0)
    (folder / "clip-0").rename(folder / name)
    (folder / name / "report.html").write_text("x")
    page = page_of(batch_of(folder, ClipState(name, FAILED, 20, 1, error=EVIL, started=state.started)))
    assert not [tag for tag, _ in page.tags if tag == "script"]
    for tag, attributes in page.tags:
        assert not [one for one in attributes if one.startswith("on")]
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:image/jpeg;base64,")
        if tag == "a":
            assert "%3Cscript%3E" in (attributes["href"] or "")
            assert "%25title" in (attributes["href"] or "")
    assert page.text.count(EVIL) == 2


def test_large_batches_have_bounded_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in {"MOST_READ": 3, "MOST_PICTURES": 2}.items():
        monkeypatch.setattr(batch_data, name, most)
    monkeypatch.setattr("jobs.report.batch_page.MOST_ROWS", 4)
    folder = tmp_path / "b"
    states = [clip(folder, place) for place in range(5)]
    page = page_of(batch_of(folder, *states, *(ClipState(f"bad {i}", FAILED, error="no") for i in range(60))))
    assert "2 clips are left out of pictures and timeline: the first 3 are shown." in page.text
    assert "61 more clips are not listed" in page.text
    assert "10 more failed" in page.text
    assert [tag for tag, _ in page.tags].count("img") == 2
    assert "30 frames of 3 clips" in page.text


def test_long_clips_are_looked_into_up_to_so_many_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_data, "MOST_FRAMES", 45)
    folder = tmp_path / "b"
    batch_of(folder, *(clip(folder, place) for place in range(3)))
    assert list(batch_data.read_batch(storage.locate(str(folder))).work) == ["clip-0", "clip-1"]


def test_commands_of_another_day_are_not_drawn_together(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    page = page_of(batch_of(folder, clip(folder, 0), clip(folder, 1), clip(folder, 100_000)))
    assert "40 frames that earlier commands rendered are not drawn." in page.text
    assert "worker 0 10 frames of 1 clip, busy 97% of the time" in page.text


def test_time_without_an_open_clip_does_not_count() -> None:
    def times(*pairs: tuple[float | None, float | None]) -> float:
        return open_seconds([ClipState(f"c{i}", started=a, ended=b) for i, (a, b) in enumerate(pairs)])

    assert times() == 0.0
    assert times((None, None), (5.0, None)) == 0.0
    assert times((10.0, 12.0), (0.0, 5.0), (1.0, 2.0), (4.0, 6.0)) == 8.0


@pytest.mark.parametrize(("content", "said"), [(b"PAR1", "is damaged"), (None, "holds no batch")])
def test_what_is_no_batch_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content:
        (tmp_path / "clips.parquet").write_bytes(content)
    with pytest.raises(InputError, match=said):
        write_batch_report(str(tmp_path))


def test_the_command_writes_all_pages(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    states = [clip(folder, place) for place in range(3)]
    (folder / "clip-1" / "run.json").write_text("{")
    batch_of(folder, *states, ClipState("none", FAILED, error="no"))
    result = in_process.command("report", folder)
    assert result.code == 0
    lines = result.output.splitlines()
    assert lines[0] == f"report: {folder}/clip-0/report.html"
    assert lines[1].startswith("warning: no page about clip-1: ")
    assert lines[2:] == [f"report: {folder}/clip-2/report.html", f"report: {folder}/report.html"]
    links = {a["href"] for tag, a in Reader((folder / "report.html").read_text()).tags if tag == "a"}
    assert links == {"clip-0/report.html", "clip-2/report.html"}


def test_a_manifest_is_no_batch(tmp_path: Path) -> None:
    (tmp_path / "clips.jsonl").write_text(json.dumps({"clip": "avatar", "audio": "a.wav"}) + "\n")
    result = in_process.command("report", tmp_path)
    assert result.code == 2
    assert "no table of clips" in result.output
