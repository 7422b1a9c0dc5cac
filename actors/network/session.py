"""One ONNX Runtime session per worker: built on the device that was asked for, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from actors.core.choices import PLAIN, Device, GpuTuning, Precision
from actors.core.errors import InputError, error_text
from actors.core.pixels import Planes
from actors.network.batch_rewrite import batch_is_free
from actors.network.binding import Binding, predicted
from actors.network.external_weights import load_network
from actors.network.face_encoder import face_decoder, face_encoder
from actors.network.graph import AUDIO, HIGH, IMAGE, LOW, PIXELS, SUM, in_half_precision, pixel_graph, with_batch
from actors.network.operators import in_training, mixing_cause, unsteady_operators
from actors.network.runtime import (
    UNGRAPHED,
    DeviceBuffers,
    Feed,
    HostArrays,
    cpu_nodes,
    cuda_failure,
    graph_options,
    open_session,
    preload_cuda,
)
from actors.network.shape_folding import ready_network

if TYPE_CHECKING:
    from actors.core.kind import ModelKind, ModelTensors
    from actors.network.prediction import Prediction

OUTPUTS = (PIXELS, LOW, HIGH, SUM)

# While one batch is run, another one is copied: to the device before it, or back from there after it.
BINDINGS = 2


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to build a session.

    Attributes:
        device: what the network runs on.
        threads: intra-op threads; 1 is right for CUDA.
        batch: frames per inference.
        precision: the compute precision.
        ready_planes: it is fed ready-made float planes instead of pixels.
        faces: it is fed what a `FaceEncoder` made of the pictures as well.
        gpu_memory: as `actors.network.runtime.open_session` takes it.
        bind: inputs and outputs stay on the device and are allocated once, for two batches; right for CUDA.
        single: each frame is run without others whatever the batch that the export is fixed to; with ``batch`` 1.
        tuning: options of a session on CUDA; a graph is for one that binds.
    """

    device: Device
    threads: int = 1
    batch: int = 1
    precision: Precision = Precision.FP32
    ready_planes: bool = False
    faces: bool = False
    gpu_memory: int = 0
    bind: bool = False
    single: bool = False
    tuning: GpuTuning = PLAIN


def rounding_levels(device: Device) -> int:
    """By how much answers of one network to one frame may differ: on CPUs they are the same to the last bit."""
    return 0 if device is Device.CPU else 1


class Session:
    """A network ready to run batches of a fixed size.

    Attributes:
        device: what it runs on, which is what was asked for.
        batch: frames per inference; a shorter batch is filled up with its last frame, so every shape is warm.
        rewritten: the export is fixed to another batch.
        training: the export is in training mode.
        mixing: what is known of why its answers would depend on the batch.
        cpu_nodes: operators that a CUDA session left on the CPU (shape arithmetic), empty on the CPU.
        bindings: where batches are loaded, run and fetched: two where inputs and outputs stay on the device, else one.
        tuning: what it was built with.
    """

    def __init__(self, path: str, tensors: ModelTensors, kind: ModelKind, options: SessionOptions) -> None:
        """Builds the session.

        A model that is fixed to another batch is rewritten where the graph allows it, else its own batch is used. On
        CUDA it has run once when this returns.

        Raises:
            InputError: the runtime cannot load the model, or the GPU has no room for it.
            NoCudaError: CUDA was asked for and not had.
            StoppedError: the temporary folder cannot be written.
        """
        self._path = path
        self._tensors = tensors
        self._kind = kind
        self.device = options.device
        self.tuning = options.tuning
        if options.device is Device.CUDA:
            # Before anything is read or run: where there is no CUDA, that is said at once.
            preload_cuda()
        model = ready_network(load_network(path), tensors.image, tensors.audio, kind)
        self._unsteady = unsteady_operators(model)
        self.training, self.mixing = in_training(model), mixing_cause(model)
        # Frames of one run of the graph.
        self._size = options.batch
        self.rewritten = False
        if tensors.batch not in {None, options.batch}:
            self.rewritten = not options.single and batch_is_free(model, tensors, kind, options.batch)
            self._size = options.batch if self.rewritten else tensors.batch or 1
            if self.rewritten:
                model, tensors = with_batch(model, tensors, self._size), replace(tensors, batch=self._size)
        self.batch = 1 if options.single else self._size
        self._session = open_session(
            path,
            _rewrite(path, model, tensors, kind, options),
            options.device,
            threads=options.threads,
            precision=options.precision,
            batch=self._size,
            gpu_memory=options.gpu_memory,
            tuning=options.tuning,
        )
        self.cpu_nodes = cpu_nodes(self._session) if options.device is Device.CUDA else ()
        given = tensors.face if options.faces else ()
        self._names = [IMAGE, AUDIO, *(face.name for face in given)]
        planes = (kind.planes, np.float32) if options.ready_planes else ((3, kind.inner, kind.inner), np.uint8)
        floats = [(sides, np.float32) for sides in (kind.audio, *(face.sides for face in given))]
        self._inputs = [((self._size, *sides), dtype) for sides, dtype in (planes, *floats)]
        self._open = tensors.batch is None
        self.bindings = tuple(self._binding(options, i + 1) for i in range(BINDINGS if options.bind else 1))
        if options.device is Device.CUDA:
            self._check_device()

    def _binding(self, options: SessionOptions, number: int) -> Binding:
        held = self._silence()
        feed: Feed = HostArrays(self._session, self._names, OUTPUTS)
        if options.bind:
            inputs = list(zip(self._names, held, strict=True))
            graph = number if options.tuning.graph else None
            feed = DeviceBuffers(self._session, self.device, inputs, OUTPUTS, graph=graph)
        return Binding(feed, held, self._tensors.output, self._kind)

    def _silence(self) -> list[NDArray[Any]]:
        """A whole batch of zeros, in arrays of the caller's own."""
        return [np.zeros(shape, dtype) for shape, dtype in self._inputs]

    def run(self, image: NDArray[Any], audio: Planes, faces: Sequence[Planes] = ()) -> Prediction:
        """Runs up to ``batch`` frames.

        Args:
            image: ``(n, 3, inner, inner)`` uint8, the inner regions of the crops in blue, green, red,
                ``1 <= n <= batch``; for a session of ready planes ``(n, 6, inner, inner)`` float32 in the kind's range.
            audio: ``(n, *kind.audio)`` float32.
            faces: for a session of `SessionOptions.faces` what the face encoder made of each picture, for each of
                ``tensors.face`` ``(n, *sides)`` float32.

        Raises:
            InputError: the model's output does not have three planes of the inner region's size.
        """
        binding = self.bindings[0]
        binding.load(image, audio, faces)
        binding.run()
        return binding.fetch()

    def run_single(self, image: NDArray[Any], audio: Planes, faces: Sequence[Planes] = ()) -> Prediction:
        """The answer to one frame in a batch of its own, for comparison; arguments as `run` takes them, with n of 1."""
        if self._open:
            try:
                feed = dict(zip(self._names, (image, audio, *faces), strict=True))
                answer = self._session.run(OUTPUTS, feed, graph_options(UNGRAPHED) if self.tuning.graph else None)
                return predicted(answer, 1, 1, self._tensors.output, self._kind)
            except InputError:
                raise
            except Exception:  # noqa: BLE001 - the runtime's errors share no base class
                # It says that it takes any batch, but does not take this one.
                self._open = False
        return self.run(image, audio, faces)

    def warm_up(self) -> None:
        """Runs the batch shape that will be used in each binding, so that no measured batch pays for its first time.

        Raises:
            InputError: the network cannot be run, what it gives is not what its kind gives, or chance decides it.
        """
        try:
            self._run_bindings()
        except InputError:
            raise
        except Exception as error:  # the runtime's errors share no base class below Exception
            raise InputError(
                self._path,
                f"fails when it runs at batch {self._size} ({error_text(error)})",
                "export it with a dynamic batch throughout, or give the --batch that it was made for",
            ) from error
        if self._unsteady:
            self._check_steady()

    def _run_bindings(self) -> None:
        image, audio, *faces = self._silence()
        for binding in self.bindings:
            binding.load(image, audio, faces)
            binding.run()
            binding.fetch()

    def _check_device(self) -> None:
        """Runs once: cuDNN and the kernels are loaded no earlier, nor is memory taken.

        A graph needs a run more. What is captured keeps using the memory that a run of its gave back, so no binding
        may get its outputs there: all have them before the first one is captured.

        Raises:
            InputError: the GPU has no room for the batch.
            NoCudaError: as the class says.
        """
        try:
            for _ in range(2 if self.tuning.graph else 1):
                self._run_bindings()
        except Exception as error:  # the runtime's errors share no base class below Exception
            # Whatever is not the device's fault `warm_up` finds again: its callers can go on with a smaller batch.
            if failure := cuda_failure(self._path, error_text(error), self._size):
                raise failure from error

    def _check_steady(self) -> None:
        """Runs the same noise twice.

        Raises:
            InputError: the answers differ.
        """
        rng = np.random.default_rng(0)
        image, audio, *faces = self._silence()
        noise = rng.integers(0, 256, image.shape)
        # Ready planes are in the kind's range, near enough.
        image = (noise / np.float32(255) if image.dtype == np.float32 else noise).astype(image.dtype)
        feed = image, rng.random(audio.shape, np.float32), [rng.random(f.shape, np.float32) for f in faces]
        one, other = self.run(*feed), self.run(*feed)
        if not one.equals(other, rounding_levels(self.device)):
            problem = f"answers differently when it is given the same frame again ({', '.join(self._unsteady)})"
            raise InputError(self._path, problem, "export it after .eval(), without random operators")


class FaceEncoder:
    """The part of a network that depends on the image alone, on the CPU; see `actors.network.face_encoder`."""

    def __init__(self, path: str, tensors: ModelTensors, kind: ModelKind, *, ready_planes: bool) -> None:
        """Builds the session.

        Raises:
            InputError: the runtime cannot load the model.
            StoppedError: the temporary folder cannot be written.
        """
        model = ready_network(load_network(path), tensors.image, tensors.audio, kind)
        try:
            graph = face_encoder(pixel_graph(model, tensors, kind, ready_planes=ready_planes), tensors)
        except Exception as error:  # as in `_rewrite`
            raise _unreadable(path, error) from error
        self._names = [face.name for face in tensors.face]
        self._session = open_session(path, graph)

    def run(self, image: NDArray[Any]) -> list[Planes]:
        """What is the same in each frame drawn on a background: for each of ``tensors.face`` ``(1, *sides)`` float32.

        Args:
            image: as `Session.run` takes it, of one background.
        """
        made: list[Planes] = self._session.run(self._names, {IMAGE: image})
        return made


def _rewrite(
    path: str, model: onnx.ModelProto, tensors: ModelTensors, kind: ModelKind, options: SessionOptions
) -> onnx.ModelProto:
    """The graph that is run."""
    try:
        if options.precision is Precision.FP16:
            model = in_half_precision(model)
        if options.faces:
            model = face_decoder(model, tensors)
        return pixel_graph(model, tensors, kind, ready_planes=options.ready_planes)
    except Exception as error:  # what the ONNX helpers raise for damaged names and tensors shares no class
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(path, f"its graph cannot be read ({error_text(error)})", "export it again")
