"""Real input files for the clip readers, small enough to write by the dozen."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from actors.core.clip import Clip, FaceBox
from actors.core.errors import InputError
from actors.core.kind import ModelKind
from actors.core.picture_metadata import Picture
from actors.kinds.unet_328_ave import KIND as UNET_328
from jobs.clip import read_clip

T = TypeVar("T")

WIDTH, HEIGHT = 64, 48
# What images that OpenCV writes say about themselves.
DRAWN = Picture(stored="PNG RGB", matrix="rgb")
# Decorates property tests: none may fail because the machine is busy, and each example writes its file anew.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
# Small planes keep binary exports small; the audio stays the real one.
SMALL = replace(UNET_328, name="small", crop=24, inner=16, mask=(2, 2, 12, 12))


def given_or_refused(read: Callable[[], T], subject: object) -> T | None:
    """What a reader makes of a damaged input, or ``None`` where it refuses that with one line about its subject."""
    try:
        return read()
    except InputError as error:
        refusal = error
    assert refusal.subject == str(subject)
    assert "\n" not in str(refusal)
    assert len(str(refusal)) < 400
    return None


def read(path: Path, *, kind: ModelKind = UNET_328, boxes: Path | None = None, box: FaceBox | None = None) -> Clip:
    return read_clip(str(path), boxes=None if boxes is None else str(boxes), box=box, kind=kind)


def refused(
    path: Path, *, kind: ModelKind = UNET_328, boxes: Path | None = None, box: FaceBox | None = None
) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path, kind=kind, boxes=boxes, box=box)
    assert "\n" not in str(caught.value)
    assert caught.value.fix
    return caught.value


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A frame whose brightness tells its number."""
    shade = np.uint8(index * 5 % 256)
    return np.full((height, width, 3), shade, np.uint8)


def write_images(folder: Path, count: int, *, start: int = 0, pattern: str = "{}.png") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / pattern.format(start + index) for index in range(count)]
    for index, path in enumerate(paths):
        assert cv2.imwrite(str(path), picture(index))
    return paths


def write_video(
    path: Path, count: int, *, fps: int = 25, codec: str = "libx264", b_frames: int = 2, faststart: bool = False
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"} if faststart else {}) as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = 8
        for index in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        container.mux(stream.encode())
    return path


def squares(count: int) -> list[FaceBox]:
    """Squares of 20 px that move to the right by one and, past the edge, start over."""
    return [FaceBox(4 + i % 30, 6, 24 + i % 30, 26) for i in range(count)]


def sides(boxes: Sequence[FaceBox]) -> list[list[int]]:
    return [[r.x0, r.y0, r.x1, r.y1] for r in boxes]


def write_rects(path: Path, boxes: Sequence[FaceBox], *, table: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = sides(boxes)
    entries = {str(i): {"rect": box, "original_path": ".\\frames\\0.jpg"} for i, box in enumerate(listed)}
    path.write_text(json.dumps(entries if table else listed))
    return path


def landmark_text(box: FaceBox) -> str:
    """110 points of which three fix the square; the rest lie elsewhere."""
    points = [(box.x0 + 3, box.y0 + 3)] * 110
    points[1], points[31], points[52] = (box.x0, 40), (box.x1, 41), (13, box.y0)
    return "".join(f"{x} {y}\n" for x, y in points)


def write_landmarks(folder: Path, boxes: Sequence[FaceBox], *, start: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, box in enumerate(boxes):
        (folder / f"{start + index}.lms").write_text(landmark_text(box))
    return folder


def write_features(path: Path, rows: int) -> NDArray[np.float32]:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(rows).random((rows, 512), np.float32)
    np.save(path, values)
    return values


def write_binary(folder: Path, count: int, *, start: int = 0) -> NDArray[np.float32]:
    """The binary export for the small kind; gives back its audio windows."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(count)
    chance.random((count, *SMALL.planes), np.float32).tofile(folder / "visual_input.bin")
    windows = chance.random((count, *SMALL.audio), np.float32)
    windows.tofile(folder / "audio_input.bin")
    write_metadata(folder, num_frames=count, start_frame=start, format="BGR", dtype="float32")
    return windows


def write_metadata(folder: Path, **entries: object) -> None:
    (folder / "metadata.json").write_text(json.dumps(entries))
