"""One frame at a time, as SyncTalk_2D's own inference does it: crop, network, paste, write, next.

One process, one session, by default on all cores. The crop is cut anew for every frame, as that loop does; only the
reading of the picture, which it also repeats, lies before the clock here as in every other program.
"""

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
    network = common.Network(spec, spec.threads, batch=1)

    def work() -> common.Count:
        for t in range(spec.frames):
            background = clip.background(t)
            crop = common.crop_face(spec, background.frame, background.rect)
            prediction = network.predict([crop], [clip.window(t)])[0]
            common.write_frame(spec, t, common.composite(spec, background, prediction, crop))
        return common.Count(spec.frames, network.batches)

    common.report("single", spec, [common.timed(work)], {"batch": 1, "workers": 1})


if __name__ == "__main__":
    main()
