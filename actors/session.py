"""One ONNX Runtime session per worker: built on the device that was asked for, or not at all."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from actors import storage
from actors.core.errors import InputError, NoCudaError

if TYPE_CHECKING:
    from actors.core.kind import ModelKind, ModelTensors
    from actors.core.pixels import Planes

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

# Work that belongs on the card. Nodes that only compute shapes are put on the CPU by the CUDA provider itself.
HEAVY_OPERATORS = frozenset({"Conv", "ConvTranspose", "FusedConv", "Gemm", "MatMul", "Resize", "Upsample"})


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to build a session.

    Attributes:
        provider: `CUDA` or `CPU`.
        threads: intra-op threads; 1 is right for CUDA.
        batch: frames per inference.
        gpu_mem_limit: bytes that the CUDA arena may take, 0 for no limit. Ray does not share out a card's memory.
    """

    provider: str
    threads: int
    batch: int
    gpu_mem_limit: int


def runtime_conflict() -> str | None:
    """Says so when two builds of ONNX Runtime are installed: they share one folder and the last one wins."""
    names = {dist.metadata["Name"] for dist in importlib.metadata.distributions()}
    builds = sorted(names & {"onnxruntime", "onnxruntime-gpu"})
    return " and ".join(builds) if len(builds) > 1 else None


class Session:
    """A network ready to run batches of a fixed size.

    Attributes:
        provider: the execution provider in use, the one that was asked for.
        batch: frames per inference; a shorter batch is padded to it, so every shape is warm.
        cpu_nodes: operators that a CUDA session left on the CPU (shape arithmetic), empty on the CPU.
    """

    def __init__(self, path: str, tensors: ModelTensors, kind: ModelKind, options: SessionOptions) -> None:
        """Builds the session.

        Raises:
            InputError: the runtime cannot load the model.
            NoCudaError: CUDA was asked for and not had.
        """
        self._tensors = tensors
        self._kind = kind
        self.provider = options.provider
        self.batch = tensors.batch or options.batch
        self._session = _build(path, options)
        self.cpu_nodes = _cpu_nodes(path, self._session) if options.provider == CUDA else ()
        self._image = np.zeros((self.batch, *kind.planes), np.float32)
        self._audio = np.zeros((self.batch, *kind.audio), np.float32)

    def run(self, image: Planes, audio: Planes) -> Planes:
        """Runs up to ``batch`` frames.

        Args:
            image: ``(n, 6, inner, inner)`` float32 in [0, 1], ``1 <= n <= batch``.
            audio: ``(n, *kind.audio)`` float32.

        Returns:
            ``(n, 3, inner, inner)`` float32; the values are the model's and not checked here.

        Raises:
            InputError: the model's output does not have three planes of the inner region's size.
        """
        count = len(image)
        if count < self.batch:
            self._image[:count], self._audio[:count] = image, audio
            image, audio = self._image, self._audio
        feed = {self._tensors.image: image, self._tensors.audio: audio}
        output: Planes = self._session.run([self._tensors.output], feed)[0]
        if output.shape != (self.batch, *self._kind.output):
            raise InputError(
                self._tensors.output,
                f"the model gave {output.shape} for a batch of {self.batch}",
                f"it must give {(self.batch, *self._kind.output)}",
            )
        return np.asarray(output[:count], np.float32)

    def warm_up(self) -> None:
        """Runs the one batch shape that will be used, so that no measured batch pays for its first time."""
        self.run(self._image, self._audio)


def _build(path: str, options: SessionOptions) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.log_severity_level = 4
    if options.threads == 1:
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [CPU]
    missing = ""
    if options.provider == CUDA:
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        providers = [(CUDA, _cuda_options(options)), CPU]
        missing = _preload()
    # A local file is opened by path, so that weights stored beside it are found.
    source: str | bytes = path if storage.is_local(path) else storage.read_bytes(path)
    try:
        # enable_fallback=0: otherwise a provider that fails is replaced by the CPU with no more than a printed line.
        session = ort.InferenceSession(source, settings, providers=providers, enable_fallback=0)
    except Exception as error:  # the runtime's errors share no base class below Exception
        message = " ".join(str(error).split())
        if options.provider == CUDA and "CUDA" in message:
            raise _no_cuda(message) from error
        raise InputError(
            path, f"ONNX Runtime {ort.__version__} cannot load it ({message})", "export it again, with opset 17"
        ) from error
    if session.get_providers()[0] != options.provider:
        raise _no_cuda(missing or "the CUDA provider did not load")
    return session


def _preload() -> str:
    """Loads CUDA and cuDNN from NVIDIA's packages, where the system has none; says what could not be loaded."""
    if CUDA not in available_providers():
        raise _no_cuda("the installed ONNX Runtime is built without CUDA")
    ort.set_default_logger_severity(4)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ort.preload_dlls()
    return said.getvalue().partition("\n")[0]


def _no_cuda(why: str) -> NoCudaError:
    clash = runtime_conflict()
    fix = "install mouthpiece[cuda] and a driver for CUDA 13, or use --device cpu"
    if clash:
        fix = f"{clash} are both installed: uninstall both, then install onnxruntime-gpu alone"
    return NoCudaError("--device cuda", f"a CUDA session was asked for and could not be had ({why})", fix)


def _cuda_options(options: SessionOptions) -> dict[str, str]:
    chosen = {"device_id": "0", "arena_extend_strategy": "kSameAsRequested"}
    if options.gpu_mem_limit:
        chosen["gpu_mem_limit"] = str(options.gpu_mem_limit)
    return chosen


def _cpu_nodes(path: str, session: ort.InferenceSession) -> tuple[str, ...]:
    on_cpu = [
        node.op_type
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == CPU
        for node in part.get_nodes()
    ]
    heavy = sorted(HEAVY_OPERATORS.intersection(on_cpu))
    if heavy:
        raise InputError(
            path, f"CUDA left {', '.join(heavy)} on the CPU", "export it again with opset 17, or use --device cpu"
        )
    return tuple(sorted(set(on_cpu)))


def available_providers() -> list[str]:
    """The execution providers that the installed runtime is built with."""
    return list(ort.get_available_providers())
