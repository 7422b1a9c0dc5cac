"""The plain loop: gather, ``session.run``, copy, resize, paste, encode in full, write; one process per core, no Ray.

What `workers_static` does, without its weak point: every process is single-threaded whatever the spec says, and takes
the next batch of frames from a common count, so that none of them idles while frames are left.
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
    batches = common.batches(range(spec.frames), spec.batch)
    taken = processes.Counter()

    def prepare(_: int) -> Callable[[], common.Count]:
        network = common.Network(spec, 1, spec.batch)

        def work() -> common.Count:
            rendered = 0
            while (index := taken.take()) < len(batches):
                frames = batches[index]
                for t, prediction in zip(frames, network.predict_frames(clip, frames), strict=True):
                    common.write_frame(spec, t, common.composite(spec, clip.background(t), prediction))
                rendered += len(frames)
            return common.Count(rendered, network.batches)

        return work

    done = processes.run_processes(spec.workers, prepare)
    common.report("plain_loop", spec, done, {"threads": 1, "split": "dynamic"})


if __name__ == "__main__":
    main()
