"""The audio encoder: an actor with a session of its own that turns mel windows into features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actors.core.choices import Device
from actors.core.errors import InputError, NoCudaError, error_text, one_line
from actors.core.mel import BANDS, WINDOW_ROWS
from actors.files.node_check import ModelCheck, check_code, check_model
from actors.network.batch_independence import Arrangement, depends_on_batch
from actors.network.device import arena_limit, own_device
from actors.network.external_weights import load_network
from actors.network.graph import give_out_statistics
from actors.network.onnx_file import check_floats, described, fits, fixed_batch, read_network
from actors.network.operators import mixing_cause, unsteady_operators
from actors.network.size_bounds import is_bounded
from actors.network.traversal import without_unused_inputs

if TYPE_CHECKING:
    from actors.network.runtime import InferenceSession

FEATURES = 512

# What an encoder takes and gives, behind the batch: one channel of mel bands by rows, and one feature row.
WINDOW_SHAPE = (1, BANDS, WINDOW_ROWS)
ROW_SHAPE = (FEATURES,)

# Windows per inference where the export leaves it open.
BATCH = 32

# Windows by which it is seen whether rows depend on their batch.
COMPARED = 4

# How far a row may lie from that of its window alone, of its largest value: sums of a matrix are added up in another
# order than those of a vector.
ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class EncoderTensors:
    """An export bound to the encoder's contract: which tensor is which, found by shape.

    Attributes:
        mel: name of the input that takes mel windows ``[B, 1, 80, 16]``.
        features: name of the output that gives feature rows ``[B, 512]``.
        batch: the batch the graph is fixed to, or ``None`` when any batch will do.
        external: files beside the model that hold weights, by name.
        plain: as `actors.core.kind.ModelTensors.plain`.
    """

    mel: str
    features: str
    batch: int | None
    external: tuple[str, ...]
    plain: bool = True


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """What an encoder needs to know.

    Attributes:
        path: the ONNX file.
        tensors: its input and output.
        device: what it runs on; it runs nowhere else.
        threads: intra-op threads; 1 is right for CUDA.
        gpus: fraction of a GPU it has; 0 on the CPU.
        digest: SHA-256 of the file and its weights as the driver sees them; empty in the driver's own process.
        code: the driver's `actors.files.digests.code_digest`; empty in the driver's own process.
    """

    path: str
    tensors: EncoderTensors
    device: Device
    threads: int
    gpus: float
    digest: str = ""
    code: str = ""


def read_encoder(path: str) -> EncoderTensors:
    """Checks that an ONNX file is an encoder of mel windows and finds its tensors by shape, never by name.

    Raises:
        InputError: there is no such file, it is not ONNX, or its tensors are not an encoder's.
    """
    network = read_network(path, "--encoder")
    mel = [name for name, shape in network.inputs.items() if fits(shape, WINDOW_SHAPE)]
    features = [name for name, shape in network.outputs.items() if fits(shape, ROW_SHAPE)]
    if len(mel) > 1:
        mel = [name for name in mel if name in network.used]
    if len(mel) != 1 or len(features) != 1 or not network.used <= {*mel}:
        raise InputError(
            path,
            f"inputs {described(network.inputs)} and outputs {described(network.outputs)} are not an encoder's",
            f"it takes mel windows B x {' x '.join(map(str, WINDOW_SHAPE))} and gives B x {FEATURES}",
        )
    names = (mel[0], features[0])
    check_floats(network, names, ("float",))
    return EncoderTensors(
        *names, fixed_batch(network, names), network.external, is_bounded(network.model, {mel[0]: WINDOW_SHAPE})
    )


class Encoder:
    """Encodes mel windows. One per Ray actor, or one in a process; its session is built when it is first needed."""

    def __init__(self, config: EncoderConfig) -> None:
        self._config = config
        self._session: InferenceSession | None = None
        # A shorter batch is filled up to this one, so that no shape is new while others wait.
        self._batch = config.tensors.batch or BATCH
        self._padded = np.zeros((self._batch, *WINDOW_SHAPE), np.float32)
        self._unsteady: tuple[str, ...] = ()
        self._mixing = ""
        # Why a batch that the export declares is not run; empty where it is.
        self._batch_refusal = ""
        # Windows that are run together; unknown until the first ones have been compared.
        self._per_run: int | None = None

    def prepare(self) -> str:
        """Builds and warms the session; gives the execution provider in use, that of the device that was asked for.

        Raises:
            InputError: this node has other code or another encoder than the driver, the runtime cannot load the
                encoder, or what it gives is not one row for each window.
            NoCudaError: CUDA was asked for and not had.
        """
        self._ready()
        return self._config.device.provider

    def encode(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The feature rows of some windows.

        Args:
            windows: ``(n, 80, 16)`` in [-4, 4].

        Returns:
            ``(n, 512)`` float32; the values are the model's and not checked here.

        Raises:
            InputError: as `prepare`, or it answers differently to the same window.
            NoCudaError: as `prepare`.
        """
        session = self._ready()
        if not len(windows):
            return np.zeros((0, FEATURES), np.float32)
        if self._per_run is None:
            self._per_run = 1 if self._mixes(session, windows) else self._batch
        parts = (windows[start : start + self._per_run] for start in range(0, len(windows), self._per_run))
        return np.concatenate([self._rows(session, part, alone=self._per_run == 1) for part in parts])

    def remark(self) -> str:
        """What the user should know of how windows were encoded, one line; empty where there is nothing."""
        if self._per_run != 1 or self._batch == 1:
            return self._batch_refusal
        problem = "the encoder's answers change with what else is in a batch, so windows are encoded alone"
        return f"{problem}; {self._mixing}"

    def _rows(
        self, session: InferenceSession, windows: NDArray[np.float32], *, alone: bool = False
    ) -> NDArray[np.float32]:
        """The rows of up to a batch of windows; ``alone`` runs a single one without others where that can be."""
        if alone and self._config.tensors.batch is None:
            return self._run(session, windows[:, None])
        self._padded[: len(windows)], self._padded[len(windows) :] = windows[:, None], windows[-1:, None]
        return self._run(session, self._padded)[: len(windows)]

    def _mixes(self, session: InferenceSession, windows: NDArray[np.float32]) -> bool:
        """Whether the rows of some windows depend on what else is encoded with them.

        Raises:
            InputError: they depend on chance.
        """
        samples = windows[[i * len(windows) // COMPARED for i in range(min(COMPARED, len(windows)))]]
        noise = np.random.default_rng(0).uniform(-4, 4, samples[0].shape).astype(np.float32)
        alone = [self._rows(session, window[None], alone=True)[0] for window in samples]
        same = _near if self._config.gpus else _equal
        if self._unsteady and not same(alone[0], self._rows(session, samples[:1], alone=True)[0]):
            problem = f"answers differently when it is given the same window again ({', '.join(self._unsteady)})"
            raise InputError(self._config.path, problem, "export it after .eval(), without random operators")
        if self._batch == 1:
            return False

        def run(rows: Arrangement) -> Sequence[NDArray[np.float32]]:
            return list(self._rows(session, np.stack([noise if row is None else samples[row] for row in rows])))

        return depends_on_batch(run, alone, self._batch, same=same, near=_near)

    def _ready(self) -> InferenceSession:
        if self._session is None:
            session = self._open()
            failed = self._fault(session, self._batch)
            if failed is not None and self._config.tensors.batch is None and self._fault(session, 1) is None:
                self._batch_refusal = f"the encoder {one_line(failed.problem)}, so windows are encoded alone"
                self._batch, self._padded = 1, self._padded[:1]
            elif failed is not None:
                raise failed
            self._session = session
        return self._session

    def _open(self) -> InferenceSession:
        # Imported here so that a driver never loads the runtime.
        from actors.network.runtime import open_session  # noqa: PLC0415

        config = self._config
        if config.code:
            check_code(config.code)
        if config.digest:
            check_model(ModelCheck(config.path, config.tensors.external, config.digest))
        model = without_unused_inputs(load_network(config.path))
        give_out_statistics(model.graph)
        self._unsteady, self._mixing = unsteady_operators(model), mixing_cause(model)
        memory = arena_limit(own_device(config.gpus).memory, config.gpus)
        return open_session(
            config.path, model, config.device, threads=config.threads, batch=self._batch, gpu_memory=memory
        )

    def _fault(self, session: InferenceSession, batch: int) -> InputError | None:
        """Why so many windows cannot be run at once, if they cannot.

        Raises:
            NoCudaError: that is not for their number.
        """
        # Imported here so that a driver never loads the runtime.
        from actors.network.runtime import cuda_failure  # noqa: PLC0415

        config = self._config
        try:
            self._run(session, self._padded[:batch])
        except InputError as error:
            return error
        except Exception as error:  # the runtime's errors share no base class below Exception
            said = error_text(error)
            failure = cuda_failure(config.path, said, batch) if config.device is Device.CUDA else None
            if isinstance(failure, NoCudaError):
                raise failure from error
            problem = f"fails when it runs at batch {batch} ({said})"
            return failure or InputError(config.path, problem, "export it with a dynamic batch throughout")
        return None

    def _run(self, session: InferenceSession, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        tensors = self._config.tensors
        rows = np.asarray(session.run([tensors.features], {tensors.mel: windows})[0], np.float32)
        if rows.shape != (len(windows), FEATURES):
            raise InputError(
                self._config.path,
                f"gives {rows.shape} for {len(windows)} windows",
                f"it must give {(len(windows), FEATURES)}",
            )
        return rows


def _equal(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def _near(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two rows differ by no more than what another order of their sums makes."""
    largest = float(np.abs(other[np.isfinite(other)]).max(initial=0))
    return np.allclose(one, other, rtol=0, atol=ROUNDING * largest, equal_nan=True)
