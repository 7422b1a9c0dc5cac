"""What a worker is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.colour import REACH

if TYPE_CHECKING:
    from actors.core.choices import Delivery, Interpolation, Precision
    from actors.core.kind import ModelKind, ModelTensors
    from actors.core.pairing import Pairing
    from actors.files.node_check import NodeCheck
    from actors.files.run_folder import RunFolder
    from actors.rendering.blocks import BlockRequest


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything a worker needs besides sound and backgrounds; the same for every worker of a run.

    Attributes:
        model: path of the ONNX file.
        tensors: its inputs and output.
        kind: the contract it honours.
        pairing: which background each output frame is drawn on.
        provider: ONNX Runtime execution provider to insist on.
        precision: what the network calculates with.
        threads: intra-op threads.
        finishers: threads that finish frames while the network runs; 0 finishes them in turn with it, which is right
            where network and finishing share the cores.
        batch: frames per inference.
        gpus: fraction of a GPU this worker has; 0 on the CPU.
        interpolation: filter of the paste.
        ready_planes: the clip has network input instead of pictures.
        faces: blocks hold what the network's face encoder makes of their backgrounds.
        colour_match: the network's colours are brought to those of the frame.
        delivery: what frames become; ``None`` runs the network only.
        folder: the run's folder.
        proof: what the worker's node must show before it renders.
        samples: output frames, each with a request for its background alone, by which batches are compared.
    """

    model: str
    tensors: ModelTensors
    kind: ModelKind
    pairing: Pairing
    provider: str
    precision: Precision
    threads: int
    finishers: int
    batch: int
    gpus: float
    interpolation: Interpolation
    ready_planes: bool
    faces: bool
    colour_match: bool
    delivery: Delivery | None
    folder: RunFolder
    proof: NodeCheck
    samples: tuple[tuple[int, BlockRequest], ...]

    @property
    def reach(self) -> int:
        """How many output frames before and after a frame the network must run for it."""
        return REACH if self.colour_match else 0
