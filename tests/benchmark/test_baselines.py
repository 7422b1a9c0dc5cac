"""The baseline programs, run as the benchmark runs them: right pixels, honest counts, nothing of ours."""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import reference
import small
from exports import halved
from forked import run_script
from numpy.typing import NDArray

from jobs.benchmark.matrix import System

BASELINES = small.ROOT / "jobs" / "benchmark" / "baselines"
SCRIPTS = {"shared", "without_ray", "ray_data"}
# Every background is shown, then again on the way back, and 45 frames are eleven batches of four and one more.
FRAMES, BATCH, QUALITY = small.ROWS, 4, 80

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """A clip on disk, and what must become of every frame of it."""

    spec: dict[str, Any]
    expected: list[Image]


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("baselines")
    frames = [small.picture(i) for i in range(small.BACKGROUNDS)]
    rects = [small.square(i) for i in range(small.BACKGROUNDS)]
    features = small.feature_rows()
    backgrounds = [folder / f"{i}.png" for i in range(len(frames))]
    for path, frame in zip(backgrounds, frames, strict=True):
        cv2.imwrite(str(path), frame)
    np.save(folder / "features.npy", features)
    model = small.write_model(folder / "light.onnx")
    expected = [image for _, _, image in reference.render(frames, rects, features, model)]
    spec = {
        "backgrounds": [str(path) for path in backgrounds],
        "rects": rects,
        "features": str(folder / "features.npy"),
        "model": str(model),
        "image_input": "pictures",
        "audio_input": "sounds",
        "output": "answer",
        "inner": 320,
        "crop": 328,
        "mask": [5, 5, 310, 305],
        "masked_first": False,
        "crop_filter": cv2.INTER_CUBIC,
        "paste_filter": cv2.INTER_CUBIC,
        "rows": 16,
        "audio": [32, 16, 16],
        "format": "png",
        "quality": QUALITY,
        "frames": FRAMES,
        "workers": 2,
        "threads": 1,
        "batch": BATCH,
        "provider": "CPUExecutionProvider",
        "seconds": None,
    }
    return Clip(spec, expected)


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def start(program: str, spec: dict[str, Any], folder: Path) -> Ended:
    """Runs a program as a stranger would: from elsewhere, with nothing of ours on its path."""
    path = folder / "spec.json"
    path.write_text(json.dumps({"system": program, "out": str(folder / "out"), **spec}))
    (folder / "out").mkdir(exist_ok=True)
    script = BASELINES / f"{'ray_data' if program == 'ray_data' else 'without_ray'}.py"
    if program not in {"ray_data", "single"}:
        return Ended(*run_script(script, str(path), folder=folder, seconds=200))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(script), str(path)],
        capture_output=True,
        text=True,
        timeout=200,
        env=environment,
        cwd="/",
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def answer(program: str, spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a program that must succeed answers on its last line."""
    done = start(program, spec, folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == {"frames", "runs", "seconds"}
    assert found["seconds"] > 0
    return found


def written(folder: Path, suffix: str) -> list[Image]:
    """The frames in ``out`` in order; every file there must be one of them."""
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == [f"frame_{t:06d}.{suffix}" for t in range(FRAMES)]
    return [np.asarray(cv2.imread(str(folder / "out" / name)), np.uint8) for name in names]


def assert_equal(found: list[Image], expected: list[Image]) -> None:
    wrong = [t for t, (a, b) in enumerate(zip(found, expected, strict=True)) if not np.array_equal(a, b)]
    assert wrong == []


def test_all_programs_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BASELINES))
    programs = importlib.import_module("without_ray").PROGRAMS
    assert [*programs, "ray_data", "ours"] == [system.value for system in System]
    assert {path.stem for path in BASELINES.glob("*.py")} == {"__init__", *SCRIPTS}


@pytest.mark.parametrize(
    ("program", "runs"),
    [
        ("single", FRAMES),
        ("batch", 12),
        ("thread_pool", 12),
        ("thread_pool_overlapped", 12),
        # Two pieces of 22 and 23 frames.
        ("workers_static", 12),
        ("plain_loop", 12),
        # What it does while its pipeline fills is not counted, at most the half of it.
        pytest.param("ray_data", 6, marks=pytest.mark.cluster),
    ],
)
def test_every_pixel_is_right(program: str, runs: int, footage: Clip, tmp_path: Path) -> None:
    found = answer(program, footage.spec, tmp_path)
    if program == "ray_data":
        assert runs <= found["runs"] <= 12
        # The last batch has a single frame, and may be among those that are not counted.
        assert found["frames"] in {BATCH * found["runs"] - 3, BATCH * found["runs"]}
    else:
        assert (found["frames"], found["runs"]) == (FRAMES, runs)
    assert_equal(written(tmp_path, "png"), footage.expected)


def test_a_network_of_half_floats_gets_half_floats(footage: Clip, tmp_path: Path) -> None:
    model = onnx.load(footage.spec["model"])
    for tensors in (True, False):
        onnx.save(halved(model, tensors=tensors), tmp_path / f"{tensors}.onnx")
    answer("batch", {**footage.spec, "model": str(tmp_path / "True.onnx")}, tmp_path)
    # The same network with casts of its own takes what the reference gives; ONNX Runtime rounds less often in it.
    frames = [small.picture(i) for i in range(small.BACKGROUNDS)]
    rects = [small.square(i) for i in range(small.BACKGROUNDS)]
    rendered = reference.render(frames, rects, small.feature_rows(), tmp_path / "False.onnx")
    shown = written(tmp_path, "png")
    wrong = [np.abs(frame.astype(int) - image).max() for frame, (_, _, image) in zip(shown, rendered, strict=True)]
    assert max(wrong) <= 2


@pytest.mark.parametrize(
    ("began", "counted"),
    [
        # The pipeline is full after two seconds.
        ([0.0, 0.0, 1.1, 1.6, 2.0, 2.1, 2.1, 2.2, 2.3, 2.4], 6),
        # Too few began after that.
        ([0.0, 0.1, 0.2, 0.3, 2.5], 3),
        ([5.0], 1),
    ],
)
def test_of_ray_data_counts_what_began_when_its_pipeline_was_full(
    began: list[float], counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BASELINES))
    settled = importlib.import_module("ray_data").settled
    rows = {"data": np.arange(2 * len(began)), "began": np.repeat(began, 2)}
    order = np.random.default_rng(0).permutation(2 * len(began))
    found = settled({name: values[order] for name, values in rows.items()})
    assert sorted(found["data"]) == list(range(2 * (len(began) - counted), 2 * len(began)))


@pytest.mark.parametrize("program", ["single", "plain_loop"])
def test_jpeg_is_opencvs_own_at_the_given_quality(program: str, footage: Clip, tmp_path: Path) -> None:
    answer(program, {**footage.spec, "format": "jpg"}, tmp_path)
    encoded = [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1] for image in footage.expected]
    decoded = [np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8) for content in encoded]
    assert_equal(written(tmp_path, "jpg"), decoded)


def test_a_model_of_fixed_batch_gets_its_last_batch_filled_up(footage: Clip, tmp_path: Path) -> None:
    model = small.write_model(tmp_path / "fixed.onnx", BATCH)
    answer("batch", {**footage.spec, "model": str(model)}, tmp_path)
    assert_equal(written(tmp_path, "png"), footage.expected)


def test_more_workers_than_frames(footage: Clip, tmp_path: Path) -> None:
    found = answer("workers_static", {**footage.spec, "frames": 2, "workers": 3}, tmp_path)
    assert found["frames"] == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_inference_without_compositing_predicts_every_frame_and_writes_none(footage: Clip, tmp_path: Path) -> None:
    found = answer("workers_inference", footage.spec, tmp_path)
    assert (found["frames"], found["runs"]) == (FRAMES, 12)
    assert list((tmp_path / "out").iterdir()) == []


def test_bare_runs_whole_batches_until_the_frames_are_done(footage: Clip, tmp_path: Path) -> None:
    found = answer("bare", footage.spec, tmp_path)
    assert (found["frames"], found["runs"]) == (48, 12)
    assert list((tmp_path / "out").iterdir()) == []


def test_bare_runs_for_the_seconds_it_is_given(footage: Clip, tmp_path: Path) -> None:
    found = answer("bare", {**footage.spec, "frames": 1, "seconds": 0.5}, tmp_path)
    assert found["seconds"] >= 0.5
    assert found["frames"] == BATCH * found["runs"] > 2 * BATCH


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provider": "NoSuchExecutionProvider"}, "NoSuchExecutionProvider"),
        ({"model": "/nowhere.onnx"}, "/nowhere.onnx"),
        ({"out": "/nowhere"}, "a process ended with 1"),
    ],
)
def test_a_worker_that_fails_ends_the_program(change: dict[str, Any], said: str, footage: Clip, tmp_path: Path) -> None:
    failed = start("plain_loop", {**footage.spec, **change}, tmp_path)
    assert failed.returncode != 0
    assert '"frames"' not in failed.stdout
    assert said in failed.stderr


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU")
def test_without_a_gpu_cuda_is_not_replaced_by_the_cpu(footage: Clip, tmp_path: Path) -> None:
    # ONNX Runtime itself would print a line and go on.
    failed = start("batch", {**footage.spec, "provider": "CUDAExecutionProvider"}, tmp_path)
    assert failed.returncode != 0
    assert "CUDAExecutionProvider could not be had" in failed.stderr


@pytest.mark.parametrize("program", ["batch", "thread_pool", "thread_pool_overlapped", "plain_loop"])
@pytest.mark.parametrize("t", [0, FRAMES - 1])
def test_a_frame_that_cannot_be_written_is_not_passed_over(program: str, t: int, footage: Clip, tmp_path: Path) -> None:
    (tmp_path / "out" / f"frame_{t:06d}.png").mkdir(parents=True)
    failed = start(program, footage.spec, tmp_path)
    assert failed.returncode != 0
    assert f"frame_{t:06d}.png cannot be written" in failed.stderr
    assert '"frames"' not in failed.stdout


@pytest.mark.parametrize("program", sorted(SCRIPTS))
def test_a_baseline_uses_nothing_of_ours(program: str) -> None:
    tree = ast.parse((BASELINES / f"{program}.py").read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in branch.body
    }
    allowed = {"shared", "numpy", "cv2", "onnxruntime"} | ({"ray"} if program == "ray_data" else set())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) in for_types:
            assert node.module == "jobs.benchmark.baselines"
            assert {name.name for name in node.names} == {"shared"}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            assert not isinstance(node, ast.ImportFrom) or node.level == 0
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            tops = {name.split(".")[0] for name in names}
            assert tops <= allowed | sys.stdlib_module_names
