"""Sessions on a GPU, as far as the CUDA that stands in can tell: options, faults, and two batches at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cuda_sessions
import cuda_stand_in
import numpy as np
import onnx
import pytest
import small

from actors.network.runtime import CUDNN_GRAPH, lone_cudnn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("card")


@pytest.fixture(scope="module")
def answers(folder: Path, clip: small.SmallClip) -> dict[str, Any]:
    """What becomes of the sessions of `cuda_sessions`, in one process because that takes seconds to start."""
    model = small.write_model(folder / "m.onnx")
    proto = onnx.load(str(model))
    flat = next(tensor for tensor in proto.graph.initializer if tensor.name == "flat")
    flat.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 32 * 256], np.int64), "flat"))
    onnx.save(proto, str(folder / "alone.onnx"))
    # Whoever wants TF32 does not get it.
    environment = {**os.environ, **cuda_stand_in.environment(folder), "NVIDIA_TF32_OVERRIDE": "1"}
    command = [
        sys.executable,
        cuda_sessions.__file__,
        str(folder),
        str(clip.folder),
        str(model),
        str(folder / "alone.onnx"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_cudnn_that_would_end_the_process_is_found_before_it_is_called(tmp_path: Path) -> None:
    """It aborts at the first call when it does not find its own part."""
    path = tmp_path / "libcudnn.so.9.1.0"
    maps = (
        "7f0000000000-7f0000001000 r--p 00000000 08:01 4096                       /usr/lib/libc.so.6\n"
        f"7f0000002000-7f0000003000 r-xp 00000000 08:01 4097                       {path}\n"
        "7f0000004000-7f0000005000 rw-p 00000000 00:00 0\n"
    )
    assert lone_cudnn(maps) == str(path)
    (tmp_path / CUDNN_GRAPH).touch()
    assert lone_cudnn(maps) == ""
    assert lone_cudnn("") == ""


@pytest.mark.parametrize("case", ["bindings", "graphs", "all options"])
def test_batches_in_both_bindings_at_once_give_what_each_gives_alone(answers: dict[str, Any], case: str) -> None:
    """A graph replays the addresses that it was captured with, so each binding must have its own."""
    assert answers[case] is True


def test_a_frame_alone_belongs_to_no_graph(answers: dict[str, Any]) -> None:
    assert answers["a frame alone beside graphs"] is True


@pytest.mark.usefixtures("answers")
def test_channels_last_and_the_fused_bias_go_together(folder: Path) -> None:
    (plain,), (graphed,), (tuned,) = (cuda_stand_in.sessions(folder / log) for log in ("log", "graphs", "tuned"))
    given = plain["provider_options"]
    assert tuned["provider_options"] == {
        **given,
        "prefer_nhwc": "1",
        "fuse_conv_bias": "1",
        "cudnn_conv_algo_search": "HEURISTIC",
        "enable_cuda_graph": "1",
    }
    assert graphed["provider_options"] == {**given, "enable_cuda_graph": "1"}
    assert [session["memory_pattern"] for session in (plain, graphed, tuned)] == [True, False, False]


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("no cudnn", "a library is missing"),
        ("old driver", "the driver is too old"),
        ("encoder without cudnn", "a library is missing"),
    ],
)
def test_a_session_without_cuda_is_known_when_it_is_built(answers: dict[str, Any], case: str, kind: str) -> None:
    error, subject, problem, fix = answers[case]
    assert (error, subject) == ("NoCudaError", "--device cuda")
    assert kind in problem
    assert fix.endswith("use --device cpu")


def test_a_batch_without_room_says_what_to_change(answers: dict[str, Any], folder: Path) -> None:
    error, subject, problem, fix = answers["no room"]
    assert (error, subject) == ("InputError", str(folder / "m.onnx"))
    assert "no room at batch 3" in problem
    assert "a smaller --batch" in fix
    assert answers["room"] == []


def test_a_batch_that_the_network_cannot_run_is_left_to_those_who_warm_it(answers: dict[str, Any]) -> None:
    """They go on with frames alone."""
    assert answers["cannot be built"] == []
    assert "fails when it runs at batch 2" in answers["cannot be run"][2]


def test_an_encoder_without_room_for_its_batch_takes_windows_alone(answers: dict[str, Any]) -> None:
    remark, same = answers["encoder without room"]
    assert "has no room at batch 32" in remark
    assert "windows are encoded alone" in remark
    assert same


ALL = "NHWC with fused bias, heuristic search, CUDA graph"
UNGRAPHED = "NHWC with fused bias, heuristic search"


@pytest.mark.parametrize(
    ("case", "used", "reasons"),
    [
        ("tuned", ALL, ()),
        ("tuned, but for a graph", UNGRAPHED, (f"without {ALL}: ",)),
        ("a graph alone that fails", "plain", ("without CUDA graph: ",)),
        ("tuned, but for NHWC", "plain", (f"without {ALL}: its answers are not", f"without {UNGRAPHED}: its answers")),
        ("worker", ALL, ()),
        ("worker in fp16", ALL, ()),
        ("worker of NHWC", "plain", (f"without {ALL}: its answers are not", f"without {UNGRAPHED}: its answers")),
        ("worker of NHWC in fp16", "plain", (f"without {ALL}: its answers are not", f"without {UNGRAPHED}: its")),
        ("tuned, but for a search", "plain", (f"without {ALL}: ", f"without {UNGRAPHED}: ")),
    ],
)
def test_options_are_used_as_far_as_answers_stay_the_same(
    answers: dict[str, Any], case: str, used: str, reasons: tuple[str, ...]
) -> None:
    options, note = answers[case]
    assert options == used
    assert note.count("the session goes ") == len(reasons)
    assert all(f"the session goes {reason}" in note for reason in reasons)
