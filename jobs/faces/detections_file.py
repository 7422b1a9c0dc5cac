"""Everything that was found on a range of frames, as one Parquet file with a row for each frame."""

from __future__ import annotations

import io
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.core.faces import KEY_POINTS, MESH_POINTS, THUMBNAIL, FoundFaces
from actors.core.ranges import FrameRange

FACE = pa.struct(
    [
        pa.field("box", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("points", pa.list_(pa.float32(), 2 * KEY_POINTS), nullable=False),
        pa.field("presence", pa.float32(), nullable=False),
        pa.field("extent", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("mesh", pa.list_(pa.float32(), 2 * len(MESH_POINTS)), nullable=False),
    ]
)

SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("best", pa.float32(), nullable=False),
        pa.field("thumbnail", pa.binary(math.prod(THUMBNAIL)), nullable=False),
        pa.field("faces", pa.list_(pa.field("item", FACE, nullable=False)), nullable=False),
    ]
)


def to_parquet(found: FoundFaces) -> bytes:
    """The file's content; every page carries a checksum.

    Columns: ``frame``; ``best``, the best score of anything there; ``thumbnail``, 9 rows of 16 bytes; ``faces``, by
    descending score, each with the fields of `FoundFaces` in pixels.
    """
    count = len(found.thumbnails)
    frames = np.arange(found.first, found.first + count)
    offsets = np.searchsorted(found.frame, np.arange(found.first, found.first + count + 1)).astype(np.int32)
    columns = [
        _rows(found.boxes, 4),
        pa.array(found.scores, pa.float32()),
        _rows(found.points, 2 * KEY_POINTS),
        pa.array(found.presence, pa.float32()),
        _rows(found.extents, 4),
        _rows(found.mesh, 2 * len(MESH_POINTS)),
    ]
    faces = pa.StructArray.from_arrays(columns, fields=list(FACE))
    thumbnails = pa.FixedSizeBinaryArray.from_buffers(
        SCHEMA.field("thumbnail").type, count, [None, pa.py_buffer(found.thumbnails.tobytes())]
    )
    table = pa.table(
        [
            pa.array(frames, pa.int64()),
            pa.array(found.best, pa.float32()),
            thumbnails,
            pa.ListArray.from_arrays(pa.array(offsets), faces, type=SCHEMA.field("faces").type),
        ],
        schema=SCHEMA,
    )
    target = io.BytesIO()
    pq.write_table(table, target, compression="zstd", write_page_checksum=True)
    return target.getvalue()


def from_parquet(content: bytes, frames: FrameRange) -> FoundFaces | None:
    """What `to_parquet` wrote of these frames; ``None`` where the content is damaged, or of others."""
    try:
        table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
        if not table.schema.equals(SCHEMA) or table["frame"].to_pylist() != list(frames):
            return None
        rows = table.combine_chunks()
        lists = rows["faces"].combine_chunks()
        counts = lists.value_lengths().to_numpy(zero_copy_only=False)
        faces = lists.flatten()
        found = FoundFaces(
            first=frames.start,
            thumbnails=np.frombuffer(b"".join(rows["thumbnail"].to_pylist()), np.uint8).reshape(-1, *THUMBNAIL),
            best=_numbers(rows["best"].combine_chunks()),
            frame=np.repeat(np.arange(frames.start, frames.stop), counts),
            boxes=_matrix(faces.field("box"), 4),
            scores=_numbers(faces.field("score")),
            points=_matrix(faces.field("points"), KEY_POINTS, 2),
            presence=_numbers(faces.field("presence")),
            extents=_matrix(faces.field("extent"), 4),
            mesh=_matrix(faces.field("mesh"), len(MESH_POINTS), 2),
        )
    except (pa.ArrowException, OSError, ValueError):
        return None
    # Only points that a detector does not give may be no numbers.
    whole = (found.best, found.boxes, found.scores, found.presence, found.extents, found.mesh)
    return found if all(np.isfinite(each).all() for each in whole) else None


def _rows(array: NDArray[np.float32], width: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).ravel(), pa.float32()), width)


def _numbers(array: pa.Array) -> NDArray[np.float32]:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float32)


def _matrix(array: pa.Array, *shape: int) -> NDArray[np.float32]:
    return _numbers(array.flatten()).reshape(-1, *shape)
