"""The same frames, squares and features give the same pixels, whatever form the clip has."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import in_process
import numpy as np
import pytest
import reference
import small
from small import Result

Command = Callable[..., Result]
COUNT = 12


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A real H.264 file with B-frames and several key frames, and its frames as OpenCV decodes them."""
    path = tmp_path_factory.mktemp("video") / "full_body_video.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"g": "5", "bf": "2", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = small.WIDTH, small.HEIGHT, "yuv420p"
        for i in range(COUNT):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small.picture(i), format="bgr24")))
        container.mux(stream.encode(None))
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(np.asarray(read[1], np.uint8))
    assert len(frames) == COUNT
    return path, frames


@pytest.fixture(scope="module")
def boxes() -> list[tuple[int, int, int, int]]:
    return [small.square(i) for i in range(COUNT)]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "rows.npy"
    np.save(path, small.feature_rows(COUNT))
    return path


@pytest.fixture(scope="module")
def wanted(
    video: tuple[Path, list[np.ndarray]], boxes: list[tuple[int, int, int, int]], model: Path
) -> list[np.ndarray]:
    rows = small.feature_rows(COUNT)
    return [frame for _, _, frame in reference.render(video[1], boxes, rows, model, loop="wrap")]


def write_images(folder: Path, frames: list[np.ndarray], first: int) -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i + first}.png"), frame)
    return folder


def dataset(folder: Path, video: Path, frames: list[np.ndarray], boxes: list[tuple[int, int, int, int]]) -> list[str]:
    write_images(folder / "full_body_img", frames, 1)
    (folder / "landmarks").mkdir()
    for i, (x0, y0, x1, _) in enumerate(boxes):
        points = [(1, 1)] * 110
        points[1], points[52], points[31] = (x0, 0), (0, y0), (x1, 0)
        (folder / "landmarks" / f"{i}.lms").write_text("".join(f"{x} {y}\n" for x, y in points))
    return []


def package(folder: Path, video: Path, frames: list[np.ndarray], boxes: list[tuple[int, int, int, int]]) -> list[str]:
    (folder / "cache").mkdir(parents=True)
    (folder / "full_body_video.mp4").write_bytes(video.read_bytes())
    entries = {str(i): {"rect": list(box), "original_path": "..\\x.jpg"} for i, box in enumerate(boxes)}
    (folder / "cache" / "crop_rectangles.json").write_text(json.dumps(entries))
    return []


def loose_frames(
    folder: Path, video: Path, frames: list[np.ndarray], boxes: list[tuple[int, int, int, int]]
) -> list[str]:
    write_images(folder, frames, 100)
    return ["--rects", str(small.write_rects(folder.with_suffix(".json"), boxes))]


def loose_video(
    folder: Path, video: Path, frames: list[np.ndarray], boxes: list[tuple[int, int, int, int]]
) -> list[str]:
    folder.mkdir()
    (folder / "take.mp4").write_bytes(video.read_bytes())
    return ["--rects", str(small.write_rects(folder.with_suffix(".json"), boxes))]


def binary(folder: Path, video: Path, frames: list[np.ndarray], boxes: list[tuple[int, int, int, int]]) -> list[str]:
    write_images(folder / "full_body_img", frames, 0)
    rows = small.feature_rows(COUNT)
    windows = np.stack([reference.audio_window(rows, i) for i in range(COUNT)])
    planes = [reference.network_input(frame, box, "cubic")[0] for frame, box in zip(frames, boxes, strict=True)]
    np.stack(planes).astype("<f4").tofile(folder / "visual_input.bin")
    windows.astype("<f4").tofile(folder / "audio_input.bin")
    metadata = {
        "num_frames": COUNT,
        "start_frame": 0,
        "visual_shape": [COUNT, 6, 320, 320],
        "audio_shape": [COUNT, 32, 16, 16],
        "dtype": "float32",
        "format": "BGR",
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return ["--rects", str(small.write_rects(folder.with_suffix(".json"), boxes))]


@pytest.mark.parametrize("form", [dataset, package, loose_frames, loose_video, binary])
def test_every_form_gives_the_reference_frames(
    form: Callable[..., list[str]],
    video: tuple[Path, list[np.ndarray]],
    boxes: list[tuple[int, int, int, int]],
    features: Path,
    wanted: list[np.ndarray],
    model: Path,
    tmp_path: Path,
    on_cluster: Command,
) -> None:
    flags = form(tmp_path / "clip", *video, boxes)
    # The binary export brings its own windows and pairs by index; the others are told to.
    flags += [] if form is binary else ["--features", str(features), "--loop", "wrap"]
    run = tmp_path / "run"
    base = ["composite", tmp_path / "clip", "--model", model, "--out", run, "--device", "cpu", "--workers", 1]
    result = on_cluster(*base, *flags)
    assert result.code == 0, result.output
    got = small.read_frames(run)
    assert [index for index, frame in got.items() if np.array_equal(frame, wanted[index])] == list(range(COUNT))


def test_binary_without_frames_runs_the_network_only(
    video: tuple[Path, list[np.ndarray]],
    boxes: list[tuple[int, int, int, int]],
    model: Path,
    tmp_path: Path,
    on_cluster: Command,
) -> None:
    clip, run = tmp_path / "clip", tmp_path / "run"
    binary(clip, *video, boxes)
    for image in (clip / "full_body_img").iterdir():
        image.unlink()
    (clip / "full_body_img").rmdir()
    base = ["composite", clip, "--model", model, "--out", run, "--device", "cpu"]
    refused = in_process.command(*base)
    assert refused.code == 2
    assert "--no-composite" in refused.output
    smooth = in_process.command(*base, "--no-composite", "--smooth-crops")
    assert smooth.code == 2
    assert "--smooth-crops: the export's network input is ready-made" in smooth.output
    result = on_cluster(*base, "--no-composite", "--workers", 1)
    assert result.code == 0, result.output
    record = json.loads((run / "run.json").read_text())
    assert record["totals"]["rendered"] == COUNT
