"""Batched inference in one process, and a thread pool for compositing: the program behind the published 41.11 fps.

The pool only pastes: the next batch waits for it, and in between the frames are written one after another.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.rivals import common
else:
    import common


def main() -> None:
    """Renders the clip with a pool of ``workers`` threads."""
    spec = common.Spec.from_command_line()
    clip = common.load_clip(spec)
    network = common.Network(spec, spec.threads, spec.batch)

    def paste(t: int, prediction: common.Planes) -> common.Image:
        return common.composite(spec, clip.background(t), prediction)

    def render() -> common.Count:
        for frames in common.batches(range(spec.frames), spec.batch):
            predictions = network.predict_frames(clip, frames)
            for t, image in zip(frames, pool.map(paste, frames, predictions), strict=True):
                common.write_frame(spec, t, image)
        return common.Count(spec.frames, network.batches)

    with ThreadPoolExecutor(spec.workers) as pool:
        done = common.timed(render)
    common.report("thread_pool", spec, [done], {})


if __name__ == "__main__":
    main()
