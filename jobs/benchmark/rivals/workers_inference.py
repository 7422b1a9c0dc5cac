"""Parallel workers without compositing: each process runs the network over its share of the frames, nothing is kept.

Half a program, measured because it is published as if it were a whole one: no frame is pasted and no file is written,
which the answer says as ``composited: false``. ``probe`` sums one value of every prediction: proof that all were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.rivals import common, processes
else:
    import common
    import processes


def main() -> None:
    """Runs the network over the clip."""
    spec = common.Spec.from_command_line()
    clip = common.load_clip(spec)
    middle = spec.inner // 2

    def prepare(worker: int) -> Callable[[], common.Count]:
        network = common.Network(spec, spec.threads, spec.batch)
        share = common.contiguous_share(spec.frames, spec.workers, worker)

        def work() -> common.Count:
            probe = 0.0
            for frames in common.batches(share, spec.batch):
                probe += float(network.predict_frames(clip, frames)[:, 1, middle, middle].sum(dtype=float))
            return common.Count(len(share), network.batches, probe)

        return work

    done = processes.run_processes(spec.workers, prepare)
    probe = sum(part.count.probe for part in done)
    common.report("workers_inference", spec, done, {"composited": False, "split": "contiguous"}, probe=probe)


if __name__ == "__main__":
    main()
