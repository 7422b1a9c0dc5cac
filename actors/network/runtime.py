"""ONNX Runtime: sessions on the device that was asked for, or none at all. No other module imports the runtime.

It takes a second to load and threads to keep, so the driver of `composite` never imports this module.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.metadata
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from actors.core.choices import GPU_DEVICES, PLAIN, Device, GpuTuning, Precision
from actors.core.errors import InputError, StoppedError, error_text
from actors.network.cuda_faults import LIBRARIES, device_failure, no_cuda

InferenceSession: TypeAlias = ort.InferenceSession
RunOptions: TypeAlias = ort.RunOptions

# The part that cuDNN 9 loads at any call. Without it it aborts; without another part it fails with an error.
CUDNN_GRAPH = "libcudnn_graph.so.9"

# The number by which a run in a session for CUDA graphs is told that it belongs to none.
UNGRAPHED = -1

# Work that belongs on the GPU. Nodes that only compute shapes are put on the CPU by the CUDA provider itself.
HEAVY_OPERATORS = frozenset({"Conv", "ConvTranspose", "FusedConv", "Gemm", "MatMul", "Resize", "Upsample"})


def open_session(
    path: str,
    graph: onnx.ModelProto,
    device: Device = Device.CPU,
    *,
    threads: int = 1,
    precision: Precision = Precision.FP32,
    batch: int = 1,
    gpu_memory: int = 0,
    tuning: GpuTuning = PLAIN,
) -> InferenceSession:
    """A session that runs a graph on a device and nowhere else.

    Args:
        path: the file that the graph was made of, for messages.
        graph: what to run.
        device: what to run it on.
        threads: intra-op threads; 1 is right for CUDA.
        precision: of the graph, for messages.
        batch: frames per inference, for messages.
        gpu_memory: bytes that the CUDA arena may take, 0 for no limit. Ray does not share out a GPU's memory.
        tuning: of a session on CUDA.

    Raises:
        InputError: the runtime cannot load the graph, or leaves work on the CPU that belongs on the GPU.
        NoCudaError: CUDA was asked for and not had.
        StoppedError: the temporary folder cannot be written.
    """
    settings = _settings(threads, spinning=threads != 1)
    providers: list[Any] = [Device.CPU.provider]
    not_loaded = ""
    if device is Device.CUDA:
        not_loaded = preload_cuda()
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        providers = [(Device.CUDA.provider, _cuda_options(gpu_memory, tuning)), *providers]
        # With a pattern a run asks for all its memory at once: new memory while a graph is captured would be an error.
        settings.enable_mem_pattern = not tuning.graph
    try:
        # By way of a file: the runtime keeps bytes that it is given for as long as the session lives.
        with tempfile.NamedTemporaryFile(prefix="mouthpiece-loading-", suffix=".onnx") as file:
            # Should this process be killed, the next run on this machine knows by the lock that nobody wants the file.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(graph.SerializeToString())
            file.flush()
            # enable_fallback=0: otherwise a provider that fails is replaced by the CPU with only a printed line.
            session = ort.InferenceSession(file.name, settings, providers=providers, enable_fallback=0)
    except OSError as error:
        fix = "make room there, or set TMPDIR to a folder that can be written"
        raise StoppedError(f"the temporary folder cannot be used ({error})", fix) from error
    except Exception as error:  # the runtime's errors share no base class below Exception
        message = error_text(error)
        if device is Device.CUDA and (failure := cuda_failure(path, message, batch)):
            raise failure from error
        problem = f"ONNX Runtime {ort.__version__} cannot load it"
        if precision is Precision.FP16:
            raise InputError(path, f"{problem} in half precision ({message})", "use --precision fp32") from error
        raise InputError(path, f"{problem} ({message})", "export it again, with opset 17") from error
    if session.get_providers()[0] != device.provider:
        no_provider = no_cuda("the CUDA provider did not load", clash=runtime_conflict())
        raise cuda_failure(path, not_loaded, batch) or no_provider
    if heavy := sorted(HEAVY_OPERATORS.intersection(cpu_nodes(session) if device is Device.CUDA else ())):
        fix = "export it again with opset 17, or use --device cpu"
        raise InputError(path, f"CUDA left {', '.join(heavy)} on the CPU", fix)
    return session


def cpu_session(model: onnx.ModelProto, *, threads: int = 0, fused: bool = True) -> InferenceSession:
    """A short-lived session on the CPU, whose threads sleep while another one runs.

    Args:
        model: what to run.
        threads: intra-op threads; 0 for all cores.
        fused: whether the runtime may make one layer of several, which rounds otherwise.
    """
    settings = _settings(threads, spinning=False)
    if not fused:
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(model.SerializeToString(), settings, providers=[Device.CPU.provider])


class ExportedNetwork:
    """A network as it was exported, on a device with options of one's own: what these give is measured by it.

    Inputs and outputs stay on the device, in places that are given before the first run: a graph that CUDA captures
    keeps them.
    """

    def __init__(
        self,
        path: str,
        device: Device,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, NDArray[Any]],
        options: Mapping[str, str],
        *,
        profile: str = "",
    ) -> None:
        """Opens the session.

        Args:
            path: the file.
            device: what to run it on.
            inputs: by name, as they are run.
            outputs: by name, of the shape and type that the network gives.
            options: of the CUDA provider, beside its device.
            profile: what the name of the file begins with in which times by node are kept; empty to keep none.

        Raises:
            NoCudaError: CUDA was asked for and the runtime is built without.
            Exception: what the runtime raises.
        """
        settings = _settings(1, spinning=False)
        if profile:
            settings.enable_profiling, settings.profile_file_prefix = True, profile
        providers: list[Any] = [Device.CPU.provider]
        if device is Device.CUDA:
            preload_cuda()
            providers = [(device.provider, {"device_id": "0", **options}), *providers]
        self._session = ort.InferenceSession(path, settings, providers=providers, enable_fallback=0)
        if self._session.get_providers()[0] != device.provider:
            raise no_cuda("the CUDA provider did not load", clash=runtime_conflict())
        self._binding = self._session.io_binding()
        self._outputs = [ort.OrtValue.ortvalue_from_numpy(array, device.value, 0) for array in outputs.values()]
        for name, array in inputs.items():
            value = ort.OrtValue.ortvalue_from_numpy(array, device.value, 0)
            self._binding.bind_ortvalue_input(name, value)
        for name, value in zip(outputs, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)

    def run(self) -> None:
        """Runs it once, to the end."""
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()

    def answer(self) -> list[NDArray[Any]]:
        """The outputs of the last run."""
        return [np.array(value.numpy()) for value in self._outputs]

    def end_profiling(self) -> str:
        """The file of times by node, which is whole from now on."""
        return str(self._session.end_profiling())


def cpu_nodes(session: InferenceSession) -> tuple[str, ...]:
    """The operators that a session on a GPU runs on the CPU all the same, each once."""
    parts = session.get_provider_graph_assignment_info()
    on_cpu = {node.op_type for part in parts if part.ep_name == Device.CPU.provider for node in part.get_nodes()}
    return tuple(sorted(on_cpu))


@cache
def preload_cuda() -> str:
    """Loads CUDA and cuDNN from NVIDIA's packages, where the system has none; says what could not be loaded.

    Nothing of CUDA is in the process before.

    Raises:
        NoCudaError: the installed runtime is built without CUDA, or a part of cuDNN is missing.
    """
    if not _built_for_cuda():
        raise no_cuda("the installed ONNX Runtime is built without CUDA", clash=runtime_conflict())
    # TF32 would make "fp32" mean ten bits of mantissa. The provider's option `use_tf32` forbids more than that: with it
    # the convolutions of half precision go without Tensor Cores. NVIDIA's libraries read the variable as they load.
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    ort.set_default_logger_severity(4)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ort.preload_dlls()
    if alone := lone_cudnn(Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")):
        raise no_cuda(f"a library is missing: {alone} has no {CUDNN_GRAPH} beside it", LIBRARIES, runtime_conflict())
    return said.getvalue().partition("\n")[0]


def lone_cudnn(maps: str) -> str:
    """The path of a cuDNN that would end the process when it is first called; empty where there is none.

    Args:
        maps: what is loaded, as Linux lists it in ``/proc/PID/maps``.
    """
    for line in maps.splitlines():
        path = line.partition("/")[2]
        if "/libcudnn.so" in path and not Path(f"/{path}").with_name(CUDNN_GRAPH).exists():
            try:
                ctypes.CDLL(CUDNN_GRAPH)
            except OSError:
                return f"/{path}"
    return ""


def cuda_failure(path: str, message: str, batch: int) -> InputError | None:
    """As `device_failure`, where more than one build of the runtime is installed with that."""
    return device_failure(path, message, batch, runtime_conflict())


def cuda_is_there() -> bool:
    """Whether the installed runtime is built for CUDA and the system shows a GPU."""
    return _built_for_cuda() and any(Path(device).exists() for device in GPU_DEVICES)


def runtime_conflict() -> str | None:
    """Says so when two builds of ONNX Runtime are installed: they share one folder and the last one wins."""
    # By name: to read the description of every package that is installed takes a tenth of a second.
    builds = [name for name in ("onnxruntime", "onnxruntime-gpu") if any(importlib.metadata.distributions(name=name))]
    return " and ".join(builds) if len(builds) > 1 else None


def converted_to_float16(model: onnx.ModelProto, *, keep_tensors: bool) -> onnx.ModelProto:
    """The network with float16 weights and arithmetic; its nodes are not in order.

    Args:
        model: the network; changed.
        keep_tensors: its inputs and outputs stay float32.
    """
    # Only asked for by --precision fp16, and slow to import.
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    converted: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=keep_tensors)
    return converted


def graph_options(number: int) -> RunOptions:
    """For a run in a session for CUDA graphs, by the number of its graph or `UNGRAPHED`."""
    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


class Feed(Protocol):
    """What one batch is given to a session in and comes back in."""

    def load(self, inputs: Sequence[NDArray[Any]]) -> None:
        """Takes the inputs, in the order in which they were named."""

    def run(self) -> None:
        """Runs the session on what was loaded; one feed of a session at a time."""

    def fetch(self) -> list[NDArray[Any]]:
        """The outputs of the last run, as arrays of the caller's own."""


class HostArrays:
    """A `Feed` of arrays as they are: what is loaded must not change before it has been run."""

    def __init__(self, session: InferenceSession, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Keeps the names of the inputs, and of those outputs that are wanted."""
        self._session = session
        self._inputs = inputs
        self._outputs = outputs
        self._feed: dict[str, NDArray[Any]] = {}
        self._answer: list[NDArray[Any]] = []

    def load(self, inputs: Sequence[NDArray[Any]]) -> None:
        """As `Feed.load`."""
        self._feed = dict(zip(self._inputs, inputs, strict=True))

    def run(self) -> None:
        """As `Feed.run`."""
        # What was fed can lie in the object store, which gets no room back while somebody keeps it.
        feed, self._feed = self._feed, {}
        self._answer = self._session.run(self._outputs, feed)

    def fetch(self) -> list[NDArray[Any]]:
        """As `Feed.fetch`."""
        answer, self._answer = self._answer, []
        return answer


class DeviceBuffers:
    """A `Feed` of buffers where the session calculates, allocated once: inputs are written, outputs copied out.

    Copies wait until they are done, so a thread that loads or fetches does so beside the run of another feed.
    """

    def __init__(
        self,
        session: InferenceSession,
        device: Device,
        inputs: Sequence[tuple[str, NDArray[Any]]],
        outputs: Sequence[str],
        *,
        graph: int | None = None,
    ) -> None:
        """Allocates the inputs.

        Args:
            session: the network's.
            device: what it runs on.
            inputs: their names, each with an array of its type and sides.
            outputs: names of those that are wanted.
            graph: number of the graph that its second run captures and every later one launches, in a session for CUDA
                graphs; no other feed of the session has it.
        """
        self._first = None if graph is None else graph_options(UNGRAPHED)
        self._later = None if graph is None else graph_options(graph)
        self._session = session
        self._device = device
        self._names = outputs
        self._inputs = [ort.OrtValue.ortvalue_from_numpy(array, device.value, 0) for _, array in inputs]
        self._binding = session.io_binding()
        for (name, _), value in zip(inputs, self._inputs, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        self._outputs: list[ort.OrtValue] = []

    def load(self, inputs: Sequence[NDArray[Any]]) -> None:
        """As `Feed.load`."""
        for value, array in zip(self._inputs, inputs, strict=True):
            value.update_inplace(np.ascontiguousarray(array))

    def run(self) -> None:
        """As `Feed.run`."""
        if self._outputs:
            self._session.run_with_iobinding(self._binding, self._later)
            return
        # The first run tells the shapes; from then on its buffers are used again.
        for name in self._names:
            self._binding.bind_output(name, self._device.value)
        self._session.run_with_iobinding(self._binding, self._first)
        self._outputs = self._binding.get_outputs()
        for name, value in zip(self._names, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, value)

    def fetch(self) -> list[NDArray[Any]]:
        """As `Feed.fetch`."""
        # On the CPU `numpy` shows the buffer itself, which the next run writes into.
        shared = self._device is Device.CPU
        return [np.array(value.numpy()) if shared else value.numpy() for value in self._outputs]


def _settings(threads: int, *, spinning: bool) -> ort.SessionOptions:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.log_severity_level = 4
    if not spinning:
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return settings


def _built_for_cuda() -> bool:
    return Device.CUDA.provider in ort.get_available_providers()


def _cuda_options(memory: int, tuning: GpuTuning) -> dict[str, str]:
    chosen = {"device_id": "0", "arena_extend_strategy": "kSameAsRequested"}
    if memory:
        chosen["gpu_mem_limit"] = str(memory)
    if tuning.fused_nhwc:
        chosen |= {"prefer_nhwc": "1", "fuse_conv_bias": "1"}
    if tuning.heuristic_search:
        chosen["cudnn_conv_algo_search"] = "HEURISTIC"
    if tuning.graph:
        chosen["enable_cuda_graph"] = "1"
    return chosen
