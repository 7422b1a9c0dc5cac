"""Batch sequential: one process runs a whole batch through the network, then pastes and writes its frames in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared


def main() -> None:
    """Renders the clip."""
    spec = shared.Spec.from_command_line()
    clip = shared.load_clip(spec)
    network = shared.BaselineNetwork(spec, spec.threads, spec.batch)

    def work() -> shared.Count:
        for frames in shared.batches(range(spec.frames), spec.batch):
            for t, prediction in zip(frames, network.predict_frames(clip, frames), strict=True):
                shared.write_frame(spec, t, shared.composite(spec, clip.background(t), prediction))
        return shared.Count(spec.frames, network.batches)

    shared.report("batch", spec, [shared.timed(work)], {"workers": 1})


if __name__ == "__main__":
    main()
