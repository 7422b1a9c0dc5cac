"""Batch sequential: one process runs a whole batch through the network, then pastes and writes its frames in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.rivals import common
else:
    import common


def main() -> None:
    """Renders the clip."""
    spec = common.Spec.from_command_line()
    clip = common.load_clip(spec)
    network = common.Network(spec, spec.threads, spec.batch)

    def work() -> common.Count:
        for frames in common.batches(range(spec.frames), spec.batch):
            for t, prediction in zip(frames, network.predict_frames(clip, frames), strict=True):
                common.write_frame(spec, t, common.composite(spec, clip.background(t), prediction))
        return common.Count(spec.frames, network.batches)

    common.report("batch", spec, [common.timed(work)], {"workers": 1})


if __name__ == "__main__":
    main()
