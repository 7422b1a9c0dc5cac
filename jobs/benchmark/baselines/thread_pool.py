"""Batched inference in one process, and a thread pool for compositing: the program behind the published 41.11 fps.

The pool only pastes: the next batch waits for it, and in between the frames are written one after another.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared


def main() -> None:
    """Renders the clip with a pool of ``workers`` threads."""
    spec = shared.Spec.from_command_line()
    clip = shared.load_clip(spec)
    network = shared.BaselineNetwork(spec, spec.threads, spec.batch)

    def paste(t: int, prediction: shared.Planes) -> shared.Image:
        return shared.composite(spec, clip.background(t), prediction)

    def render() -> shared.Count:
        for frames in shared.batches(range(spec.frames), spec.batch):
            predictions = network.predict_frames(clip, frames)
            for t, image in zip(frames, pool.map(paste, frames, predictions), strict=True):
                shared.write_frame(spec, t, image)
        return shared.Count(spec.frames, network.batches)

    with ThreadPoolExecutor(spec.workers) as pool:
        done = shared.timed(render)
    shared.report("thread_pool", spec, [done], {})


if __name__ == "__main__":
    main()
