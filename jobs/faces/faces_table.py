"""The chosen face on every frame of some footage, as files: a table for notebooks, and boxes for ``--rects``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.core.clip import FaceBox
from actors.core.faces import KEY_POINTS, MESH_POINTS, FaceOrigin
from jobs.faces.gaps import FacePath
from jobs.faces.windows import windows

# Rows of a row group: 11 minutes at 25 frames a second would be twice as many.
ROWS = 8192

SIDES = ("left", "top", "right", "bottom")

SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("face", pa.string(), nullable=False),
        pa.field("track", pa.int64(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("presence", pa.float32()),
        *(pa.field(side, pa.float32()) for side in SIDES),
        *(pa.field(f"detector_{side}", pa.float32()) for side in SIDES),
        pa.field("points", pa.list_(pa.float32(), 2 * KEY_POINTS)),
        pa.field("mesh", pa.list_(pa.float32(), 2 * len(MESH_POINTS))),
    ]
)


def write_faces_parquet(target: IO[bytes], path: FacePath, times: NDArray[np.float64]) -> None:
    """Writes ``faces.parquet``, one row for each frame, a row group at a time.

    Columns: ``frame``; ``seconds``, when it is shown; ``face``, one of `FaceOrigin`; ``track``, the face's number on
    the contact sheet, 0 where there is none; ``score`` and ``presence`` in [0, 1]; ``left`` to ``bottom``, the box
    around the face mesh in pixels; ``detector_left`` and so on, the detector's box; ``points``, x and y of the
    detector's 6 key points; ``mesh``, x and y of the points `actors.core.faces.MESH_POINTS`. What a frame without the
    face does not have is null.

    Args:
        target: where it is written.
        path: the chosen face.
        times: ``(frames,)``, when every frame is shown, in seconds.

    Raises:
        StoppedError: what was found is no longer what it was.
    """
    with pq.ParquetWriter(target, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        for part in windows(len(path), size=ROWS):
            writer.write_table(_rows(path, times, part), ROWS)


def _rows(path: FacePath, times: NDArray[np.float64], part: slice) -> pa.Table:
    none = np.array([origin is FaceOrigin.NONE for origin in path.origins[part]])
    shapes = path.shapes(part)
    columns: dict[str, pa.Array] = {
        "frame": pa.array(np.arange(part.start, part.stop)),
        "seconds": pa.array(times[part]),
        "face": pa.array([origin.value for origin in path.origins[part]]),
        "track": pa.array(path.tracks[part]),
        "score": pa.array(path.scores[part], mask=none),
        "presence": pa.array(path.presence[part], mask=none),
    }
    for prefix, boxes in (("", path.extents), ("detector_", path.boxes)):
        columns |= {f"{prefix}{side}": pa.array(boxes[part, i], mask=none) for i, side in enumerate(SIDES)}
    for name, points in shapes._asdict().items():
        flat = pa.array(np.ascontiguousarray(points).ravel())
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, points.shape[1] * 2, mask=pa.array(none))
    return pa.table([columns[field.name] for field in SCHEMA], schema=SCHEMA)


def read_times(file: IO[bytes]) -> NDArray[np.float64] | None:
    """When every frame is shown, out of what `write_faces_parquet` wrote; ``None`` where the file is damaged."""
    try:
        table = pq.read_table(file, columns=["seconds"], page_checksum_verification=True)
        times = np.asarray(table["seconds"].to_numpy(), np.float64)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None
    return times if np.isfinite(times).all() and (np.diff(times) >= 0).all() else None


def boxes_json(path: FacePath, width: int, height: int) -> bytes:
    """``face_boxes.json``: the box around the face mesh on every frame, whole pixels inside of the frame, or null."""
    parts = (_mesh_boxes(path, part, width, height) for part in windows(len(path)))
    written = (json.dumps([box and [box.x0, box.y0, box.x1, box.y1] for box in boxes])[1:-1] for boxes in parts)
    return f"[{', '.join(written)}]".encode()


def _mesh_boxes(path: FacePath, part: slice, width: int, height: int) -> Iterator[FaceBox | None]:
    """The box around the face mesh on some frames, rounded and cut at the frame's edges; ``None`` without the face."""
    for origin, extent in zip(path.origins[part], path.extents[part].tolist(), strict=True):
        box = None
        if origin is not FaceOrigin.NONE:
            x0, y0, x1, y1 = map(round, extent)
            box = FaceBox(max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        yield box if box is not None and box.inside(width, height) else None
