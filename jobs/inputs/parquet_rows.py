"""Rows of Parquet files that may be damaged or made up, in memory that stays in proportion to the rows read at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# Bytes of one row group, which a few bytes of the file can stand for.
MOST_BYTES = 256 << 20


def parquet_batches(file: IO[bytes], *, rows: int, longest: int) -> Iterator[pa.RecordBatch]:
    """The rows of a file, so many at a time.

    Texts come in dictionaries: a page of a few bytes can repeat a long text a million times.

    Args:
        file: open for reading.
        rows: how many at once.
        longest: bytes that a text may have.

    Raises:
        ValueError: a row group is too large, a text too long, or a column holds neither texts, numbers nor times.
        pa.ArrowException, OSError: it is no Parquet file, or is damaged.
    """
    facts = pq.read_metadata(file)
    schema = facts.schema.to_arrow_schema()
    for column in schema:
        if not _is_plain(column.type):
            raise ValueError(f"column {column.name} holds {column.type}")
    if any(not 0 <= facts.row_group(place).total_byte_size <= MOST_BYTES for place in range(facts.num_row_groups)):
        raise ValueError(f"a row group takes more than {MOST_BYTES >> 20} MiB")
    texts = [column.name for column in schema if _is_text(column.type)]
    file.seek(0)
    parquet = pq.ParquetFile(file, read_dictionary=texts, page_checksum_verification=True)
    for batch in parquet.iter_batches(rows, use_threads=False):
        for column in batch.columns:
            if pa.types.is_dictionary(column.type) and len(column.dictionary):
                most = pc.max(pc.binary_length(column.dictionary)).as_py()
                if most is not None and most > longest:
                    raise ValueError(f"a text has more than {longest} bytes")
        yield batch


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: pa.DataType) -> bool:
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(numbers or _is_text(kind) or pa.types.is_null(kind) or pa.types.is_timestamp(kind))
