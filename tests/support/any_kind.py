"""Clips and models for any kind of network, made of its facts alone. Nothing here imports the product's code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import reference_kinds as kinds
import small
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from reference_kinds import Facts, Floats, Image, Rect

BACKGROUNDS = 5
# Sound of so many seconds; as features, so many rows.
SECONDS = 0.5


def takes_mel(facts: Facts) -> bool:
    return facts.tensor == (1, 80, 16)


def side_of(facts: Facts) -> int:
    return facts.crop - 2 * facts.border


@dataclass(frozen=True)
class KindClip:
    """A folder of frames, and what else the command is told."""

    folder: Path
    frames: list[Image]
    boxes: list[Rect]
    flags: list[str]


def write_model(path: Path, facts: Facts) -> Path:
    """A 1x1 convolution over all six planes, biased by all of the audio, then a sigmoid; names mislead."""
    rng = np.random.default_rng(11)
    values, side = int(np.prod(facts.tensor)), side_of(facts)
    constants: dict[str, NDArray[np.generic]] = {
        "weight": rng.normal(0, 1.2, (3, 6, 1, 1)).astype(np.float32),
        "mixer": rng.normal(0, 2 / np.sqrt(values), (values, 3)).astype(np.float32),
        "flat": np.array([0, -1], np.int64),
        "spread": np.array([-1, 3, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["mel", "weight"], ["mixed"]),
        helper.make_node("Reshape", ["face", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "mixer"], ["bias"]),
        helper.make_node("Reshape", ["bias", "spread"], ["shaped"]),
        helper.make_node("Add", ["mixed", "shaped"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["shown"]),
    ]
    graph = helper.make_graph(
        nodes,
        "light",
        [
            helper.make_tensor_value_info("face", TensorProto.FLOAT, ["n", *facts.tensor]),
            helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["n", 6, side, side]),
        ],
        [helper.make_tensor_value_info("shown", TensorProto.FLOAT, ["n", 3, side, side])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def write_clip(folder: Path, facts: Facts) -> KindClip:
    """Textured frames with moving faces, oblong ones for Wav2Lip, and a sound or features."""
    folder.mkdir()
    frames = [small.picture(i) for i in range(BACKGROUNDS)]
    tall = 20 if takes_mel(facts) else 0
    boxes = [(x0, y0, x1, y1 + tall) for x0, y0, x1, y1 in map(small.square, range(BACKGROUNDS))]
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{i}.png"), frame)
    flags = ["--rects", str(small.write_rects(folder.with_suffix(".json"), boxes))]
    small.write_tone(folder / "aud.wav", SECONDS)
    if not takes_mel(facts):
        rng = np.random.default_rng(5)
        rows = rng.gamma(0.4, 1.0, (round(SECONDS * facts.fps), *facts.row)).astype(np.float32)
        np.save(folder.with_suffix(".npy"), rows)
        flags += ["--features", str(folder.with_suffix(".npy")), "--audio", str(folder / "aud.wav")]
    return KindClip(folder, frames, boxes, flags)


def render(facts: Facts, clip: KindClip, sounds: Floats, model: Path) -> Iterator[tuple[int, Image]]:
    """Number of the background and picture of every output frame, the audio tensor of each being given."""
    session = kinds.open_session(model)
    for t, sound in enumerate(sounds):
        background = kinds.background_index(facts.loop, t, len(clip.frames))
        frame, box = clip.frames[background], clip.boxes[background]
        planes, crop = kinds.network_input(facts, frame, box)
        prediction = kinds.predict(session, planes, sound)
        yield background, kinds.paste(facts, frame, box, crop, prediction)
