"""The table of timings: one row per output frame, the run's only record of what is done."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.core.faces import FaceOrigin


@dataclass(frozen=True, slots=True)
class FrameTiming:
    """One finished output frame.

    Attributes:
        frame: output frame number, from 0.
        background: index of the background it was drawn on.
        face: how the face box of that background came about, a word of `actors.core.faces.FaceOrigin`; ``none`` shows
            the background as it is.
        range_id: the range it was rendered in.
        batch_id: number of its batch within the range.
        batch_size: frames of its range in that batch (padding, and frames looked at for their neighbours, not counted).
        worker: number of the worker that rendered it.
        node: Ray node id of that worker.
        pid: process id of that worker.
        device: ``cpu`` or the name of the GPU.
        provider: ONNX Runtime's execution provider.
        started_at: Unix time in seconds when its batch began.
        gather_ms: making network input, the batch's time divided by its frames. Batches that hold only neighbours
            count with the one beside them.
        inference_ms: the network, likewise.
        composite_ms: prediction to finished frame.
        encode_ms: finished frame to file content.
        write_ms: file content to a file under its final name.
        video_ms: finished frame into the video segment.
        seam: how visible the edges of the paste are, 1 where they are not; see `actors.core.seam`. 0 where nothing is
            composited, as on frames without a face.
        seam_at: which edge that is: ``square``, ``inner`` or ``mask``; empty where nothing is composited.
        bytes: size of the frame's file, 0 where none is written.
        checksum: xxh3-64 of the file's content in hexadecimal, empty where none is written.
        segment: file name of the video segment that holds the frame, empty where there is none.
        segment_bytes: size of that segment, 0 where there is none.
        segment_checksum: xxh3-64 of the segment's content in hexadecimal, empty where there is none.
    """

    frame: int
    background: int
    face: str
    range_id: str
    batch_id: int
    batch_size: int
    worker: int
    node: str
    pid: int
    device: str
    provider: str
    started_at: float
    gather_ms: float
    inference_ms: float
    composite_ms: float
    encode_ms: float
    write_ms: float
    video_ms: float
    seam: float
    seam_at: str
    bytes: int
    checksum: str
    segment: str
    segment_bytes: int
    segment_checksum: str


STAGES = ("gather_ms", "inference_ms", "composite_ms", "encode_ms", "write_ms", "video_ms")

SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("background", pa.int64(), nullable=False),
        pa.field("face", pa.string(), nullable=False),
        pa.field("range_id", pa.string(), nullable=False),
        pa.field("batch_id", pa.int32(), nullable=False),
        pa.field("batch_size", pa.int32(), nullable=False),
        pa.field("worker", pa.int32(), nullable=False),
        pa.field("node", pa.string(), nullable=False),
        pa.field("pid", pa.int64(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("started_at", pa.float64(), nullable=False),
        *(pa.field(stage, pa.float64(), nullable=False) for stage in STAGES),
        pa.field("seam", pa.float64(), nullable=False),
        pa.field("seam_at", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("checksum", pa.string(), nullable=False),
        pa.field("segment", pa.string(), nullable=False),
        pa.field("segment_bytes", pa.int64(), nullable=False),
        pa.field("segment_checksum", pa.string(), nullable=False),
    ]
)

# Columns that runs of earlier versions lack, and what their rows count as.
ADDED: Mapping[str, str] = {"face": FaceOrigin.GIVEN.value}

# A fragment holds the frames of one range. No range has as many as these, and no row takes as much.
MOST_ROWS = 1 << 14
MOST_BYTES = 64 << 20
LONGEST_TEXT = 1024


def to_table(timings: Sequence[FrameTiming]) -> pa.Table:
    """The rows as an Arrow table of `SCHEMA`."""
    columns = [column(field.type, [getattr(timing, field.name) for timing in timings]) for field in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def column(kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Numbers or texts, none of them missing, as an Arrow array of that type.

    `pyarrow.array` would do, but it imports pandas: most of a second, and most of a hundred MiB, in every process.
    """
    if pa.types.is_string(kind):
        texts = [value.encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(texts)))
    numbers = np.array(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def numbers(table: pa.Table, name: str) -> NDArray[Any]:
    """A column of numbers, none of them missing, ``(rows,)`` in its own type; without pandas, like `column`."""
    return np.from_dlpack(table[name].combine_chunks())


def to_parquet(table: pa.Table) -> bytes:
    """The content of a fragment of the timing table; each of its pages carries a checksum."""
    sink = io.BytesIO()
    pq.write_table(table, sink, write_page_checksum=True)
    return sink.getvalue()


def from_parquet(content: bytes) -> pa.Table | None:
    """A fragment as a table of `SCHEMA`; ``None`` when it is torn, of another schema, or larger than any range's.

    Columns of `ADDED` may be missing: they are filled in.

    Memory stays in proportion to `MOST_ROWS`, whatever the content claims.
    """
    try:
        # `read_table` would import pandas. Texts stay in their dictionaries until their lengths are known: a page of a
        # few bytes can repeat a long text a million times.
        facts = pq.read_metadata(io.BytesIO(content))
        names = [name for name in SCHEMA.names if name not in ADDED or name in facts.schema.names]
        texts = [name for name in names if pa.types.is_string(SCHEMA.field(name).type)]
        source = io.BytesIO(content)
        with pq.ParquetFile(source, metadata=facts, read_dictionary=texts, page_checksum_verification=True) as file:
            if not _is_fragment(file, names):
                return None
            table = file.read(columns=names, use_threads=False)
        if len(table) > MOST_ROWS or not all(_are_short(chunk) for name in texts for chunk in table[name].chunks):
            return None
        for name in ADDED.keys() - set(names):
            field = SCHEMA.field(name)
            table = table.append_column(field, column(field.type, [ADDED[name]] * len(table)))
        table = table.select(SCHEMA.names).cast(SCHEMA)
        table.validate(full=True)
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    return table if all(column.null_count == 0 for column in table.columns) else None


def _is_fragment(file: pq.ParquetFile, names: Sequence[str]) -> bool:
    """Whether a file's own description is that of a fragment with these columns; nothing of its content is read."""
    facts, schema = file.metadata, file.schema_arrow
    sizes = [
        facts.row_group(group).column(place).total_uncompressed_size
        for group in range(facts.num_row_groups)
        for place in range(facts.num_columns)
    ]
    kinds = {field.name: field.type for field in SCHEMA}
    kinds |= {name: pa.dictionary(pa.int32(), kind) for name, kind in kinds.items() if pa.types.is_string(kind)}
    return (
        0 <= facts.num_rows <= MOST_ROWS
        and all(0 <= size <= MOST_BYTES for size in sizes)
        and sum(sizes) <= MOST_BYTES
        and all(schema.get_field_index(name) >= 0 and schema.field(name).type == kinds[name] for name in names)
    )


def _are_short(texts: pa.DictionaryArray) -> bool:
    """Whether none of the texts is longer than those of a fragment can be."""
    return len(texts.dictionary) == 0 or pc.max(pc.binary_length(texts.dictionary)).as_py() <= LONGEST_TEXT
