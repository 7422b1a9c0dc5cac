"""How fast one worker is beside a GPU, measured without one: the network sleeps, all the rest is real.

    PYTHONPATH=.:tests/support .venv/bin/python tests/support/worker_speed.py --network-ms 2

renders the demo's clip, 1280x720, in calls that overlap as Ray makes them. For each length of range it prints frames
per second and the processor's milliseconds for a frame. Nobody else should be at work on the machine meanwhile. What
was found stands in docs/performance-log.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cuda_stand_in
from lone import plan_of, worker_and_block

from actors.core.choices import Device
from actors.core.ranges import FrameRange, divide
from actors.rendering.blocks import Block
from actors.rendering.compositor import Compositor
from jobs.benchmark.material import prepare
from jobs.demo.demo_clip import demo_kind
from jobs.inputs.inputs import read_inputs
from jobs.inputs.options import load_options
from jobs.models.light import build_light_model
from jobs.models.mouth import save_model

ROOT = Path(__file__).parents[2]


def worker(folder: Path, given: argparse.Namespace) -> tuple[Compositor, str, Block]:
    """A worker on the card that stands in, the clip's name and its backgrounds."""
    kind = demo_kind()
    material = prepare(folder, None, None, None, kind)
    model = folder / "light.onnx"
    save_model(build_light_model(kind), model)
    flags = {"clip": material.clip, "model": str(model), "features": str(material.features(given.frames))}
    flags |= {"format": given.format, "out": str(folder / "out"), "video": given.video}
    options = load_options(flags, None)
    plan = plan_of(
        options, read_inputs(options), folder / "out", batch=given.batch, threads=given.threads, prepare=True
    )
    made, block = worker_and_block(replace(plan, device=Device.CUDA))
    return made, plan.clip_id, block


def rate(made: Compositor, clip: str, block: Block, ranges: Sequence[FrameRange], calls: int) -> tuple[float, float]:
    """Frames per second over ranges that follow each other, so many calls at once; processor seconds of a frame."""
    with ThreadPoolExecutor(calls) as pool:
        began, worked = time.perf_counter(), time.process_time()
        for report in pool.map(lambda part: made.render(clip, part.start, part.stop, block), ranges):
            assert not report.failures
        frames = sum(map(len, ranges))
        return frames / (time.perf_counter() - began), (time.process_time() - worked) / frames


def measure(given: argparse.Namespace) -> None:
    """Prints a line for each length of range, repeats in turns."""
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        made, clip, block = worker(Path(scratch), given)
        found: dict[int, list[tuple[float, float]]] = {length: [] for length in given.ranges}
        # The first files of a name take longer than those that replace them.
        rate(made, clip, block, divide(range(given.frames), given.ranges[0]), given.calls)
        for _ in range(given.repeats):
            for length, rates in found.items():
                rates.append(rate(made, clip, block, divide(range(given.frames), length), given.calls))
        for length, rates in found.items():
            fps, cpu = (statistics.median(column) for column in zip(*rates, strict=True))
            low, high = min(rates)[0], max(rates)[0]
            sys.stdout.write(f"ranges of {length}: {fps:.0f} fps ({low:.0f} to {high:.0f}), {cpu * 1e3:.2f} ms CPU\n")


def main() -> None:
    """The command."""
    flags = argparse.ArgumentParser()
    flags.add_argument("--network-ms", type=float, default=2.0)
    flags.add_argument("--batch", type=int, default=16)
    flags.add_argument("--threads", type=int, default=2, help="compositing threads")
    flags.add_argument("--calls", type=int, default=2, help="ranges rendered at once")
    flags.add_argument("--ranges", type=int, nargs="+", default=[64, 256])
    flags.add_argument("--frames", type=int, default=2048)
    flags.add_argument("--repeats", type=int, default=3)
    flags.add_argument("--format", default="jpg")
    flags.add_argument("--video", action="store_true")
    flags.add_argument("--scratch", help="folder that the frames are written below")
    given = flags.parse_args()
    if cuda_stand_in.VARIABLE in os.environ:
        measure(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        card = cuda_stand_in.environment(Path(folder), seconds_per_frame=given.network_ms / 1e3, calculates=False)
        paths = os.pathsep.join([str(ROOT), card["PYTHONPATH"]])
        environment = {**os.environ, **card, "PYTHONPATH": paths}
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
