"""Form (c), the binary export: ready-made planes and audio windows, paired by index."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from actors.core.clip import Clip, FrameSource, PlaneFile
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.files import storage
from jobs.clip.assembly import Subject
from jobs.clip.audio_files import RECORDING, find_recording
from jobs.clip.backgrounds import Candidates, find_frames
from jobs.clip.face_boxes import FaceBoxes, find_boxes
from jobs.clip.feature_file import require_finite
from jobs.clip.files import as_input_errors, exactly, file_at, is_file, load, show, validated
from jobs.clip.notes import Notes

PLANES = "visual_input.bin"
WINDOWS = "audio_input.bin"
METADATA = "metadata.json"
_BOUNDING_BOX = "landmarks.json"
_LIMIT = 1 << 20
_SAMPLES = 8
_REEXPORT = "export it again with the exporter that writes BGR planes in [0, 1] and says so in metadata.json"


class _Metadata(BaseModel):
    """What the exporter says of its files; ``format`` is missing where the older one wrote them."""

    num_frames: Annotated[int, Field(strict=True, ge=0)] | None = None
    start_frame: Annotated[int, Field(strict=True, ge=0, lt=1 << 31)] = 0
    visual_shape: list[int] | None = None
    audio_shape: list[int] | None = None
    dtype: str | None = None
    format: str | None = None


def is_binary(folder: str) -> bool:
    """Whether the folder has either of the export's two files."""
    return is_file(storage.join(folder, PLANES)) or is_file(storage.join(folder, WINDOWS))


def read_binary(subject: Subject, there: Candidates, kind: ModelKind, notes: Notes) -> Clip:
    """The clip in a folder of the binary export.

    Where the folder holds full frames and the face boxes are known, crop and mask are recomputed from them, and
    only the audio windows of the export are used. Else its planes are, which gives no picture to paste into.

    Raises:
        InputError: the files disagree with each other or with their metadata, or the older exporter wrote them.
    """
    folder = there.folder
    planes, windows = storage.join(folder, PLANES), storage.join(folder, WINDOWS)
    metadata = _read_metadata(storage.join(folder, METADATA))
    count = _records(planes, kind.planes)
    window_count = _records(windows, kind.audio)
    if count != window_count:
        raise InputError(planes, f"{count} frames, but {WINDOWS} has {window_count}", "export both again")
    _compare(metadata, count, kind, storage.join(folder, METADATA))
    _require_levels(planes, count, kind)
    notes.recognised(PLANES, f"{count} frames of ready-made planes")
    notes.recognised(WINDOWS, f"{count} audio windows, paired by index")
    notes.recognised(METADATA, f"BGR, starting at frame {metadata.start_frame} of the original clip")
    if is_file(storage.join(folder, _BOUNDING_BOX)):
        notes.passed_over(_BOUNDING_BOX, "it holds the bounding box of the landmarks, which is not the crop")
    if kind.features_file is not None and is_file(storage.join(folder, kind.features_file)):
        notes.passed_over(kind.features_file, "the export's own windows are the audio")
    window = range(metadata.start_frame, metadata.start_frame + count)
    full = _full_frames(subject, there, kind, window, notes)
    return Clip(
        id=subject.id,
        path=subject.path,
        form="binary",
        frames=None if full is None else full[0],
        planes=PlaneFile(planes, 0, count) if full is None else None,
        boxes=None if full is None else full[1].boxes,
        origins=None if full is None else full[1].origins,
        features=None,
        windows=windows,
        window_count=count,
        sound=_recording(folder, metadata.start_frame, notes),
        found=tuple(notes.found),
        warnings=tuple(notes.warnings),
    )


def read_windows(path: str, count: int, kind: ModelKind) -> NDArray[np.float32]:
    """The audio windows of a binary export.

    Args:
        path: ``audio_input.bin``.
        count: how many it holds.
        kind: says the shape of a window.

    Returns:
        ``(count, *kind.audio)`` float32, finite.

    Raises:
        InputError: another number of windows, or values that are not finite.
    """
    there = _records(path, kind.audio)
    if there != count:
        raise InputError(path, f"{there} audio windows, not {count}", "export it again")
    with as_input_errors(path), storage.open_input(path) as file:
        data = exactly(file, 0, count * math.prod(kind.audio) * 4)
    windows = np.frombuffer(data, "<f4").reshape(count, *kind.audio).astype(np.float32)
    require_finite(windows, path, "window")
    return windows


def _read_metadata(path: str) -> _Metadata:
    if not is_file(path):
        raise InputError(path, "missing, so nothing says that the planes are BGR in [0, 1]", _REEXPORT)
    metadata = validated(_Metadata, load(path, _LIMIT), path, _REEXPORT)
    if metadata.format != "BGR":
        said = "no format" if metadata.format is None else f"format {show(metadata.format)}"
        raise InputError(path, f"it names {said}; the older exporter wrote RGB planes in [-1, 1]", _REEXPORT)
    return metadata


def _records(path: str, shape: tuple[int, ...]) -> int:
    """How many float32 records of ``shape`` a file holds."""
    if not is_file(path):
        raise InputError(path, "missing", f"the binary export is {PLANES} and {WINDOWS} together; copy both")
    size, record = file_at(path).size, math.prod(shape) * 4
    if size % record:
        sides = "x".join(str(side) for side in shape)
        raise InputError(
            path, f"{size} bytes are not a whole number of {sides} float32 frames", "copy or export it again"
        )
    return size // record


def _compare(metadata: _Metadata, count: int, kind: ModelKind, path: str) -> None:
    claims: list[tuple[str, object, object]] = [
        ("num_frames", metadata.num_frames, count),
        ("visual_shape", metadata.visual_shape, [count, *kind.planes]),
        ("audio_shape", metadata.audio_shape, [count, *kind.audio]),
        # NumPy's own name of the type is as good.
        ("dtype", "float32" if metadata.dtype == "<f4" else metadata.dtype, "float32"),
    ]
    for name, said, is_so in claims:
        if said is not None and said != is_so:
            raise InputError(path, f"{name} {show(said)} disagrees with the files: {is_so}", "export it again")


def _require_levels(path: str, count: int, kind: ModelKind) -> None:
    """Samples frames across the file: the older exporter's values reach below 0."""
    record = math.prod(kind.planes) * 4
    indices = sorted({round(i * (count - 1) / (_SAMPLES - 1)) for i in range(_SAMPLES)})
    with as_input_errors(path), storage.open_input(path) as file:
        for index in indices:
            planes = np.frombuffer(exactly(file, index * record, record), "<f4")
            low, high = float(planes.min()), float(planes.max())
            # Written so that NaN fails as well.
            black, white = kind.value_range
            if not (low >= black and high <= white):
                raise InputError(
                    path,
                    f"values of frame {index} reach from {low:g} to {high:g}, not {black:g} to {white:g}",
                    _REEXPORT,
                )


def _full_frames(
    subject: Subject, there: Candidates, kind: ModelKind, window: range, notes: Notes
) -> tuple[FrameSource, FaceBoxes] | None:
    """The full frames that belong to the export's windows and their boxes, if the folder has them.

    ``window`` is the export's stretch of the original clip.
    """
    start, count = window.start, len(window)
    given = subject.given.file is not None or subject.given.box is not None
    if not there.any_frames:
        if given:
            notes.warn(subject.path, "has no full frames for the face boxes given; only --no-composite can render it")
        return None
    boxes = find_boxes(there.folder, subject.given, notes)
    if boxes is None:
        notes.passed_over("full frames", "nothing says where the face is on them; give --rects or --rect")
        return None
    frames, label = find_frames(there, notes)
    boxes = _pair_boxes(boxes, frames, label, count)
    if len(frames) == count:
        notes.recognised(label, f"frame i pairs with window i; {PLANES} is not needed")
    elif len(frames) >= start + count:
        frames = frames.part(start, start + count)
        boxes = boxes if len(boxes.boxes) == count else boxes.part(start, start + count)
        notes.recognised(label, f"frame {start} + i pairs with window i; {PLANES} is not needed")
    else:
        raise InputError(
            subject.path,
            f"{label} has {len(frames)} frames, but {count} windows from frame {start} on need {start + count}",
            "export the binary files again from this clip, or move its full frames elsewhere",
        )
    return frames, boxes.checked_inside(frames.width, frames.height, notes, square=kind.square)


def _pair_boxes(boxes: FaceBoxes, frames: FrameSource, label: str, count: int) -> FaceBoxes:
    """Boxes may have been exported for the windows' frames alone; else there is one for each full frame."""
    return boxes if not boxes.constant and len(boxes.boxes) == count else boxes.for_frames(len(frames), label)


def _recording(folder: str, start: int, notes: Notes) -> str | None:
    if start and is_file(storage.join(folder, RECORDING)):
        notes.passed_over(RECORDING, f"it begins with the clip, the export at frame {start}; cut it and give --audio")
        return None
    return find_recording(folder, notes)
