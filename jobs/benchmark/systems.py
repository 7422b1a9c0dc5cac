"""How each system is told what to do, and what it says it did."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from actors.core.choices import Device, Loop
from actors.files.run_folder import RunFolder
from jobs.benchmark.baselines import shared
from jobs.benchmark.material import Material
from jobs.benchmark.matrix import JPEG_QUALITY, Output, System
from jobs.benchmark.measurement import Answer, Assignment
from jobs.benchmark.networks import RegimeNetwork
from jobs.benchmark.subprocesses import run_process
from jobs.cluster.program_files import program_command


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs systems on one material and network."""

    material: Material
    network: RegimeNetwork
    device: Device
    scratch: Path  # existing folder for their files
    limit: float  # seconds that one run may take

    def run(self, assignment: Assignment, out: Path) -> Answer:
        """Runs a system; ``out`` is the folder for its frames, of ours the run's, which does not exist yet."""
        system = assignment.cell.system
        if system is System.OURS:
            return self._start(self.command(assignment, out), lambda _: read_ours(Path(str(RunFolder.at(out).record))))
        out.mkdir()
        spec = self.scratch / "spec.json"
        spec.write_text(json.dumps(asdict(self.spec(assignment, out))), encoding="utf-8")
        script = "ray_data.py" if system is System.RAY_DATA else "without_ray.py"
        return self._start([sys.executable, str(Path(shared.__file__).with_name(script)), str(spec)], read_baseline)

    def spec(self, assignment: Assignment, out: Path) -> shared.Spec:
        """What a baseline is told."""
        material, kind, setting = self.material, self.material.kind, assignment.setting
        tensors = self.network.tensors
        return shared.Spec(
            system=assignment.cell.system.value,
            backgrounds=list(material.backgrounds),
            rects=[[box.x0, box.y0, box.x1, box.y1] for box in material.boxes],
            features=str(material.features(assignment.frames)),
            model=self.network.file(setting.precision),
            image_input=tensors.image,
            audio_input=tensors.audio,
            output=tensors.output,
            inner=kind.inner,
            crop=kind.crop,
            mask=list(kind.mask),
            masked_first=kind.masked_first,
            crop_filter=kind.crop_filter.flag,
            paste_filter=kind.paste_filter.flag,
            rows=kind.rows,
            audio=list(kind.audio),
            out=str(out),
            format=assignment.cell.format.value,
            quality=JPEG_QUALITY,
            frames=assignment.frames,
            seconds=assignment.seconds,
            workers=setting.workers,
            threads=setting.threads,
            batch=setting.batch,
            provider=self.device.provider,
        )

    def command(self, assignment: Assignment, out: Path) -> list[str]:
        """How a user would start ours for this."""
        output, setting, frames = assignment.cell.format, assignment.setting, assignment.frames
        flags = {"model": self.network.file(setting.precision), "out": str(out), **self.material.box_flags}
        flags |= {"kind": self.material.kind.name, "loop": Loop.BOUNCE.value, "device": self.device.value}
        flags |= {"features": str(self.material.features(frames)), "frames": f"0:{frames}"}
        flags |= {"format": "none" if output is Output.VIDEO else output.value}
        if output is Output.JPG:
            flags |= {"quality": str(JPEG_QUALITY)}
        if setting.told:
            flags |= {"workers": str(setting.workers), "batch": str(setting.batch)}
            if self.device is Device.CUDA:
                flags |= {"gpus-per-worker": f"{1 / setting.workers:.4f}"}
        words = [word for flag, value in flags.items() for word in (f"--{flag}", value)]
        video = ["--video"] if output is Output.VIDEO else []
        return [*program_command(), "composite", self.material.clip, *words, *video]

    def _start(self, command: list[str], read: Callable[[str], Answer]) -> Answer:
        ended = run_process(command, self.scratch, self.limit)
        if ended.fault:
            return Answer(fault=ended.fault)
        try:
            return replace(read(ended.said), memory=ended.memory)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            return Answer(fault=f"gave no answer that can be read ({type(error).__name__})")


def read_baseline(text: str) -> Answer:
    """The answer of a baseline: JSON on its last line."""
    answer = json.loads(text.strip().splitlines()[-1])
    return Answer(frames=int(answer["frames"]), steady_s=float(answer["seconds"]))


def read_ours(path: Path) -> Answer:
    """The answer of ours: the record of its run."""
    record = json.loads(path.read_text(encoding="utf-8"))
    totals = record["totals"]
    return Answer(
        frames=totals["rendered"],
        steady_s=float(totals["steady_s"]),
        prepare_s=totals.get("prepare_s", 0.0),
        cold=totals["cold"],
        cache_bytes=record["cache_bytes"],
        faces=bool(record["plan"].get("faces")),
    )
