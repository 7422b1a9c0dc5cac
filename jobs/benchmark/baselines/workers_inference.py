"""Parallel workers without compositing: each process runs the network over its share of the frames, nothing is kept.

Half a program, measured because it is published as if it were a whole one: no frame is pasted and no file is written,
which the answer says as ``composited: false``. ``probe`` sums one value of every prediction: proof that all were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import processes, shared
else:
    import processes
    import shared


def main() -> None:
    """Runs the network over the clip."""
    spec = shared.Spec.from_command_line()
    clip = shared.load_clip(spec)
    middle = spec.inner // 2

    def prepare(worker: int) -> Callable[[], shared.Count]:
        network = shared.BaselineNetwork(spec, spec.threads, spec.batch)
        share = shared.contiguous_share(spec.frames, spec.workers, worker)

        def work() -> shared.Count:
            probe = 0.0
            for frames in shared.batches(share, spec.batch):
                probe += float(network.predict_frames(clip, frames)[:, 1, middle, middle].sum(dtype=float))
            return shared.Count(len(share), network.batches, probe)

        return work

    done = processes.run_processes(spec.workers, prepare)
    probe = sum(part.count.probe for part in done)
    shared.report("workers_inference", spec, done, {"composited": False, "split": "contiguous"}, probe=probe)


if __name__ == "__main__":
    main()
