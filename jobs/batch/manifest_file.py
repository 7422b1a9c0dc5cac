"""The rows of a manifest as they stand in its file, one after another, in any of its forms."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Any, TypeAlias

import pyarrow as pa

from actors.core.errors import InputError, error_text
from actors.files import storage
from jobs.inputs.parquet_rows import parquet_batches

# Values by column; a column that a row leaves empty is absent.
RawRow: TypeAlias = "dict[str, Any]"

# Nobody writes a clip's options by the megabyte.
LONGEST_LINE = 1 << 20

# Rows of a Parquet file that are in memory at once.
PARQUET_ROWS = 1024

FORMS = {".jsonl": "JSON Lines", ".csv": "CSV", ".parquet": "Parquet"}


def form_of(path: str) -> str:
    """The ending that says how a manifest is written, one of `FORMS` if it is one."""
    return PurePath(path).suffix.lower()


def read_rows(path: str, name: str) -> Iterator[RawRow]:
    """The rows of a manifest, in order.

    Args:
        path: absolute path or URI of a ``.jsonl``, ``.csv`` or ``.parquet`` file.
        name: what it is called in messages.

    Yields:
        Text, numbers and truth values as JSON and Parquet have them; of CSV text alone.

    Raises:
        InputError: the file is of another form, or cannot be read; names the row.
    """
    form = form_of(path)
    if form not in FORMS:
        raise InputError(name, f"is no manifest ({form or 'a name without an ending'})", f"give {', '.join(FORMS)}")
    try:
        with storage.open_input(path) as file:
            if form == ".parquet":
                yield from _parquet(file)
            else:
                text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="" if form == ".csv" else None)
                yield from (_csv if form == ".csv" else _json_lines)(text, name)
    except FileNotFoundError as error:
        raise InputError(name, "there is no such file", "check the path") from error
    except (OSError, ValueError, pa.ArrowException, csv.Error) as error:
        problem = f"cannot be read as {FORMS[form]} ({error_text(error)})"
        raise InputError(name, problem, "mend it") from error


def row_name(name: str, number: int) -> str:
    """What a row is called in messages; rows count from 1, without a line of headings."""
    return f"{name}: row {number}"


def _json_lines(file: IO[str], name: str) -> Iterator[RawRow]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        if not line.strip():
            continue
        number += 1
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            problem = f"cannot be read as JSON ({error})" if len(line) < LONGEST_LINE else "is a very long line"
            raise InputError(row_name(name, number), problem, "write one object on each line") from error
        if not isinstance(row, dict):
            raise InputError(row_name(name, number), "is no object", 'write {"clip": ..., "audio": ...} on each line')
        yield {column: value for column, value in row.items() if value is not None}


def _once(pairs: list[tuple[str, Any]]) -> RawRow:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a column is given twice")
    return row


def _csv(file: IO[str], name: str) -> Iterator[RawRow]:
    reader = csv.reader(file, strict=True)
    columns = [column.strip() for column in next(reader, [])]
    if len(set(columns)) < len(columns) or not all(columns):
        raise InputError(name, "has a column without a name, or two of one name", "mend its first line")
    for number, cells in enumerate((cells for cells in reader if any(cells)), 1):
        if len(cells) > len(columns):
            problem = f"has {len(cells)} cells under {len(columns)} columns"
            raise InputError(row_name(name, number), problem, "put a cell with a comma into quotes")
        yield {column: cell for column, cell in zip(columns, cells, strict=False) if cell}


def _parquet(file: IO[bytes]) -> Iterator[RawRow]:
    for batch in parquet_batches(file, rows=PARQUET_ROWS, longest=LONGEST_LINE):
        for row in batch.to_pylist():
            yield {column: value for column, value in row.items() if value is not None}
