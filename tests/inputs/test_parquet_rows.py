"""Parquet that somebody made: its rows come in parts, and what a small file claims takes no memory."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.inputs import parquet_rows
from jobs.inputs.parquet_rows import parquet_batches


def file_of(columns: dict[str, Any], **how: Any) -> io.BytesIO:  # noqa: ANN401 - of pq.write_table
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **how)
    file.seek(0)
    return file


def rows_of(file: io.BytesIO, longest: int = 100) -> list[list[dict[str, Any]]]:
    return [batch.to_pylist() for batch in parquet_batches(file, rows=2, longest=longest)]


def test_rows_come_in_parts_as_they_are() -> None:
    words = ["a", None, "c"]
    columns = {
        "text": words,
        "large": pa.array(words, pa.large_string()),
        "category": pa.array(words).dictionary_encode(),
        "number": [1, 2, None],
        "share": [0.5, None, 1.5],
        "switch": [True, False, None],
        "nothing": pa.nulls(3),
    }
    plain = pa.table(columns).to_pylist()
    for how in ({}, {"use_dictionary": False}, {"row_group_size": 2}):
        assert rows_of(file_of(columns, **how)) == [plain[:2], plain[2:]]


def test_a_long_text_is_refused() -> None:
    assert rows_of(file_of({"text": ["x" * 100] * 3}))[1] == [{"text": "x" * 100}]
    for how in ({}, {"use_dictionary": False}):
        with pytest.raises(ValueError, match="more than 99 bytes"):
            rows_of(file_of({"text": ["x" * 100] * 3}, **how), 99)


@pytest.mark.parametrize("values", [[[1]], [{"a": 1}], [b"a"]])
def test_columns_of_other_kinds_are_refused(values: list[Any]) -> None:
    with pytest.raises(ValueError, match="column odd holds"):
        rows_of(file_of({"odd": values}))


def test_a_large_row_group_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "MOST_BYTES", 4 << 20)
    file = file_of({"text": ["x"] * 5, "number": [0] * 5})
    assert len(rows_of(file)) == 3
    with pytest.raises(ValueError, match="more than 4 MiB"):
        rows_of(file_of({"share": [float(i) for i in range(1_000_000)]}))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100])
def test_what_is_no_parquet_is_an_error_of_arrow(content: bytes) -> None:
    with pytest.raises(pa.ArrowException):
        rows_of(io.BytesIO(content))
