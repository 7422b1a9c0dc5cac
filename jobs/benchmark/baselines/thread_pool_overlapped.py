"""The thread pool at its best, as nobody has published it: it pastes and writes while the next batch is inferred."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared

AHEAD = 2  # batches that may be unwritten


def main() -> None:
    """Renders the clip with a pool of ``workers`` threads."""
    spec = shared.Spec.from_command_line()
    clip = shared.load_clip(spec)
    network = shared.BaselineNetwork(spec, spec.threads, spec.batch)

    def finish(t: int, prediction: shared.Planes) -> None:
        shared.write_frame(spec, t, shared.composite(spec, clip.background(t), prediction))

    def render() -> shared.Count:
        unwritten: deque[list[Future[None]]] = deque()
        for frames in shared.batches(range(spec.frames), spec.batch):
            predictions = network.predict_frames(clip, frames)
            if len(unwritten) == AHEAD:
                wait_for(unwritten.popleft())
            unwritten.append([pool.submit(finish, *work) for work in zip(frames, predictions, strict=True)])
        for pending in unwritten:
            wait_for(pending)
        return shared.Count(spec.frames, network.batches)

    with ThreadPoolExecutor(spec.workers) as pool:
        done = shared.timed(render)
    shared.report("thread_pool_overlapped", spec, [done], {"ahead": AHEAD})


def wait_for(pending: list[Future[None]]) -> None:
    """Returns when all are done; raises what the first of them that failed raised."""
    for future in pending:
        future.result()


if __name__ == "__main__":
    main()
