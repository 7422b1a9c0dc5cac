"""Sessions on the CUDA that stands in, in a process that has it: what becomes of each, as JSON on standard output.

Called with a folder, a clip, its network and a network that runs at one frame alone. Each case has a card of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cuda_stand_in
import numpy as np
from encoders import write_encoder
from lone import plan_of
from numpy.typing import NDArray

from actors.core.audio_track import AudioTrack
from actors.core.choices import PLAIN, Device, GpuTuning, Precision
from actors.core.errors import InputError
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.audio_encoder import WINDOW_SHAPE, Encoder, EncoderConfig, read_encoder
from actors.network.batch_check import Sample
from actors.network.prediction import Prediction
from actors.network.recognition import read_model
from actors.network.session import Session, SessionOptions
from actors.network.tuned_session import replies, tuned_session
from actors.rendering.worker_session import ready_session
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions

ALL = GpuTuning(fused_nhwc=True, heuristic_search=True, graph=True)
CAPTURE = "CUDA failure 900: operation not permitted when stream is capturing ; GPU=0"
TOO_OLD = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0"


def session(model: Path, batch: int, tuning: GpuTuning = PLAIN) -> Session:
    """A session on the card, warm."""
    tensors = read_model(str(model), UNET_328)
    options = SessionOptions(Device.CUDA, batch=batch, gpu_memory=1 << 30, bind=True, tuning=tuning)
    return Session(str(model), tensors, UNET_328, options)


def inputs(count: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Pictures and sound of some frames."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (count, 3, 320, 320), np.uint8), rng.random((count, 32, 16, 16), np.float32)


def said(call: Callable[[], object]) -> list[str]:
    """What the error of a call is; nothing where there is none."""
    try:
        call()
    except InputError as error:
        return [type(error).__name__, error.subject, error.problem, error.fix]
    return []


def interleaved(model: Path, tuning: GpuTuning = PLAIN) -> bool:
    """Whether batches that two threads send through both bindings give what each gives alone on the CPU."""
    pictures, sound = inputs(8)
    parts = [slice(start, start + 2) for start in range(0, 8, 2)]
    plain = Session(str(model), read_model(str(model), UNET_328), UNET_328, SessionOptions(Device.CPU, batch=2))
    expected = [plain.run(pictures[part], sound[part]).planes for part in parts]
    first, second = session(model, 2, tuning).bindings
    same = []
    with ThreadPoolExecutor(2) as others:
        for i in range(0, len(parts), 2):
            # Both are loaded before one is run, and both are run before one is fetched.
            pair = list(zip((first, second), parts[i : i + 2], strict=True))
            list(others.map(lambda one: one[0].load(pictures[one[1]], sound[one[1]]), pair))
            for binding, _ in pair:
                binding.run()
            fetched = others.map(lambda one: one[0].fetch().planes, reversed(pair))
            same += [np.array_equal(answer, expected[i + 1 - k]) for k, answer in enumerate(fetched)]
    return same == [True] * len(parts)


def alone_beside_graphs(model: Path) -> bool:
    """Whether a session of graphs also answers to one frame without others."""
    frame = inputs(1)
    graphed = session(model, 2, GpuTuning(graph=True))
    return np.array_equal(graphed.run_single(*frame).planes, graphed.run(*frame).planes)


def tuned(model: Path, tuning: GpuTuning) -> tuple[str, str]:
    """Which options a session has in the end, of those that are wanted, and why."""
    frames = [Sample(picture[None], sound[None], ()) for picture, sound in zip(*inputs(3), strict=True)]
    right = replies(session(model, 2), frames)

    def agree(found: Sequence[Prediction], wanted: Sequence[Prediction]) -> bool:
        return all(one.equals(other, 1) for one, other in zip(found, wanted, strict=True))

    made, note = tuned_session(lambda options: session(model, 2, options), tuning, right, frames, agree)
    return str(made.tuning), note


def worker(clip: Path, model: Path, precision: Precision) -> tuple[str, str]:
    """As `tuned`, of a worker that renders a clip."""
    options = CompositeOptions(clip=str(clip), model=str(model), out="", precision=precision)
    inputs = read_inputs(options)
    assert isinstance(inputs.audio, AudioTrack)
    plan = plan_of(options, inputs, Path(), batch=3)
    config = replace(plan.network, device=Device.CUDA, tuning=ALL)
    ready = ready_session(config, 8 << 30, plan.clip(inputs.audio))
    return str(ready.session.tuning), "; ".join(ready.notes)


def encoded(encoder: Path) -> tuple[str, bool]:
    """What the encoder says of batches, and whether its rows are those of the CPU."""
    windows = np.random.default_rng(1).uniform(-4, 4, (5, *WINDOW_SHAPE[1:])).astype(np.float32)
    tensors = read_encoder(str(encoder))
    one, other = (Encoder(EncoderConfig(str(encoder), tensors, device, 1, 0)) for device in (Device.CUDA, Device.CPU))
    same = np.allclose(one.encode(windows), other.encode(windows), rtol=0, atol=1e-4)
    return one.remark(), same


def main(folder: Path, clip: Path, model: Path, alone: Path) -> None:
    """Goes through all cases."""
    encoder = write_encoder(folder / "encoder.onnx")
    config = EncoderConfig(str(encoder), read_encoder(str(encoder)), Device.CUDA, 1, 0)
    answers: dict[str, object] = {}
    cases: list[tuple[str, dict[str, object], Callable[[], object]]] = [
        ("bindings", {"log": str(folder / "log")}, lambda: interleaved(model)),
        ("graphs", {"log": str(folder / "graphs")}, lambda: interleaved(model, GpuTuning(graph=True))),
        ("all options", {"log": str(folder / "tuned")}, lambda: interleaved(model, ALL)),
        ("a frame alone beside graphs", {}, lambda: alone_beside_graphs(model)),
        ("tuned", {}, lambda: tuned(model, ALL)),
        ("tuned, but for NHWC", {"breaks": ("prefer_nhwc",)}, lambda: tuned(model, ALL)),
        ("tuned, but for a search", {"refuses": ("cudnn_conv_algo_search",)}, lambda: tuned(model, ALL)),
        ("tuned, but for a graph", {"fails_at_capture": CAPTURE}, lambda: tuned(model, ALL)),
        ("a graph alone that fails", {"fails_at_capture": CAPTURE}, lambda: tuned(model, GpuTuning(graph=True))),
        ("worker", {}, lambda: worker(clip, model, Precision.FP32)),
        ("worker of NHWC", {"breaks": ("prefer_nhwc",)}, lambda: worker(clip, model, Precision.FP32)),
        ("worker in fp16", {}, lambda: worker(clip, model, Precision.FP16)),
        ("worker of NHWC in fp16", {"breaks": ("prefer_nhwc",)}, lambda: worker(clip, model, Precision.FP16)),
        ("no cudnn", {"fails_at_first_run": cuda_stand_in.NO_CUDNN}, lambda: said(lambda: session(model, 2))),
        ("old driver", {"fails_at_creation": TOO_OLD}, lambda: said(lambda: session(model, 2))),
        ("no room", {"memory_above_batch": 2}, lambda: said(lambda: session(model, 3))),
        ("room", {"memory_above_batch": 2}, lambda: said(lambda: session(model, 2))),
        ("cannot be built", {}, lambda: said(lambda: session(alone, 2))),
        ("cannot be run", {}, lambda: said(session(alone, 2).warm_up)),
        (
            "encoder without cudnn",
            {"fails_at_first_run": cuda_stand_in.NO_CUDNN},
            lambda: said(lambda: Encoder(config).prepare()),
        ),
        ("encoder without room", {"memory_above_batch": 1}, lambda: encoded(encoder)),
    ]
    for name, settings, case in cases:
        cuda_stand_in.environment(folder, **settings)
        answers[name] = case()
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
