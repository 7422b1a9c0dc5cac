"""Parallel workers with full compositing and a static split: each process renders one contiguous piece of the clip.

Whoever is done first waits for the slowest; `plain_loop` differs in that its processes ask for their next frames.
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
    """Renders the clip."""
    spec = common.Spec.from_command_line()
    clip = common.load_clip(spec)

    def prepare(worker: int) -> Callable[[], common.Count]:
        network = common.Network(spec, spec.threads, spec.batch)
        share = common.contiguous_share(spec.frames, spec.workers, worker)

        def work() -> common.Count:
            for frames in common.batches(share, spec.batch):
                for t, prediction in zip(frames, network.predict_frames(clip, frames), strict=True):
                    common.write_frame(spec, t, common.composite(spec, clip.background(t), prediction))
            return common.Count(len(share), network.batches)

        return work

    common.report("workers_static", spec, processes.run_processes(spec.workers, prepare), {"split": "contiguous"})


if __name__ == "__main__":
    main()
