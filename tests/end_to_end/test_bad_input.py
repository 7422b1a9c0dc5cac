"""Bad input: one line that names the file and the fix, exit code 2, nothing written, no Ray started."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import in_process
import numpy as np
import onnx
import pytest
import small
from small import SmallClip

# A change to a good clip or command that makes it bad: takes the clip's folder, gives flags to add.
Spoil = Callable[[Path], list[object]]


def no_clip(clip: Path) -> list[object]:
    shutil.rmtree(clip)
    return []


def missing_image(clip: Path) -> list[object]:
    (clip / "full_body_img" / "7.png").unlink()
    return []


def fewer_landmarks(clip: Path) -> list[object]:
    (clip / "landmarks" / "19.lms").unlink()
    return []


def mixed_sizes(clip: Path) -> list[object]:
    cv2.imwrite(str(clip / "full_body_img" / "5.png"), small.picture(5, 200, 160))
    return []


def fewer_rects(clip: Path) -> list[object]:
    return ["--rects", small.write_rects(clip / "squares.json", [small.square(i) for i in range(19)])]


def rect_outside(clip: Path) -> list[object]:
    return ["--rect", "100,100,93,60"]


def broken_rects(clip: Path) -> list[object]:
    (clip / "squares.json").write_text('{"0": {"rect": [1, 2')
    return ["--rects", clip / "squares.json"]


def truncated_video(clip: Path) -> list[object]:
    shutil.rmtree(clip / "full_body_img")
    (clip / "full_body_video.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(400))
    return []


def narrow_features(clip: Path) -> list[object]:
    np.save(clip / "aud_ave.npy", np.zeros((45, 256), np.float32))
    return []


def infinite_features(clip: Path) -> list[object]:
    rows = small.feature_rows()
    rows[12, 3] = np.inf
    np.save(clip / "aud_ave.npy", rows)
    return []


def no_features(clip: Path) -> list[object]:
    (clip / "aud_ave.npy").unlink()
    return []


def frames_out_of_range(clip: Path) -> list[object]:
    return ["--frames", "40:46"]


def frames_backwards(clip: Path) -> list[object]:
    return ["--frames", "9:3"]


def foreign_out(clip: Path) -> list[object]:
    (clip.parent / "run").mkdir()
    (clip.parent / "run" / "thesis.txt").write_text("years of work")
    return []


def no_model(clip: Path) -> list[object]:
    return ["--model", clip / "absent.onnx"]


def model_of_other_planes(clip: Path) -> list[object]:
    return ["--model", small.write_model(clip / "six.onnx", output_planes=6)]


def model_too_new(clip: Path) -> list[object]:
    return ["--model", small.write_model(clip / "new.onnx", opset=99)]


def model_that_is_none(clip: Path) -> list[object]:
    (clip / "text.onnx").write_text("not a network")
    return ["--model", clip / "text.onnx"]


def cuda_without_a_gpu(clip: Path) -> list[object]:
    return ["--device", "cuda"]


def audio_without_video(clip: Path) -> list[object]:
    return ["--audio", clip / "aud.wav"]


def audio_that_is_none(clip: Path) -> list[object]:
    (clip / "noise.wav").write_bytes(b"RIFF....not a sound")
    return ["--video", "--audio", clip / "noise.wav"]


def no_such_option(clip: Path) -> list[object]:
    return ["--workes", 4]


def zero_workers(clip: Path) -> list[object]:
    return ["--workers", 0]


def half_a_gpu_too_much(clip: Path) -> list[object]:
    return ["--gpus-per-worker", 1.5]


def no_parsing(clip: Path) -> list[object]:
    return ["--parsing", clip / "masks"]


def fewer_masks(clip: Path) -> list[object]:
    return ["--parsing", write_masks(clip, 19)]


def larger_masks(clip: Path) -> list[object]:
    return ["--parsing", write_masks(clip, 20, width=200)]


def parsing_without_compositing(clip: Path) -> list[object]:
    return ["--parsing", write_masks(clip, 20), "--no-composite"]


def write_masks(clip: Path, count: int, width: int = small.WIDTH) -> Path:
    folder = clip / "masks"
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), np.zeros((small.HEIGHT, width, 3), np.uint8))
    return folder


CASES: dict[Spoil, tuple[str, ...]] = {
    no_clip: ("clip: there is no such clip",),
    missing_image: ("full_body_img", "missing", "7"),
    fewer_landmarks: ("20", "19", "landmarks"),
    mixed_sizes: ("5.png", "200x160", "192x160"),
    fewer_rects: ("squares.json", "19", "20"),
    rect_outside: ("--rect", "192x160"),
    broken_rects: ("squares.json",),
    truncated_video: ("full_body_video.mp4",),
    narrow_features: ("aud_ave.npy", "(45, 256)", "512"),
    infinite_features: ("aud_ave.npy", "12"),
    no_features: ("--features",),
    frames_out_of_range: ("--frames 40:46", "45"),
    frames_backwards: ("--frames 9:3",),
    foreign_out: ("run", "not empty"),
    no_model: ("absent.onnx", "no such model"),
    model_of_other_planes: ("six.onnx", "3x320x320"),
    model_too_new: ("new.onnx", "99", "opset 17"),
    model_that_is_none: ("text.onnx", "text file"),
    cuda_without_a_gpu: ("--device cuda", "--device cpu"),
    audio_without_video: ("--audio", "--video"),
    audio_that_is_none: ("noise.wav",),
    no_such_option: ("--workes",),
    zero_workers: ("--workers",),
    half_a_gpu_too_much: ("--gpus-per-worker", "whole number"),
    no_parsing: ("masks", "there is no such folder", "--parsing"),
    fewer_masks: ("19 parsing masks", "20 backgrounds"),
    larger_masks: ("0.png", "200x160", "192x160"),
    parsing_without_compositing: ("--parsing", "--no-composite"),
}


# What a cluster has is asked of the cluster.
NEED_RAY = {cuda_without_a_gpu}


@pytest.mark.parametrize(
    "spoil",
    [pytest.param(spoil, id=spoil.__name__, marks=[pytest.mark.cluster] * (spoil in NEED_RAY)) for spoil in CASES],
)
def test_bad_input(spoil: Spoil, clip: SmallClip, model: Path, tmp_path: Path) -> None:
    copy, run = tmp_path / "clip", tmp_path / "run"
    shutil.copytree(clip.folder, copy)
    flags = spoil(copy)
    before = sorted(run.rglob("*"))
    base = ["composite", copy, "--out", run, "--format", "jpg"]
    result = in_process.command(*base, *([] if "--model" in flags else ["--model", model]), *flags)
    assert result.code == 2, result.output
    assert "Traceback" not in result.output
    for part in CASES[spoil]:
        assert part in result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert sorted(run.rglob("*")) == before


def test_inspect_names_every_problem(clip: SmallClip, tmp_path: Path) -> None:
    copy = tmp_path / "clip"
    shutil.copytree(clip.folder, copy)
    narrow_features(copy)
    result = in_process.command("inspect", copy, "--model", copy / "absent.onnx")
    assert result.code == 2
    assert result.output.count("problem: ") == 2
    assert "backgrounds: 20, 192x160" in result.output


def test_inspect_checks_parsing_masks(clip: SmallClip, tmp_path: Path) -> None:
    good = in_process.command("inspect", clip.folder, "--parsing", write_masks(tmp_path, 20))
    assert good.code == 0, good.output
    assert "20 masks of 192x160" in good.output
    (tmp_path / "masks" / "7.png").unlink()
    bad = in_process.command("inspect", clip.folder, "--parsing", tmp_path / "masks")
    assert bad.code == 2
    assert bad.output.count("problem: ") == 1
    assert "missing: 7" in bad.output


def test_inspect_of_a_good_clip(clip: SmallClip, model: Path) -> None:
    result = in_process.command("inspect", clip.folder, "--model", model)
    assert result.code == 0, result.output
    for part in ("form dataset", "20, 192x160", "45 rows", "unet-328-ave", "no problems found", "MiB"):
        assert part in result.output


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (["Tanh"], "lie in [-1, 1], as after tanh"),
        (["Sigmoid", "Mul"], "lie in [0, 255]"),
        (["Identity"], "have no bounds, as before a sigmoid"),
    ],
    ids=["tanh", "bytes", "logits"],
)
def test_inspect_shows_the_network_frames_of_the_clip(
    clip: SmallClip, tmp_path: Path, last: list[str], words: str
) -> None:
    proto = onnx.load(str(small.write_model(tmp_path / "m.onnx")))
    nodes = []
    for node in proto.graph.node:
        nodes.append(node)
        if node.op_type == "Sigmoid":
            node.op_type = last[0]
        if node.op_type == last[0] and last[1:]:
            node.output[:] = ["unit"]
            nodes.append(onnx.helper.make_node("Mul", ["unit", "levels"], ["shown"]))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(255, np.float32), "levels"))
    onnx.save(proto, str(tmp_path / "m.onnx"))
    result = in_process.command("inspect", clip.folder, "--model", tmp_path / "m.onnx", "--batch", 2)
    assert result.code == 2
    assert "runs on the CPU here, at batch 2" in result.output
    (problem,) = (line for line in result.output.splitlines() if line.startswith("problem: "))
    assert "2 of 2 frames of the clip cannot be shown" in problem
    assert words in problem


def test_fewer_rows_than_a_window_work(clip: SmallClip, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", small.feature_rows(3))
    result = in_process.command("inspect", clip.folder, "--features", tmp_path / "short.npy")
    assert result.code == 0
    assert "3 rows" in result.output


def test_options_from_a_file(clip: SmallClip, model: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f"clip = {json.dumps(str(clip.folder))}\nmodel = {json.dumps(str(model))}\nframes = '44:99'\n")
    result = in_process.command("composite", "--config", config, "--out", tmp_path / "run")
    assert result.code == 2
    assert "--frames 44:99" in result.output
    config.write_text("colour = 'red'\n")
    result = in_process.command("composite", clip.folder, "--config", config, "--out", tmp_path / "run")
    assert result.code == 2
    assert "colour" in result.output
