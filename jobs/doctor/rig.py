"""What the trials of one process work with: clip, networks, a plan of one worker, and the device."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from actors.core.audio_track import AudioTrack
from actors.core.choices import Device, Precision
from actors.core.clip import FaceBox
from actors.core.kind import ModelKind
from actors.files import storage
from actors.files.run_folder import RunFolder, new_driver_mark
from actors.network.recognition import read_model
from actors.rendering.worker_config import ClipConfig
from jobs.benchmark.material import Material, prepare
from jobs.benchmark.matrix import JPEG_QUALITY, Regime
from jobs.benchmark.networks import RegimeNetwork, make_network, networks_kind
from jobs.benchmark.systems import Runner
from jobs.cluster.placement import Placement
from jobs.doctor.steps import Figures, Trials
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan
from jobs.planning.preparation import Preparation
from jobs.planning.render_plan import RenderPlan

# How the clip is kept between processes: what is plain JSON, and the rest.
MATERIAL, ROWS = "material.json", "rows.npy"
PLAIN = ("name", "clip", "box_flags", "backgrounds", "width", "height")


@dataclass(frozen=True, slots=True)
class Rig:
    """What the trials of one process work with.

    Attributes:
        scratch: an empty folder of this process.
        made: the folder that clip and networks are made in, by the first process.
        out: the user's folder.
        device: what is measured.
        clip: the user's, or ``None`` for the demo's.
        model: the user's, or ``None`` for one with random weights.
        seconds: how long the shortest trials measure.
        limit: seconds that a program which a trial starts may take.
        earlier: figures of earlier steps, by the step's name.
    """

    # Each trial has another; what is the same apart from it need not be calculated again.
    scratch: Path = field(compare=False)
    made: Path
    out: Path
    device: Device
    clip: str | None
    model: str | None
    seconds: float
    limit: float
    earlier: Mapping[str, Trials] = field(compare=False)

    def make(self) -> Figures:
        """Makes clip and networks, and says what they are.

        Raises:
            InputError: the user's cannot be used.
        """
        kind = self.kind()
        material = prepare(self.made, self.clip, None, None, kind)
        network = make_network(Regime.HEAVY, self.model, kind, self.made, half=True)
        np.save(self.made / ROWS, material.rows, allow_pickle=False)
        told = {name: getattr(material, name) for name in PLAIN} | {"boxes": [asdict(box) for box in material.boxes]}
        (self.made / MATERIAL).write_text(json.dumps(told), encoding="utf-8")
        frames = {"backgrounds": len(material.backgrounds), "width": material.width, "height": material.height}
        return {"network": network.name, "clip": material.name, **frames}

    def kind(self) -> ModelKind:
        """The contract of the networks."""
        return networks_kind(self.model, None)

    def material(self) -> Material:
        """The clip, as `make` left it."""
        told = json.loads((self.made / MATERIAL).read_text(encoding="utf-8"))
        boxes = tuple(FaceBox(**box) for box in told.pop("boxes"))
        rows = np.load(self.made / ROWS, allow_pickle=False)
        return Material(**told, boxes=boxes, rows=rows, folder=self.made, kind=self.kind())

    def network(self) -> RegimeNetwork:
        """The network in both precisions."""
        path = storage.absolute(self.model) if self.model else str(self.made / f"{Regime.HEAVY}.onnx")
        half = str(self.made / f"{Regime.HEAVY}-fp16.onnx")
        return RegimeNetwork(Path(path).name, path, half, read_model(path, self.kind()))

    def runner(self) -> Runner:
        """What runs programs on them."""
        return Runner(self.material(), self.network(), self.device, self.scratch, self.limit)

    def plan(self, precision: Precision, *, frames: int, batch: int = 1, threads: int = 0) -> RenderPlan:
        """The plan of one worker without Ray, with all backgrounds in one block.

        Args:
            precision: of the network.
            frames: output frames.
            batch: frames per inference.
            threads: that composite, encode and write frames beside the network.
        """
        material = self.material()
        features, model = str(material.features(frames)), self.network().path
        given = {"clip": material.clip, "model": model, "kind": material.kind.name, "features": features}
        given |= {"out": str(self.scratch / "run"), "format": "jpg", "quality": str(JPEG_QUALITY), **material.box_flags}
        options = CompositeOptions.model_validate(given | {"precision": precision, "device": self.device.value})
        inputs = read_inputs(options)
        folder, mark = RunFolder.at(options.out), new_driver_mark()
        folder.make_folders(frames=True, segments=False)
        storage.write_atomic(folder.path / mark, b"")
        placement = Placement(workers=1, threads=1, compositing_threads=threads, batch=batch, gpus=0, resources={})
        blocks = BlockPlan(inputs.clip.backgrounds, 1, 1, 1)
        preparation = Preparation(blocks, 0, prepare=True, faces=False)
        return RenderPlan(options, inputs, self.device, placement, preparation, folder, mark)


def clip_of(plan: RenderPlan) -> ClipConfig:
    """What a worker is told of the clip.

    Raises:
        TypeError: its sound is a recording, which nothing here makes features of.
    """
    if not isinstance(plan.inputs.audio, AudioTrack):
        raise TypeError("the benchmark's material has features")
    return plan.clip(plan.inputs.audio)
