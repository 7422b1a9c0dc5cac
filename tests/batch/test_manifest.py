"""Manifests: every form gives the same rows; what cannot be is refused by row and column."""

from __future__ import annotations

import csv
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.choices import Blend
from actors.core.errors import InputError
from jobs.batch.manifest import COMMAND, EITHER, SORTED_ROWS, Manifest, Row, grouped, made_id
from jobs.batch.manifest_file import LONGEST_LINE, read_rows
from jobs.inputs.options import CompositeOptions, Decides
from jobs.run.clip_ids import LONGEST_ID

ROWS: list[dict[str, Any]] = [
    {"id": "a", "clip": "avatar", "audio": "one.wav", "blend": "feather", "quality": 90, "format": "jpg"},
    {"clip": "/abs/other.mp4", "audio": "s3://bucket/two.wav", "video": True, "face-gap": 0.5, "priority": 2},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(
                {name: str(value).lower() if value is True else value for name, value in row.items()} for row in rows
            )
    else:
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in columns}), path)
    return path


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifests")


@pytest.fixture(params=[".jsonl", ".csv", ".parquet"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    manifest = Manifest.of_file(str(write(tmp_path / f"m{form}", ROWS)))
    assert manifest.check() == 2
    one, two = manifest.rows()
    assert (one.id, one.priority) == ("a", 0)
    assert one.values == {
        "clip": str(tmp_path / "avatar"),
        "audio": str(tmp_path / "one.wav"),
        "blend": "feather",
        "quality": 90,
        "format": "jpg",
    }
    assert (two.id, two.priority) == ("other-two", 2)
    assert two.values == {"clip": "/abs/other.mp4", "audio": "s3://bucket/two.wav", "video": True, "face_gap": 0.5}


def test_a_column_beats_the_flag(tmp_path: Path, form: str) -> None:
    manifest = Manifest.of_file(str(write(tmp_path / f"m{form}", ROWS)))
    flags = {"model": "m.onnx", "blend": "hard", "loop": "wrap", "clip": "unused"}
    options = next(iter(manifest.rows())).options(flags, "/out/a")
    assert options.blend is Blend.FEATHER
    assert (options.clip, options.model, options.out) == (str(tmp_path / "avatar"), "m.onnx", "/out/a")


def test_numbers_and_switches_are_taken_as_other_programs_write_them(tmp_path: Path) -> None:
    frame = pa.table({"id": [7, 8], "quality": [90.0, None], "format": ["jpg", None], "no-composite": [None, True]})
    pq.write_table(frame, tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_text("id,quality,format,no-composite\n7,90.0,jpg,\n8,,,True\n")
    for name in ("m.parquet", "m.csv"):
        one, two = Manifest.of_file(str(tmp_path / name)).rows()
        assert (one.id, one.values) == ("7", {"quality": 90, "format": "jpg"})
        assert (two.id, two.values) == ("8", {"composite": False})
        assert type(one.values["quality"]) is int


def test_rows_come_by_priority_and_in_order_within_one(tmp_path: Path, form: str) -> None:
    given = [("a", 0), ("b", 2), ("c", -1), ("d", 2), ("e", 0)]
    path = write(tmp_path / f"m{form}", [{"id": name, "priority": priority} for name, priority in given])
    assert [row.id for row in Manifest.of_file(str(path)).rows_by_priority()] == ["b", "d", "a", "e", "c"]


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.integers(-3, 3)), st.integers(1, 5))
def test_priorities_are_read_in_groups_that_memory_holds(priorities: list[int], most: int) -> None:
    counts = Counter(priorities)
    groups = list(grouped(counts, most))
    assert [priority for group in groups for priority in sorted(group, reverse=True)] == sorted(counts, reverse=True)
    assert all(len(group) == 1 or sum(counts[one] for one in group) <= most for group in groups)
    # Each group and the one after it are too many together, so that the file is read a bounded number of times.
    assert len(groups) <= 2 * len(priorities) / most + 1


def test_priorities_of_many_rows_need_few_readings(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", [{"id": f"r{i}", "priority": i % 1999} for i in range(2 * SORTED_ROWS)])
    found = [row.priority for row in Manifest.of_file(str(path)).rows_by_priority()]
    assert found == sorted((i % 1999 for i in range(2 * SORTED_ROWS)), reverse=True)


def row(**values: Any) -> Row:  # noqa: ANN401 - any option
    return Row("m: row 1", "a", 0, values)


def test_a_digest_knows_the_options_of_a_clip() -> None:
    flags = {"model": "m.onnx", "blend": Blend.FEATHER, "workers": 2}
    same = row(clip="/a", quality=90).digest(flags)
    assert row(quality=90, clip="/a").digest({"blend": "feather", "model": "m.onnx"}) == same
    assert row(clip="/a", quality=90, blend="feather").digest({"model": str(Path("m.onnx").absolute())}) == same
    for other in (row(clip="/a"), row(clip="/a", quality=91), row(clip="/b", quality=90)):
        assert other.digest(flags) != same
    assert row(clip="/a", quality=90).digest({**flags, "model": "n.onnx"}) != same


@pytest.mark.parametrize(("one", "other"), [*EITHER, *((other, one) for one, other in EITHER)])
def test_a_column_beats_the_flag_that_says_the_same_in_another_way(tmp_path: Path, one: str, other: str) -> None:
    said = {"rect": "1,2,3,4", "face": "2", "face_at": "3,4", "pads": "0,1,2,3"}
    path = write(tmp_path / "m.jsonl", [{"id": "a", "clip": "c", one: said.get(one, "x")}])
    (row,) = Manifest.of_file(str(path)).rows()
    flags = {"model": "m.onnx", other: said.get(other, "y")}
    options = row.options(flags, "/out/a")
    assert getattr(options, other) is None
    assert getattr(options, one) is not None
    assert row.digest(flags) == row.digest({"model": "m.onnx"})


def test_what_rows_cannot_be_together_is_said_of_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", [{"id": "a", "clip": "c"}, {"id": "b", "clip": "c", "quality": 90}])
    rows = list(Manifest.of_file(str(path)).rows())
    assert rows[0].options({"model": "m"}, "/out/a").quality is None
    with pytest.raises(InputError) as caught:
        rows[1].options({"model": "m"}, "/out/b")
    assert caught.value.subject == f"{path}: row 2: --quality"
    assert "png has none" in caught.value.problem


@pytest.mark.parametrize(
    ("row", "subject", "problem"),
    [
        ({"clip": "c", "blnd": "hard"}, "blnd", "no such column"),
        ({"clip": "c", "out": "x"}, "out", "belongs to the command"),
        ({"clip": "c", "config": "x"}, "config", "belongs to the command"),
        ({"clip": "c", "restart": True}, "restart", "belongs to the command"),
        ({"clip": "c", "no-tuned": True}, "no-tuned", "belongs to the command"),
        ({"clip": "c", "gpus-per-worker": 1}, "gpus-per-worker", "belongs to the command"),
        ({"clip": "c", "quality": "high"}, "quality", "must be a whole number"),
        ({"clip": "c", "video": "maybe"}, "video", "must be true or false"),
        ({"clip": "c", "video": 1}, "video", "must be true or false"),
        ({"clip": "c", "no-composite": "no"}, "no-composite", "must be true or false"),
        ({"clip": "c", "no-blend": True}, "no-blend", "no such column"),
        ({"clip": "c", "face-gap": 0.5, "face_gap": 0.5}, "face_gap", "is given twice"),
        ({"clip": "c", "composite": False, "no-composite": True}, "no-composite", "is given twice"),
        ({"clip": "c", "quality": 90.5}, "quality", "must be a whole number"),
        ({"clip": "c", "quality": True}, "quality", "must be a whole number"),
        ({"clip": 5}, "clip", "must be text"),
        ({"id": True, "clip": "c"}, "id", "must be text"),
        ({"id": 1.5, "clip": "c"}, "id", "must be text"),
        ({"id": "\ud800", "clip": "c"}, "id", "cannot be the name"),
        ({"clip": "c", "priority": "soon"}, "priority", "whole number"),
        ({"id": "a/b", "clip": "c"}, "id", "cannot be the name"),
        ({"id": "..", "clip": "c"}, "id", "cannot be the name"),
        ({"id": ".hidden", "clip": "c"}, "id", "cannot be the name"),
        ({"id": "a\nb", "clip": "c"}, "id", "cannot be the name"),
        ({"id": " a", "clip": "c"}, "id", "cannot be the name"),
        ({"id": "ä" * (LONGEST_ID // 2 + 1), "clip": "c"}, "id", "cannot be the name"),
        ({"id": "Report.HTML", "clip": "c"}, "id", "belongs to the batch"),
        ({"id": "faces", "clip": "c"}, "id", "belongs to the batch"),
        ({"id": "first", "clip": "c"}, "id", "is the id of row 1"),
        ({"id": "FIRST", "clip": "c"}, "id", "is the id of row 1"),
        ({"blend": "hard"}, "id", "neither a clip nor a sound"),
    ],
)
def test_a_row_that_cannot_be_is_named_with_its_column(
    tmp_path: Path, row: dict[str, Any], subject: str, problem: str
) -> None:
    path = write(tmp_path / "m.jsonl", [{"id": "first", "clip": "c"}, row])
    with pytest.raises(InputError) as caught:
        Manifest.of_file(str(path)).check()
    assert caught.value.subject == f"{path}: row 2: {subject}"
    assert problem in caught.value.problem
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.jsonl", b'{"clip": "a"}\n{"clip"\n', "row 2: cannot be read as JSON"),
        ("m.jsonl", b'{"clip": "a", "clip": "b"}\n', "row 1: cannot be read as JSON (a column is given twice)"),
        ("m.jsonl", b"[1]\n", "row 1: is no object"),
        ("m.jsonl", b'{"clip": "' + b"x" * LONGEST_LINE + b'"}\n', "row 1: is a very long line"),
        ("m.jsonl", b"\xff\xfe", "cannot be read as JSON Lines"),
        ("m.jsonl", b"\n\n", "has no rows"),
        ("m.csv", b"clip,clip\na,b\n", "two of one name"),
        ("m.csv", b"clip,\na,b\n", "a column without a name"),
        ("m.csv", b"clip\na,b\n", "row 1: has 2 cells under 1 columns"),
        ("m.csv", b'clip\n"a\n', "cannot be read as CSV"),
        ("m.csv", b"", "has no rows"),
        ("m.parquet", b"PAR1", "cannot be read as Parquet"),
        ("m.json", b"[]", "is no manifest"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Manifest.of_file(str(path)).check()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_of_lists_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"clip": [["a"]]}), tmp_path / "m.parquet")
    with pytest.raises(InputError, match="column clip holds list"):
        Manifest.of_file(str(tmp_path / "m.parquet")).check()


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["m.jsonl", "m.csv", "m.parquet"]))
def test_any_content_gives_rows_or_one_line(scratch: Path, content: bytes, name: str) -> None:
    (scratch / name).write_bytes(content)
    with suppress(InputError):
        assert Manifest.of_file(str(scratch / name)).check() == len(list(Manifest.of_file(str(scratch / name)).rows()))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Manifest.of_file(str(tmp_path / "m.csv")).check()


def test_marks_and_line_ends_of_other_editors_are_taken(tmp_path: Path) -> None:
    for name, content in (
        ("m.csv", "\ufeffclip,audio\r\na,b\r\n\r\n"),
        ("m.jsonl", '\ufeff{"clip": "a", "audio": "b"}\r\n'),
    ):
        path = tmp_path / name
        path.write_bytes(content.encode())
        assert list(read_rows(str(path), "m")) == [{"clip": "a", "audio": "b"}]


def test_sounds_are_rows_of_the_commands_clip() -> None:
    manifest = Manifest.of_sounds(["takes/one.wav", "/takes/two.flac"])
    assert manifest.check() == 2
    assert [(row.id, row.values) for row in manifest.rows()] == [
        ("one", {"audio": str(Path("takes/one.wav").absolute())}),
        ("two", {"audio": "/takes/two.flac"}),
    ]
    assert next(iter(manifest.rows())).options({"clip": "avatar", "model": "m"}, "/o").clip == "avatar"


def test_recordings_of_one_name_are_refused_by_their_paths() -> None:
    with pytest.raises(InputError) as caught:
        Manifest.of_sounds(["monday/one.wav", "friday/ONE.flac"]).check()
    assert caught.value.subject == "friday/ONE.flac: id"


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sampled_from(["a", "b.wav", "c/d.mp4", "e.v2", "/f/g.wav/"]), min_size=1, unique=True), st.randoms())
def test_a_made_id_does_not_depend_on_the_rows_place(names: list[str], random: Any) -> None:  # noqa: ANN401
    rows = [{"clip": "avatar.v2", "audio": name} for name in names]
    before = {row["audio"]: made_id(row) for row in rows}
    random.shuffle(rows)
    assert {row["audio"]: made_id(row) for row in rows} == before
    assert len(set(before.values())) == len(names)
    assert all(name.startswith("avatar.v2-") for name in before.values())


def test_every_option_is_a_column_or_the_commands() -> None:
    """What decides pixels belongs to a clip; the device is where all of them are rendered."""
    assert CompositeOptions.model_fields.keys() >= COMMAND
    for name in COMMAND - {"device"}:
        (decides,) = [part for part in CompositeOptions.model_fields[name].metadata if isinstance(part, Decides)]
        assert not decides.identity
