"""The demo clip is whole, and its mouth opens with its sound."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import wave
from typing import TYPE_CHECKING

import cv2
import in_process
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from jobs.demo.demo_clip import (
    OUTPUT_FRAMES,
    SECOND_FRAMES,
    demo_folder,
    write_demo_batch,
    write_demo_clip,
    write_demo_model,
)
from jobs.demo.presenter import FRAMES, face_box, landmarks

if TYPE_CHECKING:
    from pathlib import Path

Bytes = npt.NDArray[np.uint8]


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _square(folder: Path, index: int) -> tuple[int, int, int]:
    """x0, y0 and side by the family's rule, read from the file."""
    lines = (folder / "landmarks" / f"{index}.lms").read_text(encoding="ascii").splitlines()
    points = [tuple(map(int, line.split(" "))) for line in lines]
    assert len(points) == 110
    return points[1][0], points[52][1], points[31][0] - points[1][0]


def _background(output: int) -> int:
    place = (output + 1) % (2 * (FRAMES - 1))
    return place if place < FRAMES else 2 * (FRAMES - 1) - place


def _inner(folder: Path, index: int) -> Bytes:
    x, y, side = _square(folder, index)
    frame = cv2.imread(str(folder / "full_body_img" / f"{index}.jpg"))
    assert frame is not None
    crop = cv2.resize(frame[y : y + side, x : x + side], (328, 328), interpolation=cv2.INTER_CUBIC)
    return np.asarray(crop[4:324, 4:324], np.uint8)


def test_the_folder_is_whole(demo_clip: Path) -> None:
    names = set(_digests(demo_clip))
    images = {f"full_body_img/{i}.jpg" for i in range(FRAMES)}
    points = {f"landmarks/{i}.lms" for i in range(FRAMES)}
    assert names == images | points | {"aud.wav", "aud_ave.npy"}
    assert FRAMES >= 100
    assert [path.name for path in demo_clip.parent.iterdir()] == ["clip"]


def test_every_image_is_720p(demo_clip: Path) -> None:
    frames = [cv2.imread(str(path)) for path in (demo_clip / "full_body_img").iterdir()]
    assert {frame.shape for frame in frames if frame is not None} == {(720, 1280, 3)}
    assert all(frame is not None for frame in frames)


def test_sound_and_features_are_longer_than_the_backgrounds(demo_clip: Path) -> None:
    features = np.load(demo_clip / "aud_ave.npy", allow_pickle=False)
    with wave.open(str(demo_clip / "aud.wav"), "rb") as file:
        seconds = file.getnframes() / file.getframerate()
    assert features.shape == (OUTPUT_FRAMES, 512)
    assert OUTPUT_FRAMES > FRAMES
    assert seconds == pytest.approx(OUTPUT_FRAMES / 25)


def test_squares_are_square_inside_the_frame_and_moving(demo_clip: Path) -> None:
    squares = np.array([_square(demo_clip, i) for i in range(FRAMES)])
    x, y, side = squares.T
    assert (x >= 0).all()
    assert (y >= 0).all()
    assert (x + side <= 1280).all()
    assert (y + side <= 720).all()
    assert side.min() >= 220
    assert side.max() <= 300
    assert np.ptp(x) >= 10
    assert np.ptp(y) >= 5
    assert np.ptp(side) >= 3
    # The head glides: neither it nor its square ever jumps.
    assert np.abs(np.diff(squares, axis=0)).max() <= 4


def test_landmarks_and_rect_say_the_same() -> None:
    for index in (0, 31, FRAMES - 1):
        points, box = landmarks(index), face_box(index)
        assert (points[1, 0], points[52, 1], points[31, 0]) == (box.x0, box.y0, box.x1)
        assert box.width == box.height


def test_a_clip_that_stands_is_left_alone(demo_clip: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo_clip.rglob("*")}
    write_demo_clip(demo_clip)
    assert {path: path.stat().st_mtime_ns for path in demo_clip.rglob("*")} == before


def test_a_build_that_cannot_finish_leaves_nothing_behind(tmp_path: Path) -> None:
    # A limit on file size stands in for a full disk; it needs a process of its own.
    script = (
        "import resource, sys, pathlib; from jobs.demo.demo_clip import write_demo_clip;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "write_demo_clip(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "clip")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_mouth_opens_with_the_sound(demo_clip: Path, tmp_path: Path) -> None:
    write_demo_model(tmp_path / "mouth.onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(tmp_path / "mouth.onnx"), options, providers=["CPUExecutionProvider"])
    features = np.load(demo_clip / "aud_ave.npy", allow_pickle=False)
    padded = np.pad(features, ((8, 8), (0, 0)))
    areas = []
    some = range(0, OUTPUT_FRAMES, 3)
    for output in some:
        inner = _inner(demo_clip, _background(output))
        masked = cv2.rectangle(inner.copy(), (5, 5, 310, 305), (0, 0, 0), -1)
        planes = np.concatenate([inner, masked], axis=2).transpose(2, 0, 1)[None].astype(np.float32) / 255
        audio = padded[output : output + 16].reshape(1, 32, 16, 16)
        (predicted,) = session.run(None, {"input": planes, "audio": audio})
        around = (predicted[0] * 255).astype(np.uint8)[:, 80:190, 90:230]
        areas.append(int((around.max(axis=0) < 80).sum()))

    with wave.open(str(demo_clip / "aud.wav"), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    envelope = np.sqrt((samples.reshape(OUTPUT_FRAMES, -1) ** 2).mean(axis=1))
    assert np.corrcoef(areas, envelope[some])[0, 1] > 0.9
    assert max(areas) > 800
    assert min(areas) < 30


def test_the_batch_of_two_names_both_recordings(tmp_path: Path) -> None:
    write_demo_batch(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows == [
        {"id": "first", "clip": "clip", "audio": "clip/aud.wav"},
        {"id": "second", "clip": "clip", "audio": "second.wav"},
    ]
    with wave.open(str(tmp_path / "second.wav"), "rb") as file:
        assert file.getnframes() / file.getframerate() == SECOND_FRAMES / 25
    assert {path.name for path in tmp_path.iterdir()} == {"clips.jsonl", "second.wav"}


@pytest.mark.parametrize("command", ["demo", "soak"])
@pytest.mark.parametrize("name", ["clip/0.jpg", "mouth.onnx", "run/run.json"])
def test_a_folder_of_somebodys_own_is_no_demos(tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"years of work")
    result = in_process.command(command, "--out", tmp_path)
    assert result.code == 2
    assert "that no demo has made" in result.output
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == b"years of work"


def test_an_earlier_demos_folder_is_a_demos(tmp_path: Path) -> None:
    names = ("clip", "mouth.onnx")
    assert demo_folder(tmp_path, names) == tmp_path
    write_demo_model(tmp_path / "mouth.onnx")
    (tmp_path / "clip").mkdir()
    assert demo_folder(tmp_path, names) == tmp_path
