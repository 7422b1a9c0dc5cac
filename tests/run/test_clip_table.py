"""The table of a batch: what is put in comes back from both files, in order; files that are damaged are refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs

from actors.core.errors import InputError
from actors.files import storage
from actors.files.storage import StoragePath
from jobs.run.clip_ids import LONGEST_ID, is_clip_id
from jobs.run.clip_table import LONGEST_ERROR, SCHEMA, ClipState, ClipStatus, ClipTable

IDS = st.text("abcäß-_ 1", min_size=1, max_size=8).filter(is_clip_id)
MOMENTS = st.none() | st.integers(0, 4 * 10**15).map(lambda micros: micros / 1e6)
STATES = st.builds(
    ClipState,
    id=IDS,
    state=st.sampled_from(ClipStatus),
    frames=st.integers(0, 10**9),
    failed_frames=st.integers(0, 10**9),
    seconds=st.floats(0, 1e9),
    fps=st.floats(0, 1e9),
    started=MOMENTS,
    ended=MOMENTS,
    error=st.text("abc :;", max_size=20),
    options=st.text("0123456789abcdef", max_size=32),
)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("batch")


def table_of(folder: Path, *states: ClipState) -> ClipTable:
    return ClipTable(storage.locate(str(folder)), states)


def read(folder: Path) -> ClipTable:
    return ClipTable.read(storage.locate(str(folder)))


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(STATES, unique_by=lambda state: state.id.casefold()))
def test_both_files_give_what_was_put_in(batch: Path, states: list[ClipState]) -> None:
    table = table_of(batch)
    for state in states:
        table.put(state)
    table.write()
    assert list(read(batch)) == states
    (batch / "clips.parquet").unlink()
    assert list(read(batch)) == states


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(STATES), st.lists(IDS, unique=True))
def test_counts_are_those_of_the_rows(states: list[ClipState], names: list[str]) -> None:
    table = table_of(Path("/batch"))
    for state in states:
        table.put(state)
    last = {state.id: state for state in states}
    table.order(names)
    expected = [last.get(name, ClipState(name)) for name in names]
    expected += [state for name, state in last.items() if name not in names]
    assert list(table) == expected
    assert len(table) == len(expected)
    # Only those of the manifest are counted.
    current = expected[: len(names)]
    for state in states:
        table.put(state)
        table.put(next(each for each in expected if each.id == state.id))
    assert list(table.current()) == current
    assert table.counts() == Counter(state.state for state in current)
    assert all(table.counts().values())
    assert table.frames() == sum(state.frames for state in current)
    assert all(table.get(state.id) == state for state in expected)
    assert table.get("never") is None


def test_files_are_as_notebooks_and_programs_read_them(tmp_path: Path) -> None:
    done = ClipState("a", ClipStatus.DONE, 50, 0, 2.0, 25.0, 1_795_000_000.25, 1_795_000_002.5, options="ab")
    table_of(tmp_path, done, ClipState("b", ClipStatus.FAILED, error="c: no such file\nsecond line")).write()
    found = pq.read_table(tmp_path / "clips.parquet")
    assert found.schema.equals(SCHEMA)
    one, two = found.to_pylist()
    assert (one["id"], one["state"], one["frames"], one["fps"], one["folder"]) == ("a", "done", 50, 25.0, "a")
    assert (one["started"].isoformat(), two["started"]) == ("2026-11-18T11:06:40.250000+00:00", None)
    lines = [json.loads(line) for line in (tmp_path / "clips.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [SCHEMA.names] * 2
    assert lines[0]["started"] == "2026-11-18T11:06:40.250000+00:00"
    assert lines[1]["error"] == two["error"] == "c: no such file\\nsecond line"


def test_a_long_message_keeps_its_ends(tmp_path: Path) -> None:
    table_of(tmp_path, ClipState("a", error="b" * 5000 + "c")).write()
    (state,) = read(tmp_path)
    assert len(state.error) <= LONGEST_ERROR
    assert state.error.endswith("bc")


def test_no_files_are_an_empty_table(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []
    assert list(read(tmp_path / "none")) == []
    table_of(tmp_path).write()
    assert list(read(tmp_path)) == []


def test_many_rows_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.run.clip_table.ROWS", 3)
    states = [ClipState(f"c{number}", frames=number) for number in range(8)]
    table_of(tmp_path, *states).write()
    assert pq.ParquetFile(tmp_path / "clips.parquet").num_row_groups == 3
    assert list(read(tmp_path)) == states


ROW = {
    "id": "a",
    "state": "done",
    "frames": 1,
    "failed_frames": 0,
    "seconds": 1.0,
    "fps": 1.0,
    "started": None,
    "ended": None,
    "error": "",
    "folder": "a",
    "options": "",
}
WRONG: list[tuple[str, Any]] = [
    ("id", "../b"),
    ("id", "Faces"),
    ("id", "x" * (LONGEST_ID + 1)),
    ("state", "asleep"),
    ("frames", -1),
    ("failed_frames", 1 << 50),
    ("seconds", float("nan")),
    ("fps", float("inf")),
    ("error", "x" * 5000),
    ("options", None),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
@pytest.mark.parametrize("form", ["clips.parquet", "clips.jsonl"])
def test_values_that_cannot_be_are_refused(tmp_path: Path, form: str, name: str, value: Any) -> None:  # noqa: ANN401
    row = {**ROW, name: value}
    if form == "clips.jsonl":
        (tmp_path / form).write_text(json.dumps(row) + "\n")
    else:
        fields = [pa.field(field.name, field.type) for field in SCHEMA]
        pq.write_table(pa.Table.from_pylist([row], pa.schema(fields)), tmp_path / form)
    refused(tmp_path, form)


def refused(folder: Path, form: str) -> None:
    with pytest.raises(InputError, match="is damaged, or no table of clips") as caught:
        read(folder)
    assert caught.value.subject == str(folder / form)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]\n",
        b"\xff\n",
        b'{"clip": "avatar", "audio": "a.wav"}\n',
        b"[" * 20_000 + b"\n",
        json.dumps(ROW).encode() + b"\n" + json.dumps({**ROW, "id": "A"}).encode() + b"\n",
        json.dumps({**ROW, "started": "yesterday"}).encode() + b"\n",
        json.dumps({**ROW, "started": 5}).encode() + b"\n",
        json.dumps({**ROW, "frames": True}).encode() + b"\n",
    ],
)
def test_other_lines_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clips.jsonl").write_bytes(content)
    refused(tmp_path, "clips.jsonl")


def test_other_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clips.parquet"
    table_of(tmp_path, ClipState("a"), ClipState("b")).write()
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], whole.replace(b"waiting", b"wailing")):
        path.write_bytes(content)
        refused(tmp_path, "clips.parquet")
    pq.write_table(pa.table({"id": ["a"]}), path)
    refused(tmp_path, "clips.parquet")
    # A few bytes stand for gigabytes of text.
    long = pa.table(
        [pa.array(["x" * 5000] * 10_000) if f.type == pa.string() else pa.nulls(10_000, f.type) for f in SCHEMA],
        schema=pa.schema([pa.field(f.name, f.type) for f in SCHEMA]),
    )
    pq.write_table(long, path)
    refused(tmp_path, "clips.parquet")


def test_a_table_may_lie_on_an_object_store(tmp_path: Path) -> None:
    # A part of a file system is handled as a store that is not here.
    there = StoragePath("memory://bucket", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "")
    table = ClipTable(there, [ClipState("a", ClipStatus.DONE, 5)])
    assert not ClipTable.stands_in(there)
    table.write()
    assert ClipTable.stands_in(there)
    assert list(ClipTable.read(there)) == list(table) == list(read(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"clips.parquet", "clips.jsonl"}


def test_a_damaged_file_is_not_covered_up_by_the_other(tmp_path: Path) -> None:
    table_of(tmp_path, ClipState("a")).write()
    (tmp_path / "clips.parquet").write_bytes(b"PAR1")
    refused(tmp_path, "clips.parquet")
    (tmp_path / "clips.parquet").unlink()
    assert list(read(tmp_path)) == [ClipState("a")]
