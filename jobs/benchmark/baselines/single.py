"""One frame at a time, as SyncTalk_2D's own inference does it: crop, network, paste, write, next.

One process, one session, by default on all cores. The crop is cut anew for every frame, as that loop does; only the
reading of the picture, which it also repeats, lies before the clock here as in every other program.
"""

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
    network = shared.BaselineNetwork(spec, spec.threads, batch=1)

    def work() -> shared.Count:
        for t in range(spec.frames):
            background = clip.background(t)
            crop = shared.crop_face(spec, background.frame, background.rect)
            prediction = network.predict([crop], [clip.window(t)])[0]
            shared.write_frame(spec, t, shared.composite(spec, background, prediction, crop))
        return shared.Count(spec.frames, network.batches)

    shared.report("single", spec, [shared.timed(work)], {"batch": 1, "workers": 1})


if __name__ == "__main__":
    main()
