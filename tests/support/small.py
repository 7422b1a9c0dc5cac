"""Small clips and models that tests generate, and a way to run commands. Nothing here imports the product's code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, BACKGROUNDS, ROWS = 192, 160, 20, 45

# Of a PNG that tests read again and again.
READ_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 0, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]

# A feature of this value in an output frame's own row makes the model return NaN for that frame alone.
POISON = 777.0


@dataclass(frozen=True)
class SmallClip:
    folder: Path
    frames: list[NDArray[np.uint8]]
    boxes: list[tuple[int, int, int, int]]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Result:
    code: int
    output: str


def command(*arguments: object, timeout: float = 200, environment: Mapping[str, str] | None = None) -> Result:
    """Runs ``python -m jobs`` as a user does, from another folder than the repository's.

    Args:
        arguments: of the command.
        timeout: in seconds.
        environment: variables beside this process's own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(environment or {})},
        cwd="/",
        check=False,
    )
    return Result(done.returncode, done.stdout + done.stderr)


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A textured frame: smooth shapes that move with the index, and noise that a wrong pixel cannot hide in."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [127 + 90 * np.sin(x / (9 + c) + index / 5 + c) * np.cos(y / (7 + c) - index / 7) for c in range(3)]
    noise = rng.normal(0, 12, (height, width, 3))
    return np.clip(np.stack(waves, axis=2) + noise, 0, 255).astype(np.uint8)


def square(index: int) -> tuple[int, int, int, int]:
    side = 90 + index % 7
    x0, y0 = 20 + 3 * (index % 11), 15 + 2 * (index % 9)
    return x0, y0, x0 + side, y0 + side


def feature_rows(rows: int = ROWS) -> NDArray[np.float32]:
    return np.random.default_rng(5).gamma(0.4, 1.0, (rows, 512)).astype(np.float32)


def write_dataset(folder: Path, *, first: int = 1) -> SmallClip:
    """The SyncTalk dataset form; images count from ``first``, landmarks from 0."""
    (folder / "full_body_img").mkdir(parents=True)
    (folder / "landmarks").mkdir()
    frames = [picture(i) for i in range(BACKGROUNDS)]
    boxes = [square(i) for i in range(BACKGROUNDS)]
    for i, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
        cv2.imwrite(str(folder / "full_body_img" / f"{i + first}.png"), frame, READ_FAST)
        points = [(7, 9)] * 110
        points[1], points[52], points[31] = (box[0], 3), (4, box[1]), (box[2], 5)
        (folder / "landmarks" / f"{i}.lms").write_text("".join(f"{x} {y}\n" for x, y in points))
    features = feature_rows()
    np.save(folder / "aud_ave.npy", features)
    write_tone(folder / "aud.wav", ROWS / 25 + 0.04)
    return SmallClip(folder, frames, boxes, features)


def write_rects(path: Path, boxes: list[tuple[int, int, int, int]]) -> Path:
    path.write_text(json.dumps([list(box) for box in boxes]))
    return path


def write_tone(path: Path, seconds: float, rate: int = 16000, channels: int = 1) -> Path:
    """A tone that rises, so that a shifted or stretched sound can be told from a right one."""
    t = np.arange(round(seconds * rate)) / rate
    tone = (0.4 * np.sin(2 * np.pi * (200 + 300 * t) * t) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(tone, channels).tobytes())
    return path


def write_face_model(path: Path, batch: int | None = None) -> Path:
    """A network whose first layers see the picture alone, with work enough that what they make is worth keeping."""
    rng = np.random.default_rng(12)
    size: int | str = "batch" if batch is None else batch
    constants: dict[str, NDArray[np.generic]] = {
        "sight": rng.normal(0, 0.1, (16, 6, 8, 8)).astype(np.float32),
        "hearing": rng.normal(0, 0.01, (16, 32, 16, 16)).astype(np.float32),
        "mixer": rng.normal(0, 0.4, (3, 32, 1, 1)).astype(np.float32),
        "over": np.array([1, 1, 40, 40], np.float32),
        "back": np.array([1, 1, 8, 8], np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["pictures", "sight"], ["seen"], strides=[8, 8]),
        helper.make_node("Relu", ["seen"], ["face"]),
        helper.make_node("Conv", ["sounds", "hearing"], ["heard"]),
        helper.make_node("Resize", ["heard", "", "over"], ["everywhere"], mode="nearest"),
        helper.make_node("Concat", ["face", "everywhere"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "mixer"], ["mixed"]),
        helper.make_node("Resize", ["mixed", "", "back"], ["large"], mode="linear"),
        helper.make_node("Sigmoid", ["large"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "face",
        [
            helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [size, 6, 320, 320]),
            helper.make_tensor_value_info("sounds", TensorProto.FLOAT, [size, 32, 16, 16]),
        ],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [size, 3, 320, 320])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def write_model(path: Path, batch: int | None = None, *, output_planes: int = 3, opset: int = 17) -> Path:
    """A 1x1 convolution over all six planes, biased by the audio, then a sigmoid.

    Where the output frame's own feature row starts with `POISON` the result is NaN.
    """
    rng = np.random.default_rng(11)
    size: int | str = "batch" if batch is None else batch
    constants: dict[str, NDArray[np.generic]] = {
        "weight": rng.normal(0, 1.2, (output_planes, 6, 1, 1)).astype(np.float32),
        "mixer": rng.normal(0, 0.02, (32 * 256, output_planes)).astype(np.float32),
        "flat": np.array([0, -1], np.int64),
        "spread": np.array([-1, output_planes, 1, 1], np.int64),
        "poison": np.array(POISON, np.float32),
        "nan": np.array(np.nan, np.float32),
        # The window's ninth row is the frame's own; each row fills two of the 32 channels.
        "start": np.array([8 * 512], np.int64),
        "stop": np.array([8 * 512 + 1], np.int64),
        "axis": np.array([1], np.int64),
        "single": np.array([-1, 1, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["pictures", "weight"], ["mixed"]),
        helper.make_node("Reshape", ["sounds", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "mixer"], ["bias"]),
        helper.make_node("Reshape", ["bias", "spread"], ["shaped"]),
        helper.make_node("Add", ["mixed", "shaped"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["shown"]),
        helper.make_node("Slice", ["row", "start", "stop", "axis"], ["own"]),
        helper.make_node("Reshape", ["own", "single"], ["lone"]),
        helper.make_node("Equal", ["lone", "poison"], ["bad"]),
        helper.make_node("Where", ["bad", "nan", "shown"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "light",
        # Names and order tell nothing: tensors are bound by shape.
        [
            helper.make_tensor_value_info("sounds", TensorProto.FLOAT, [size, 32, 16, 16]),
            helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [size, 6, 320, 320]),
        ],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [size, output_planes, 320, 320])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(proto, str(path))
    return path


def read_frames(run: Path, suffix: str = "png") -> dict[int, NDArray[np.uint8]]:
    """The finished frames of a run, by number."""
    found = {}
    for path in sorted((run / "frames").glob(f"frame_*.{suffix}")):
        image = cv2.imread(str(path))
        assert image is not None, path
        found[int(path.stem.removeprefix("frame_"))] = np.asarray(image, np.uint8)
    return found


def contents(run: Path) -> dict[str, bytes]:
    """Every frame file's content, by name."""
    return {path.name: path.read_bytes() for path in sorted((run / "frames").iterdir())}
