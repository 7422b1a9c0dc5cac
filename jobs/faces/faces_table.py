"""The chosen face on every frame of some footage, as files: a table for notebooks, and boxes for ``--rects``."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.core.clip import FaceBox
from actors.core.faces import KEY_POINTS, MESH_POINTS, FaceOrigin
from jobs.faces.gaps import FacePath

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


def faces_parquet(path: FacePath, times: NDArray[np.float64]) -> bytes:
    """``faces.parquet``: one row for each frame.

    Columns: ``frame``; ``seconds``, when it is shown; ``face``, one of `FaceOrigin`; ``track``, the face's number on
    the contact sheet, 0 where there is none; ``score`` and ``presence`` in [0, 1]; ``left`` to ``bottom``, the box
    around the face mesh in pixels; ``detector_left`` and so on, the detector's box; ``points``, x and y of the
    detector's 6 key points; ``mesh``, x and y of the points `actors.core.faces.MESH_POINTS`. What a frame without the
    face does not have is null.

    Args:
        path: the chosen face.
        times: ``(frames,)``, when every frame is shown, in seconds.
    """
    none = np.array([origin is FaceOrigin.NONE for origin in path.origins])
    columns: dict[str, pa.Array] = {
        "frame": pa.array(np.arange(len(path))),
        "seconds": pa.array(times),
        "face": pa.array([origin.value for origin in path.origins]),
        "track": pa.array(path.tracks),
        "score": pa.array(path.scores, mask=none),
        "presence": pa.array(path.presence, mask=none),
    }
    for prefix, boxes in (("", path.extents), ("detector_", path.boxes)):
        columns |= {f"{prefix}{side}": pa.array(boxes[:, i], mask=none) for i, side in enumerate(SIDES)}
    for name, points in (("points", path.points), ("mesh", path.mesh)):
        flat = pa.array(np.ascontiguousarray(points).ravel())
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, points.shape[1] * 2, mask=pa.array(none))
    target = io.BytesIO()
    table = pa.table([columns[field.name] for field in SCHEMA], schema=SCHEMA)
    pq.write_table(table, target, compression="zstd", write_page_checksum=True)
    return target.getvalue()


def read_times(content: bytes) -> NDArray[np.float64] | None:
    """When every frame is shown, out of what `faces_parquet` wrote; ``None`` where the content is damaged."""
    try:
        table = pq.read_table(io.BytesIO(content), columns=["seconds"], page_checksum_verification=True)
        times = np.asarray(table["seconds"].to_numpy(), np.float64)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None
    return times if np.isfinite(times).all() and (np.diff(times) >= 0).all() else None


def boxes_json(path: FacePath, width: int, height: int) -> bytes:
    """``face_boxes.json``: the box around the face mesh on every frame, whole pixels inside of the frame, or null."""
    return json.dumps([box and [box.x0, box.y0, box.x1, box.y1] for box in mesh_boxes(path, width, height)]).encode()


def mesh_boxes(path: FacePath, width: int, height: int) -> tuple[FaceBox | None, ...]:
    """The box around the face mesh on every frame, rounded and cut at the frame's edges; ``None`` without the face."""
    found: list[FaceBox | None] = []
    for origin, extent in zip(path.origins, path.extents.tolist(), strict=True):
        box = None
        if origin is not FaceOrigin.NONE:
            x0, y0, x1, y1 = map(round, extent)
            box = FaceBox(max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        found.append(box if box is not None and box.inside(width, height) else None)
    return tuple(found)
