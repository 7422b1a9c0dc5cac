"""Parallel workers with full compositing and a static split: each process renders one contiguous piece of the clip.

Whoever is done first waits for the slowest; `plain_loop` differs in that its processes ask for their next frames.
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
    """Renders the clip."""
    spec = shared.Spec.from_command_line()
    clip = shared.load_clip(spec)

    def prepare(worker: int) -> Callable[[], shared.Count]:
        network = shared.BaselineNetwork(spec, spec.threads, spec.batch)
        share = shared.contiguous_share(spec.frames, spec.workers, worker)

        def work() -> shared.Count:
            for frames in shared.batches(share, spec.batch):
                for t, prediction in zip(frames, network.predict_frames(clip, frames), strict=True):
                    shared.write_frame(spec, t, shared.composite(spec, clip.background(t), prediction))
            return shared.Count(len(share), network.batches)

        return work

    shared.report("workers_static", spec, processes.run_processes(spec.workers, prepare), {"split": "contiguous"})


if __name__ == "__main__":
    main()
