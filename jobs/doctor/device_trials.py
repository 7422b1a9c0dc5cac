"""Steps 0 to 4: copies, files, sessions, half precision, options of the provider, times by node."""

from __future__ import annotations

import ctypes
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Device, Precision
from actors.core.errors import InputError
from actors.files.node_facts import find_here, try_disk
from actors.network.runtime import ExportedNetwork
from actors.network.session import Session, SessionOptions
from actors.rendering.precision_check import compare_precisions
from actors.rendering.worker_session import load_samples
from jobs.doctor.rig import Rig, clip_of
from jobs.doctor.steps import BATCH, OPTION_TRIALS, Figures

# Bytes of a copy: a batch of 16 pictures of 320 x 320.
COPY_BYTES = 5_000_000
SLOWEST_NODES = 15
FILE_SECONDS = 4.0
# CUDA's constants.
TO_DEVICE, DEFAULT_FLAGS = 1, 0
SEED = 328


def copies(rig: Rig) -> Figures:
    """Copies to the device from memory as it comes, and from memory that the system keeps in its place."""
    runtime = ctypes.CDLL(find_here("libcudart.so.13").path or "libcudart.so.13")
    pageable = ctypes.create_string_buffer(COPY_BYTES)
    device, pinned = ctypes.c_void_p(), ctypes.c_void_p()
    _check(runtime.cudaMalloc(ctypes.byref(device), ctypes.c_size_t(COPY_BYTES)))
    _check(runtime.cudaHostAlloc(ctypes.byref(pinned), ctypes.c_size_t(COPY_BYTES), DEFAULT_FLAGS))

    def copy(host: Any) -> Callable[[], None]:  # noqa: ANN401 - a pointer of either sort
        return lambda: _check(runtime.cudaMemcpy(device, host, ctypes.c_size_t(COPY_BYTES), TO_DEVICE))

    hosts = {"pageable_gbs": pageable, "pinned_gbs": pinned}
    return {name: COPY_BYTES / 1e9 / _seconds_each(copy(host), rig.seconds / 2) for name, host in hosts.items()}


def _check(code: int) -> None:
    if code:
        raise RuntimeError(f"CUDA answers with error {code}")


def disk(folder: Path) -> Figures:
    """Files of a frame's size, as a run writes them."""
    tried = try_disk(str(folder), FILE_SECONDS)
    if tried.fault:
        raise OSError(tried.fault)
    return {"mbs": tried.rate / 1e6, "files": tried.files}


def session_against_cpu(rig: Rig) -> Figures:
    """A session in single precision beside one on the CPU, on frames of the clip."""
    plan = rig.plan(Precision.FP32, frames=BATCH)
    config, clip = plan.network, clip_of(plan)
    samples = load_samples(plan.samples(), clip.audio, config.kind, None)
    began = time.perf_counter()
    options = SessionOptions(rig.device, bind=rig.device is Device.CUDA)
    session = Session(config.model, config.tensors, config.kind, options)
    session.warm_up()
    took = time.perf_counter() - began
    other = Session(config.model, config.tensors, config.kind, replace(options, device=Device.CPU, bind=False))
    worst = 0
    for sample in samples:
        answers = [one.run(sample.image, sample.audio).planes.astype(np.int16) for one in (session, other)]
        worst = max(worst, int(np.abs(answers[0] - answers[1]).max()))
    return {"worst": worst, "cpu_nodes": list(session.cpu_nodes), "session_s": took, "frames": len(samples)}


def session_error(rig: Rig) -> Figures:
    """What a session says that should not be had."""
    network = rig.network()
    try:
        options = SessionOptions(rig.device, bind=rig.device is Device.CUDA)
        Session(network.path, network.tensors, rig.kind(), options).warm_up()
    except InputError as error:
        return {"error": type(error).__name__, "says": str(error)}
    return {"error": ""}


def half_precision(rig: Rig) -> Figures:
    """Frames of the clip in half precision beside single precision."""
    plan = rig.plan(Precision.FP16, frames=BATCH)
    found = asdict(compare_precisions(plan.network, clip_of(plan), plan.samples()))
    return found | {"psnr": None if math.isinf(found["psnr"]) else found["psnr"]}


def option(rig: Rig, name: str) -> Figures:
    """Milliseconds a frame of the bare network with some options, and how far its answer is from that without them."""
    precision, batch, options = OPTION_TRIALS[name]
    began = time.perf_counter()
    network = _exported(rig, precision, batch, options)
    network.run()
    opened = time.perf_counter() - began
    each = _seconds_each(network.run, rig.seconds)
    plain = _plain_answer(rig, precision, batch) if options else network.answer()[0]
    worst = float(np.abs(network.answer()[0] - plain).max()) * 255
    return {"ms": each * 1e3 / batch, "fps": batch / each, "levels": worst, "session_s": opened}


@cache
def _plain_answer(rig: Rig, precision: str, batch: int) -> NDArray[Any]:
    network = _exported(rig, precision, batch, {})
    network.run()
    return network.answer()[0]


def _exported(rig: Rig, precision: str, batch: int, options: dict[str, str], profile: str = "") -> ExportedNetwork:
    network, kind, rng = rig.network(), rig.kind(), np.random.default_rng(SEED)
    tensors = network.tensors
    image = rng.random((batch, *kind.planes), np.float32)
    inputs = {tensors.image: image, tensors.audio: rng.random((batch, *kind.audio), np.float32)}
    outputs = {tensors.output: np.zeros((batch, *kind.output), np.float32)}
    path = network.file(Precision(precision))
    return ExportedNetwork(path, rig.device, inputs, outputs, options, profile=profile)


def _seconds_each(run: Callable[[], object], seconds: float) -> float:
    """How long one call takes, over so many seconds; a first one does not count."""
    run()
    began, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - began < seconds:
        run()
        runs += 1
    return (time.perf_counter() - began) / runs


def node_times(rig: Rig) -> Figures:
    """Times by node of one batch; launches wait for each other in this process, so that these are the device's."""
    network = _exported(rig, "fp16", BATCH, {}, str(rig.scratch / "nodes"))
    network.run()
    network.run()
    return slowest_nodes(json.loads(Path(network.end_profiling()).read_text(encoding="utf-8")))


def slowest_nodes(events: Sequence[dict[str, Any]]) -> Figures:
    """The slowest nodes of the last run, and the share of each operator in the time of all.

    Args:
        events: of the runtime's profile; times are in microseconds.
    """
    last: dict[str, tuple[str, float]] = {}
    for event in events:
        if event.get("cat") == "Node" and str(event["name"]).endswith("_kernel_time"):
            last[event["name"].removesuffix("_kernel_time")] = (event["args"]["op_name"], float(event["dur"]))
    whole = sum(took for _, took in last.values())
    operators: defaultdict[str, float] = defaultdict(float)
    for operator, took in last.values():
        operators[operator] += took / whole
    slowest = sorted(last.items(), key=lambda node: -node[1][1])[:SLOWEST_NODES]
    return {
        "us": whole,
        "by_operator": {
            operator: round(share, 3) for operator, share in sorted(operators.items(), key=lambda one: -one[1])
        },
        "slowest": [[name, operator, took] for name, (operator, took) in slowest],
    }
