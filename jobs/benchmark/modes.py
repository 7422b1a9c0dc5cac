"""What each way to lay a patch on its frame costs, and how visible it leaves the edges.

One worker without Ray renders the same frames in every mode, taking turns, in a process of its own. Only what a worker
does per frame is measured: backgrounds are loaded and prepared before. Network and compositing run on the CPU.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from actors.core.audio_track import AudioTrack
from actors.core.choices import Device
from actors.core.ranges import FrameRange
from actors.core.timings import STAGES, FrameTiming
from actors.files import storage
from actors.files.run_folder import RunFolder, new_driver_mark
from actors.rendering.blocks import load_block
from actors.rendering.compositor import Compositor
from jobs.benchmark.material import Material
from jobs.benchmark.matrix import JPEG_QUALITY
from jobs.benchmark.subprocesses import run_process
from jobs.benchmark.systems import Runner
from jobs.cluster.placement import Placement
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import CompositeOptions
from jobs.planning.block_plan import BlockPlan
from jobs.planning.preparation import Preparation
from jobs.planning.range_plan import LONGEST_RANGE
from jobs.planning.render_plan import RenderPlan

# One range, as long as they are planned.
FRAMES = LONGEST_RANGE

MODES: dict[str, dict[str, Any]] = {
    "hard": {},
    "feather": {"blend": "feather"},
    "feather, colour-match": {"blend": "feather", "colour_match": True},
    "feather, smooth-crops": {"blend": "feather", "smooth_crops": True},
    "all, with parsing": {"blend": "feather", "colour_match": True, "smooth_crops": True},
}


@dataclass(frozen=True, slots=True)
class ModeCost:
    """One mode; times in milliseconds per frame, medians over the repeats."""

    mode: str  # its name in `MODES`
    inference_ms: float  # the network, run for neighbours too where colours are matched
    composite_ms: float  # prediction to finished patch, its seam measured
    total_ms: float  # all stages
    low_ms: float  # all stages in the quickest repeat
    high_ms: float  # and in the slowest
    seam: float  # median over the frames, see `actors.core.seam`
    seam_worst: float  # the largest


def measure_modes(runner: Runner, repeats: int) -> tuple[list[ModeCost], str]:
    """Measures all modes in a process of its own, in so many rounds; rows, and why there are none, or empty."""
    material, scratch = runner.material, runner.scratch
    out = scratch / "modes"
    RunFolder.at(out).make_folders(frames=True, segments=True)
    base = {"clip": material.clip, "model": runner.network.path, "features": str(material.features(FRAMES))}
    base |= {"out": str(out), "format": "jpg", "quality": str(JPEG_QUALITY), **material.box_flags}
    modes = {name: base | given for name, given in MODES.items()}
    modes["all, with parsing"]["parsing"] = str(_write_masks(material, scratch / "parsing"))
    path = scratch / "modes.json"
    path.write_text(json.dumps({"modes": modes, "repeats": repeats}), encoding="utf-8")
    ended = run_process([sys.executable, "-m", __name__, str(path)], scratch, runner.limit)
    if ended.fault:
        return [], ended.fault
    return [ModeCost(**row) for row in json.loads(ended.said.strip().splitlines()[-1])], ""


def _write_masks(material: Material, folder: Path) -> Path:
    """A parsing for each background: something the size of a fingertip before the lower edge of the face."""
    folder.mkdir(exist_ok=True)
    for index, box in enumerate(material.boxes):
        mask = np.zeros((material.height, material.width, 3), np.uint8)
        cv2.circle(mask, ((box.x0 + box.x1) // 2, box.y1), max(1, box.width // 8), (255, 255, 255), -1)
        if not cv2.imwrite(str(folder / f"{index}.png"), mask):
            raise OSError(f"{folder.name} cannot be written")
    return folder


class _Mode:
    """A worker that is ready to render in one mode, with its backgrounds."""

    def __init__(self, given: dict[str, Any]) -> None:
        options = CompositeOptions.model_validate(given)
        inputs = read_inputs(options)
        if not isinstance(inputs.audio, AudioTrack):
            raise TypeError("the benchmark's material has features")
        # As many backgrounds as the frames show, in one block.
        self.frames = FrameRange(0, min(FRAMES, len(inputs.audio)))
        shown = inputs.pairing.backgrounds_of(inputs.around(self.frames))
        folder, mark = RunFolder.at(options.out), new_driver_mark()
        storage.write_atomic(folder.path / mark, b"")
        placement = Placement(workers=1, threads=1, compositing_threads=0, batch=1, gpus=0, resources={})
        preparation = Preparation(BlockPlan(max(shown) + 1, 1, 1, 1), 0, prepare=True, faces=False)
        plan = RenderPlan(options, inputs, Device.CPU, placement, preparation, folder, mark)
        self._clip = plan.clip(inputs.audio)
        self._block = load_block(plan.block(0), inputs.kind)[0]
        self._worker = Compositor(0, plan.network)
        self._worker.prepare(self._clip)

    def render(self) -> Sequence[FrameTiming]:
        """All frames once."""
        return self._worker.render(self._clip.id, self.frames.start, self.frames.stop, self._block).timings


def rounds(modes: dict[str, dict[str, Any]], repeats: int) -> list[ModeCost]:
    """Renders in all modes, options by name, taking turns; a first round warms everything and does not count."""
    ready = {name: _Mode(given) for name, given in modes.items()}
    rows: dict[str, list[Sequence[FrameTiming]]] = {name: [] for name in modes}
    for _ in range(repeats + 1):
        for name, mode in ready.items():
            rows[name].append(mode.render())
    return [_cost(name, some[1:]) for name, some in rows.items()]


def _cost(name: str, repeats: Sequence[Sequence[FrameTiming]]) -> ModeCost:
    def each(*stages: str) -> list[float]:
        """Milliseconds per frame of each repeat."""
        return [sum(getattr(row, stage) for row in rows for stage in stages) / len(rows) for rows in repeats]

    total, seams, median = each(*STAGES), [row.seam for row in repeats[0]], statistics.median
    inference, composite = median(each("inference_ms")), median(each("composite_ms"))
    return ModeCost(name, inference, composite, median(total), min(total), max(total), median(seams), max(seams))


def main() -> None:
    """``python -m jobs.benchmark.modes SPEC``: prints what `measure_modes` reads."""
    costs = rounds(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.stdout.write(json.dumps([asdict(cost) for cost in costs]) + "\n")


if __name__ == "__main__":
    main()
