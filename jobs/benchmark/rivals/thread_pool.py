"""Batched inference in one process, and a thread pool for compositing: the design behind the published 41.11 fps.

``options["overlap"]`` true (the default) is the design at its best: the pool pastes and writes the frames of one batch
while the network runs the next, with at most ``options["ahead"]`` batches unwritten. False is what was published: the
pool only pastes, the next batch waits for it, and the frames are written one after another in between.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
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
    overlap, ahead = spec.options.get("overlap", True), spec.options.get("ahead", 2)

    def paste(t: int, prediction: common.Planes) -> common.Image:
        return common.composite(spec, clip.background(t), prediction)

    def finish(t: int, prediction: common.Planes) -> None:
        common.write_frame(spec, t, paste(t, prediction))

    def overlapped() -> common.Count:
        unwritten: deque[list[Future[None]]] = deque()
        for frames in common.batches(range(spec.frames), spec.batch):
            predictions = network.predict_frames(clip, frames)
            if len(unwritten) == ahead:
                wait_for(unwritten.popleft())
            unwritten.append([pool.submit(finish, *work) for work in zip(frames, predictions, strict=True)])
        for pending in unwritten:
            wait_for(pending)
        return common.Count(spec.frames, network.batches)

    def published() -> common.Count:
        for frames in common.batches(range(spec.frames), spec.batch):
            predictions = network.predict_frames(clip, frames)
            for t, image in zip(frames, pool.map(paste, frames, predictions), strict=True):
                common.write_frame(spec, t, image)
        return common.Count(spec.frames, network.batches)

    with ThreadPoolExecutor(spec.workers) as pool:
        done = common.timed(overlapped if overlap else published)
    common.report("thread_pool", spec, [done], {"overlap": overlap, "ahead": ahead if overlap else 0})


def wait_for(pending: list[Future[None]]) -> None:
    """Returns when all are done; raises what the first of them that failed raised."""
    for future in pending:
        future.result()


if __name__ == "__main__":
    main()
