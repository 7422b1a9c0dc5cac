"""Ray Data: `from_numpy -> map_batches(actor pool, fractional GPU) -> write`, as Ray's documentation recommends it.

Rows are numbers of output frames (Ray calls the column ``data``), so blocks are tiny; the clip is put into the object
store once and every actor reads it there without a copy. Two layouts, ``options["layout"]``:

* ``fused`` (the default): one actor pool gathers, infers, pastes and writes. Nothing but numbers leaves an actor.
* ``stages``: one pool infers and hands on the mouths as bytes, a second one pastes and writes them.

Further options: ``batches_per_block``, ``writers`` (size of the second pool), ``address`` (a Ray cluster on this
machine; otherwise one is started).

Ray Data keeps no actors from one dataset to the next, so there is nothing to warm beforehand. Instead the execution
waits until every actor of the pools is up and warm (`wait_for_min_actors_s`), each batch reports when it began and
ended, and the clock runs from a beginning to the last end: starting and ending the pools costs nothing, nor does
filling the pipeline, see `settled`.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Types alone: at run time the script finds its neighbour beside itself.
    from jobs.benchmark.baselines import shared
else:
    import shared

Rows = dict[str, NDArray[Any]]

LONGEST_START = 600  # seconds that a pool may take to come up
FILLING = 2.0  # seconds until the pipeline is full and the actors are at their pace
MOST_IN_BLOCK = 128  # frames
IN_FLIGHT = 2  # tasks queued per actor


class Inference:
    """One warm session; adds the network's answer to the rows."""

    def __init__(self, spec: shared.Spec, clip: ray.ObjectRef[shared.BaselineClip]) -> None:
        cv2.setNumThreads(1)
        self._spec = spec
        self._clip = ray.get(clip)
        self._network = shared.BaselineNetwork(spec, spec.threads, spec.batch)

    def predict(self, frames: list[int]) -> shared.Planes:
        """The network's answer for output frames, ``(n, 3, inner, inner)`` float32."""
        return self._network.predict_frames(self._clip, frames)

    def __call__(self, rows: Rows) -> Rows:
        """Adds ``levels`` ``(n, 3, inner, inner)`` uint8: a quarter of the floats' bytes for the object store."""
        began = time.perf_counter()
        levels = shared.to_levels(self.predict(rows["data"].tolist()))
        return {"data": rows["data"], "levels": levels, "began": np.full(len(levels), began)}


class Writing:
    """Pastes and writes what `Inference` has predicted."""

    def __init__(self, spec: shared.Spec, clip: ray.ObjectRef[shared.BaselineClip]) -> None:
        cv2.setNumThreads(1)
        self._spec = spec
        self._clip = ray.get(clip)

    def __call__(self, rows: Rows) -> Rows:
        """Returns ``data``, ``began`` and ``ended`` alone."""
        for t, levels in zip(rows["data"].tolist(), rows["levels"], strict=True):
            shared.write_frame(self._spec, t, shared.paste(self._spec, self._clip.background(t), levels))
        ended = np.full(len(rows["data"]), time.perf_counter())
        return {"data": rows["data"], "began": rows["began"], "ended": ended}


class Rendering:
    """Both in one actor."""

    def __init__(self, spec: shared.Spec, clip: ray.ObjectRef[shared.BaselineClip]) -> None:
        self._infer = Inference(spec, clip)
        self._write = Writing(spec, clip)

    def __call__(self, rows: Rows) -> Rows:
        """Returns ``data``, ``began`` and ``ended``."""
        return self._write(self._infer(rows))


def start_ray(address: str | None) -> None:
    """Joins the cluster at ``address``, or starts one on this machine."""
    if address:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        # Otherwise Ray leaves one in the user's home that everybody can read.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        ray.init("local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.wait_for_min_actors_s = LONGEST_START


def default_block(spec: shared.Spec) -> int:
    """Batches in a block: 128 frames, or fewer where every actor would then have less than 16 blocks to take."""
    return max(1, min(MOST_IN_BLOCK, spec.frames // (16 * spec.workers)) // spec.batch)


def settled(rows: Rows) -> Rows:
    """The rows of the batches that began when the pipeline was full; of the later half where those are fewer.

    While Ray Data fills its pipeline, 1.3 s on two cores however large the batches are, actors take several times as
    long for one. In the long runs that it is made for nobody would see that.
    """
    begun = np.unique(rows["began"])
    late = begun[begun >= begun[0] + FILLING]
    first = late[0] if 2 * len(late) >= len(begun) else begun[len(begun) // 2]
    counted = rows["began"] >= first
    return {name: values[counted] for name, values in rows.items()}


def render(spec: shared.Spec, clip: ray.ObjectRef[shared.BaselineClip]) -> tuple[shared.Done, dict[str, Any]]:
    """Runs the dataset; returns what was done, and how."""
    options = spec.options
    fused = options.get("layout", "fused") == "fused"
    writers = 0 if fused else options.get("writers", spec.workers)
    per_block = options.get("batches_per_block", default_block(spec))
    gpus = 0 if spec.provider == shared.CPU else 1 / spec.workers
    # All actors of both pools must be up at once, on however few cores.
    cpus = 1 / math.ceil((spec.workers + writers) / (os.cpu_count() or 1))
    # Blocks of whole batches, so that no inference is smaller than it must be.
    blocks = [np.array(frames) for frames in shared.batches(range(spec.frames), spec.batch * per_block)]
    rendered = ray.data.from_numpy(blocks).map_batches(
        Rendering if fused else Inference,
        fn_constructor_args=(spec, clip),
        batch_size=spec.batch,
        compute=ray.data.ActorPoolStrategy(size=spec.workers, max_tasks_in_flight_per_actor=IN_FLIGHT),
        num_cpus=cpus,
        num_gpus=gpus,
    )
    if not fused:
        rendered = rendered.map_batches(
            Writing,
            fn_constructor_args=(spec, clip),
            batch_size=spec.batch,
            compute=ray.data.ActorPoolStrategy(size=writers, max_tasks_in_flight_per_actor=IN_FLIGHT),
            num_cpus=cpus,
        )
    rows = rendered.take_all()
    counted = settled({name: np.array([row[name] for row in rows]) for name in ("data", "began", "ended")})
    began = np.unique(counted["began"])
    settings = {
        "layout": "fused" if fused else "stages",
        "batches_per_block": per_block,
        "in_flight": IN_FLIGHT,
        "writers": writers,
        "cpus_per_actor": cpus,
        "gpus_per_actor": gpus,
        "rendered": len(rows),
    }
    count = shared.Count(len(counted["data"]), len(began))
    return shared.Done(count, float(began[0]), float(counted["ended"].max())), settings


def main() -> None:
    """Renders the clip."""
    spec = shared.Spec.from_command_line()
    clip = shared.load_clip(spec)
    start_ray(spec.options.get("address"))
    done, settings = render(spec, ray.put(clip))
    ray.shutdown()
    shared.report("ray_data", spec, [done], settings)


if __name__ == "__main__":
    main()
