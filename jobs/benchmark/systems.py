"""How each system is told what to do, and what it says it did."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actors.core.choices import Loop
from actors.files.run_folder import RunFolder
from jobs.benchmark import baselines
from jobs.benchmark.material import Material
from jobs.benchmark.matrix import BenchmarkDevice, Output, System
from jobs.benchmark.measurement import Answer, Assignment
from jobs.benchmark.networks import RegimeNetwork
from jobs.benchmark.subprocesses import run_process
from jobs.cluster.program_files import own_command

WARM_BATCHES = 2


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs systems on one material and network.

    Attributes:
        material: what they render.
        network: with what.
        device: on what.
        scratch: existing folder for their files.
        quality: of JPEG.
        limit: seconds that one run may take.
    """

    material: Material
    network: RegimeNetwork
    device: BenchmarkDevice
    scratch: Path
    quality: int
    limit: float

    def run(self, assignment: Assignment, out: Path) -> Answer:
        """Runs a system.

        Args:
            assignment: what it is to do.
            out: folder for its frames, which does not exist yet; for ours the run's folder.
        """
        if assignment.cell.system is System.OURS:
            return self._ours(assignment, out)
        out.mkdir()
        spec = self.scratch / "spec.json"
        spec.write_text(json.dumps(self.spec(assignment, out)), encoding="utf-8")
        script = Path(baselines.__path__[0]) / f"{assignment.cell.system}.py"
        return self._start([sys.executable, str(script), str(spec)], read_baseline)

    def spec(self, assignment: Assignment, out: Path) -> dict[str, Any]:
        """What a baseline is told: the keys of `jobs.benchmark.baselines.shared.Spec`."""
        material, kind, setting = self.material, self.material.kind, assignment.setting
        tensors = self.network.tensors
        options: dict[str, Any] = {} if assignment.seconds is None else {"seconds": assignment.seconds}
        if assignment.cell.system is System.BARE and self.device is BenchmarkDevice.CUDA:
            options["on_gpu"] = True
        return {
            "backgrounds": list(material.backgrounds),
            "rects": [[box.x0, box.y0, box.x1, box.y1] for box in material.boxes],
            "features": str(material.features(assignment.frames)),
            "model": self.network.file(setting.precision),
            "image_input": tensors.image,
            "audio_input": tensors.audio,
            "output": tensors.output,
            "inner": kind.inner,
            "crop": kind.crop,
            "mask": list(kind.mask),
            "masked_first": kind.masked_first,
            "crop_filter": kind.crop_filter.flag,
            "paste_filter": kind.paste_filter.flag,
            "rows": kind.rows,
            "audio": list(kind.audio),
            "out": str(out),
            "format": assignment.cell.output.value,
            "quality": self.quality,
            "frames": assignment.frames,
            "workers": setting.workers,
            "threads": setting.threads,
            "batch": setting.batch,
            "provider": self.device.provider,
            "warm": WARM_BATCHES,
            "options": options,
        }

    def command(self, assignment: Assignment, out: Path) -> list[str]:
        """How a user would start ours for this."""
        output, setting = assignment.cell.output, assignment.setting
        command = [*own_command(), "composite", self.material.clip, *self.material.box_flags]
        command += ["--model", self.network.file(setting.precision), "--out", str(out)]
        command += ["--kind", self.material.kind.name, "--loop", Loop.BOUNCE.value]
        command += ["--features", str(self.material.features(assignment.frames)), "--frames", f"0:{assignment.frames}"]
        command += ["--device", self.device.value, "--format", "none" if output is Output.VIDEO else output.value]
        if output is Output.JPG:
            command += ["--quality", str(self.quality)]
        if assignment.chosen:
            command += ["--workers", str(setting.workers), "--batch", str(setting.batch)]
            if self.device is BenchmarkDevice.CUDA:
                command += ["--gpus-per-worker", f"{1 / setting.workers:.4f}"]
        if output is Output.VIDEO:
            command += ["--video"]
        return command

    def _ours(self, assignment: Assignment, out: Path) -> Answer:
        answer = self._start(self.command(assignment, out), lambda _: read_ours(Path(str(RunFolder.at(out).record))))
        return replace(answer, setup_s=max(0.0, answer.wall_s - answer.steady_s - answer.cold.get("finish_s", 0.0)))

    def _start(self, command: list[str], read: Callable[[str], Answer]) -> Answer:
        ended = run_process(command, self.scratch, self.limit)
        if ended.fault:
            return Answer(fault=ended.fault)
        try:
            answer = read(ended.said)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            return Answer(fault=f"gave no answer that can be read ({type(error).__name__})")
        return replace(answer, wall_s=ended.seconds, memory=ended.memory)


def read_baseline(text: str) -> Answer:
    """The answer of a baseline: JSON on its last line."""
    answer = json.loads(text.strip().splitlines()[-1])
    return Answer(
        frames=int(answer["frames"]), steady_s=float(answer["seconds"]), setup_s=float(answer["setup_seconds"])
    )


def read_ours(path: Path) -> Answer:
    """The answer of ours: the record of its run."""
    record = json.loads(path.read_text(encoding="utf-8"))
    totals, plan = record["totals"], record["plan"]
    return Answer(
        frames=int(totals["rendered"]),
        steady_s=float(totals["steady_s"]),
        prepare_s=float(totals.get("prepare_s", 0.0)),
        cold={name: float(seconds) for name, seconds in totals["cold"].items()},
        cache_bytes=int(record["cache_bytes"]),
        faces=bool(plan.get("faces")),
        layout=(int(plan["workers"]), int(plan["threads"]), int(plan["batch"])),
    )
