"""The plain loop: gather, ``session.run``, copy, resize, paste, encode in full, write; one process per core, no Ray.

What `workers_static` does, without its weak point: every process is single-threaded whatever the spec says, and takes
the next batch of frames from a common count, so that none of them idles while frames are left.
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
    batches = shared.batches(range(spec.frames), spec.batch)
    taken = processes.Counter()

    def prepare(_: int) -> Callable[[], shared.Count]:
        network = shared.BaselineNetwork(spec, 1, spec.batch)

        def work() -> shared.Count:
            rendered = 0
            while (index := taken.take()) < len(batches):
                frames = batches[index]
                for t, prediction in zip(frames, network.predict_frames(clip, frames), strict=True):
                    shared.write_frame(spec, t, shared.composite(spec, clip.background(t), prediction))
                rendered += len(frames)
            return shared.Count(rendered, network.batches)

        return work

    done = processes.run_processes(spec.workers, prepare)
    shared.report("plain_loop", spec, done, {"threads": 1, "split": "dynamic"})


if __name__ == "__main__":
    main()
