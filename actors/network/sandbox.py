"""Networks tried in a process of their own, under limits of time and memory, before any other process runs them.

What a file holds may not end, may ask for more memory than there is, or may bring the runtime down.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from actors.core.choices import Device
from actors.core.errors import InputError, NoCudaError, StoppedError
from actors.core.kind import ModelTensors
from actors.core.pixels import PredictionFault
from actors.kinds import kinds_named
from actors.network.audio_encoder import WINDOW_SHAPE, Encoder, EncoderConfig, EncoderTensors
from actors.network.external_weights import load_network
from actors.network.traversal import without_unused_inputs

if TYPE_CHECKING:
    from actors.core.kind import ModelKind

# Seconds of a processor's time: waiting for a busy machine does not count. Loading a network of the family and running
# it once takes two. Time on the clock, where somebody waits for something that never comes.
CPU_SECONDS = 10
WALL_SECONDS = 300
# Beside what is counted for each frame of a batch.
FRAME_SECONDS = 2
MEMORY = 16 << 30
LEAST_MEMORY = 6 << 30

SCRIPT = "import sys; sys.path.insert(0, sys.argv[1]); from actors.network.sandbox import main; main()"

TYPES = {"tensor(float16)": np.float16, "tensor(double)": np.float64}

ERRORS = {"InputError": InputError, "NoCudaError": NoCudaError}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take.

    Attributes:
        cpu_seconds: of a processor's time.
        wall_seconds: on the clock.
        memory: bytes of address space, 0 for any; a GPU's driver takes as much as it likes.
    """

    cpu_seconds: int
    wall_seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a network answered in a trial.

    Attributes:
        batch: frames that a render would run at once.
        faults: for each frame that it was given why its answer cannot be shown, or ``None``.
        single_reason: why that is one, where more were wanted; else empty.
        cuda: whether the runtime that is installed is one for GPUs, and the system shows one.
        conflict: two builds of the runtime that are both installed, or ``None``.
    """

    batch: int
    faults: tuple[PredictionFault | None, ...]
    single_reason: str
    cuda: bool
    conflict: str | None


def limits_for(batch: int, device: Device) -> Limits:
    """What a trial of a network may take."""
    memory = max(LEAST_MEMORY, min(MEMORY, psutil.virtual_memory().total)) if device is Device.CPU else 0
    return Limits(CPU_SECONDS + FRAME_SECONDS * batch, WALL_SECONDS, memory)


def try_network(
    path: str,
    tensors: ModelTensors,
    kind: ModelKind,
    *,
    device: Device = Device.CPU,
    batch: int = 1,
    image: NDArray[Any] | None = None,
    audio: NDArray[np.float32] | None = None,
    limits: Limits | None = None,
) -> TrialResult:
    """Loads and runs a network in a process of its own.

    Args:
        path: the ONNX file.
        tensors: its inputs and output.
        kind: the contract it honours, one of `actors.kinds`.
        device: what it runs on.
        batch: frames per inference that are wanted.
        image: its image input, as `actors.network.session.Session.run` takes it, of any number of frames; a warm-up
            alone if not given.
        audio: its audio input then.
        limits: what that may take.

    Raises:
        InputError: it cannot be loaded or run, does not end, needs too much memory or brings the runtime down.
        NoCudaError: CUDA was asked for and not had.
        StoppedError: the temporary folder cannot be written.
    """
    given = [] if image is None or audio is None else [image, audio]
    request = {
        "network": asdict(tensors),
        "kind": kind.name,
        "device": device,
        "batch": batch,
        "arrays": [[array.dtype.str, array.shape] for array in given],
    }
    # A warm-up, then frames alone, in three arrangements of batches, and once more, all at the size the file asks for.
    runs = 5 + 2 * len(given[0]) if given else 1
    size = max(batch, tensors.batch or 1)
    answer = _run_trial(path, request, given, limits or limits_for(size * runs, device))
    faults = tuple(said and PredictionFault(said["reason"], said["values"]) for said in answer["faults"])
    return TrialResult(answer["batch"], faults, answer["single_reason"], answer["cuda"], answer["conflict"])


def try_encoder(path: str, tensors: EncoderTensors, *, limits: Limits | None = None) -> None:
    """Loads and runs an audio encoder in a process of its own; raises as `try_network`."""
    _run_trial(
        path, {"encoder": asdict(tensors), "arrays": []}, [], limits or limits_for(tensors.batch or 1, Device.CPU)
    )


def try_call(call: Callable[[str], None], path: str, runtime: str, *, limits: Limits | None = None) -> None:
    """Calls a module's function with a network's path in a process of its own.

    Args:
        call: loads and runs the network once.
        path: the ONNX file.
        runtime: what runs the network there, for messages.
        limits: what that may take.

    Raises:
        InputError: as `try_network`, or what the function raises.
        StoppedError: likewise.
    """
    request = {"call": [call.__module__, call.__qualname__], "arrays": []}
    _run_trial(path, request, [], limits or limits_for(1, Device.CPU), runtime)


def ask_shapes(
    path: str, inputs: Sequence[Mapping[str, tuple[int, ...]]], batch: int, *, limits: Limits | None = None
) -> list[dict[str, tuple[int, ...]] | None]:
    """Runs a network whose file leaves sides open, in a process of its own, to see what it gives.

    Args:
        path: the ONNX file.
        inputs: one or more ways to feed it: for each input its sides behind the batch.
        batch: frames at once.
        limits: what that may take.

    Returns:
        For each of these ways the shapes of all outputs by name, ``None`` where it cannot be run so.

    Raises:
        InputError: as `try_network`.
        StoppedError: as `try_network`.
    """
    request = {"inputs": [dict(one) for one in inputs], "batch": batch, "arrays": []}
    answer = _run_trial(path, request, [], limits or limits_for(batch * len(inputs), Device.CPU))
    return [
        None if shapes is None else {name: tuple(shape) for name, shape in shapes.items()}
        for shapes in answer["outputs"]
    ]


def _run_trial(
    path: str, request: dict[str, Any], arrays: list[NDArray[Any]], limits: Limits, runtime: str = "ONNX Runtime"
) -> dict[str, Any]:
    """What the other process answers."""
    head = json.dumps({**request, "path": path, "limits": asdict(limits)}).encode() + b"\n"
    # -P: the folder that this runs in is no place for modules.
    command = [sys.executable, "-P", "-c", SCRIPT, str(Path(__file__).parents[2])]
    content = b"".join([head, *(np.ascontiguousarray(array).tobytes() for array in arrays)])
    try:
        done = subprocess.run(
            command,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.wall_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _timed_out(path, f"{limits.wall_seconds:g} s") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise _crashed(path, done.returncode, limits, runtime) from error
    if "stopped" in answer:
        raise StoppedError(*answer["stopped"])
    if "error" in answer:
        name, *said = answer["error"]
        raise ERRORS[name](*said)
    return answer


def _crashed(path: str, code: int, limits: Limits, runtime: str) -> InputError:
    """Why a process has ended without an answer."""
    if code == -signal.SIGXCPU:
        return _timed_out(path, f"{limits.cpu_seconds} s of a processor")
    if code == -signal.SIGKILL:
        return _out_of_memory(path, "the system ended it")
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return InputError(path, f"brings {runtime} down ({how})", "export it again, with opset 17")


def _timed_out(path: str, time: str) -> InputError:
    return InputError(path, f"does not come to an end: loading it and one run took more than {time}", "mend its loops")


def _out_of_memory(path: str, how: str) -> InputError:
    return InputError(path, f"needs more memory than a network may have ({how})", "export it again")


def main() -> None:
    """The other process: reads a request from its standard input and answers on its standard output, in JSON."""
    answers = os.fdopen(os.dup(1), "w")
    # Libraries print as they like.
    os.dup2(2, 1)
    request = json.loads(sys.stdin.buffer.readline())
    limits = Limits(**request["limits"])
    _limit(limits)
    path = request["path"]
    try:
        answer = _answer(path, request)
    except InputError as error:
        answer = {"error": [type(error).__name__, error.subject, error.problem, error.fix]}
    except StoppedError as error:
        answer = {"stopped": [error.reason, error.fix]}
    except MemoryError:
        refused = _out_of_memory(path, f"{limits.memory / 2**30:.0f} GiB")
        answer = {"error": ["InputError", *refused.args]}
    json.dump(answer, answers)
    answers.flush()
    # Nothing that the runtime does at its end can spoil the answer.
    os._exit(0)


def _limit(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
    if limits.memory:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    with suppress(OSError):
        # Where memory ends all the same, this process is the one to go.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _answer(path: str, request: dict[str, Any]) -> dict[str, Any]:
    if "inputs" in request:
        return _ask_shapes(path, request)
    if "call" in request:
        module, name = request["call"]
        getattr(import_module(module), name)(path)
        return {}
    return _try_encoder(path, request) if "encoder" in request else _try_network(path, request)


def _ask_shapes(path: str, request: dict[str, Any]) -> dict[str, Any]:
    # Nobody else here needs the runtime.
    from actors.network.runtime import open_session  # noqa: PLC0415

    session = open_session(path, without_unused_inputs(load_network(path)))
    types = {value.name: TYPES.get(value.type, np.float32) for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    outputs: list[dict[str, Any] | None] = []
    for sides in request["inputs"]:
        feed = {name: np.zeros((request["batch"], *some), types[name]) for name, some in sides.items() if name in types}
        try:
            answers = session.run(names, feed)
        except Exception:  # noqa: BLE001 - the runtime's errors share no base class; it cannot be fed so
            outputs.append(None)
        else:
            outputs.append({name: np.shape(given) for name, given in zip(names, answers, strict=True)})
    return {"outputs": outputs}


def _try_network(path: str, request: dict[str, Any]) -> dict[str, Any]:
    # Nobody else here needs the runtime.
    from actors.network.batch_check import Sample, session_with_safe_batch  # noqa: PLC0415
    from actors.network.runtime import cuda_is_there, runtime_conflict  # noqa: PLC0415
    from actors.network.session import Session, SessionOptions  # noqa: PLC0415

    said = request["network"]
    tensors = ModelTensors(**{**said, "external": tuple(said["external"]), "face": (), "quantised": ()})
    kind = kinds_named(request["kind"])[0]
    device = Device(request["device"])
    arrays = [_array(*described) for described in request["arrays"]]
    ready = bool(arrays) and arrays[0].dtype == np.float32
    options = SessionOptions(device, batch=request["batch"], ready_planes=ready, bind=device is Device.CUDA)
    session = Session(path, tensors, kind, options)
    image, audio = arrays or [np.zeros(0, np.float32)] * 2
    session, single_reason = session_with_safe_batch(
        session,
        lambda: Session(path, tensors, kind, replace(options, batch=1, single=True)),
        lambda: [Sample(image[place : place + 1], audio[place : place + 1], ()) for place in range(len(image))],
    )
    faults: list[PredictionFault | None] = []
    for start in range(0, len(image), session.batch):
        stop = start + session.batch
        faults.extend(session.run(image[start:stop], audio[start:stop]).faults)
    return {
        "batch": session.batch,
        "single_reason": single_reason,
        "faults": [fault and asdict(fault) for fault in faults],
        "cuda": cuda_is_there(),
        "conflict": runtime_conflict(),
    }


def _try_encoder(path: str, request: dict[str, Any]) -> dict[str, Any]:
    said = request["encoder"]
    tensors = EncoderTensors(**{**said, "external": tuple(said["external"])})
    encoder = Encoder(EncoderConfig(path, tensors, Device.CPU, threads=1, gpus=0))
    encoder.encode(np.zeros((1, *WINDOW_SHAPE[1:]), np.float32))
    return {}


def _array(dtype: str, shape: list[int]) -> NDArray[Any]:
    kind = np.dtype(dtype)
    count = int(np.prod(shape)) * kind.itemsize
    return np.frombuffer(sys.stdin.buffer.read(count), kind).reshape(shape)
