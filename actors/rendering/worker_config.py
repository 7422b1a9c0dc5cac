"""What a worker is told: of its network when it starts, and of each clip before the first range of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.choices import PLAIN, GpuTuning
from actors.core.colour import REACH

if TYPE_CHECKING:
    from actors.core.audio_track import AudioTrack
    from actors.core.choices import Delivery, Device, Interpolation, Precision
    from actors.core.kind import ModelKind, ModelTensors
    from actors.core.pairing import Pairing
    from actors.files.node_check import ClipCheck, ModelCheck
    from actors.files.run_folder import RunFolder
    from actors.rendering.blocks import BlockRequest


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What belongs to the network; the same for every worker that holds it, whatever clips they render.

    Attributes:
        model: path of the ONNX file.
        tensors: its inputs and output.
        kind: the contract it honours.
        device: what the network runs on; it runs nowhere else.
        precision: the compute precision.
        threads: intra-op threads.
        compositing_threads: threads that composite frames while the network runs; 0 composites them in turn with it,
            which is right where network and compositing share the cores.
        batch: frames per inference.
        gpus: fraction of a GPU this worker has; 0 on the CPU.
        ready_planes: clips have network input instead of pictures.
        faces: blocks hold what the network's face encoder makes of their backgrounds.
        check: what the worker's node must show of the model.
        code: the driver's `actors.files.digests.code_digest`.
        tuning: options of a CUDA session that are used where they change no answer.
    """

    model: str
    tensors: ModelTensors
    kind: ModelKind
    device: Device
    precision: Precision
    threads: int
    compositing_threads: int
    batch: int
    gpus: float
    ready_planes: bool
    faces: bool
    check: ModelCheck
    code: str
    tuning: GpuTuning = PLAIN


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """What belongs to a clip. It lies in the object store once, and workers read its sound there.

    Attributes:
        id: names it among the clips that a worker has been given.
        audio: what drives the mouth, read-only.
        pairing: which background each output frame is drawn on.
        interpolation: filter of the paste.
        colour_match: the network's colours are brought to those of the frame.
        delivery: what frames become; ``None`` runs the network only.
        folder: the folder that frames are written into.
        samples: output frames, each with a request for its background alone, by which batches are compared.
        check: what the worker's node must show of the clip and the folder.
    """

    id: str
    audio: AudioTrack
    pairing: Pairing
    interpolation: Interpolation
    colour_match: bool
    delivery: Delivery | None
    folder: RunFolder
    samples: tuple[tuple[int, BlockRequest], ...]
    check: ClipCheck

    @property
    def reach(self) -> int:
        """How many output frames before and after a frame the network must run for it."""
        return REACH if self.colour_match else 0

    @property
    def video(self) -> Delivery | None:
        """The delivery where it includes a video."""
        return self.delivery if self.delivery is not None and self.delivery.video else None
